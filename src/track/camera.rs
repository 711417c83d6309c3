//! How the camera moved between two frames: the similarity (shift, turn, zoom) that lays the picture
//! before over this one, by Gauss-Newton on grey values, coarse to fine (Lucas and Kanade 1981; in
//! the formulation of Baker and Matthews, "Lucas-Kanade 20 Years On", 2004).
//!
//! Both pictures are brought to the same mean and deviation, so that light may change, and each
//! pixel's say is limited (Huber 1964), so that what moves by itself does not move the camera.

use vigil_models::Image;

use super::CameraMotion;

/// Longer side of the pictures that are compared, pixels.
const LONGER_SIDE: usize = 192;
/// Pictures of half the size each, the last one the coarsest.
const LEVELS: usize = 4;
/// Steps on each of them.
const STEPS: usize = 12;
/// A step of fewer pixels than this is the last.
const SMALL_STEP: f32 = 0.005;
/// From this difference on, in deviations of the picture, a pixel counts less.
const HUBER: f32 = 0.3;
/// A mean difference above this, in deviations, says that the pictures do not show the same.
const NO_MATCH: f32 = 0.6;

/// Tells how the camera moved, frame by frame.
#[derive(Debug, Default)]
pub struct CameraEstimator {
    before: Option<Pyramid>,
}

impl CameraEstimator {
    /// How the camera moved since the last picture. `None` for the first one, for one of another
    /// size, and when no motion lays one over the other, as at a cut.
    pub fn next(&mut self, image: &Image) -> Option<CameraMotion> {
        let now = Pyramid::new(image);
        let motion = self.before.as_ref().and_then(|before| before.motion_to(&now));
        self.before = Some(now);
        motion
    }
}

/// A picture in grey and in falling sizes, the finest first.
#[derive(Debug)]
struct Pyramid {
    levels: Vec<Grey>,
    /// Pixels of the frame to one of the finest level.
    scale: f32,
    size: (u32, u32),
}

#[derive(Clone, Debug)]
struct Grey {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// `x' = (1 + a)·x - b·y + c`, `y' = b·x + (1 + a)·y + d`, from the middle of the picture.
#[derive(Clone, Copy, Debug, Default)]
struct Similarity {
    a: f32,
    b: f32,
    c: f32,
    d: f32,
}

impl Similarity {
    fn apply(&self, x: f32, y: f32) -> (f32, f32) {
        ((1.0 + self.a) * x - self.b * y + self.c, self.b * x + (1.0 + self.a) * y + self.d)
    }

    /// The one that does `step` backwards and then this.
    fn after_undoing(&self, step: &Self) -> Option<Self> {
        let (p, q) = (1.0 + step.a, step.b);
        let square = p * p + q * q;
        if square < 1e-6 {
            return None;
        }
        // Backwards: the turn and zoom the other way, and the shift undone before.
        let (ip, iq) = (p / square, -q / square);
        let (ic, id) = (-(ip * step.c - iq * step.d), -(iq * step.c + ip * step.d));
        let (r, s) = (1.0 + self.a, self.b);
        Some(Self {
            a: r * ip - s * iq - 1.0,
            b: s * ip + r * iq,
            c: r * ic - s * id + self.c,
            d: s * ic + r * id + self.d,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of pictures fit an f32")]
impl Pyramid {
    fn new(image: &Image) -> Self {
        let longer = image.width().max(image.height()) as usize;
        let step = longer.div_ceil(LONGER_SIDE).max(1);
        let mut levels = vec![Grey::of(image, step)];
        while levels.len() < LEVELS
            && let Some(last) = levels.last()
            && last.width >= 32
            && last.height >= 32
        {
            let half = last.half();
            levels.push(half);
        }
        for level in &mut levels {
            level.normalise();
        }
        Self { levels, scale: step as f32, size: (image.width(), image.height()) }
    }

    fn motion_to(&self, now: &Self) -> Option<CameraMotion> {
        if self.size != now.size {
            return None;
        }
        let mut motion = Similarity::default();
        let mut difference = f32::INFINITY;
        for (template, picture) in self.levels.iter().zip(&now.levels).rev() {
            motion.c *= 2.0;
            motion.d *= 2.0;
            (motion, difference) = template.align(picture, motion)?;
        }
        if difference > NO_MATCH {
            return None;
        }
        // From the middle of the small picture to the corner of the frame.
        let Grey { width, height, .. } = self.levels.first()?;
        let middle_x = *width as f32 * self.scale / 2.0;
        let middle_y = *height as f32 * self.scale / 2.0;
        let (p, q) = (1.0 + motion.a, motion.b);
        let shift_x = motion.c * self.scale + middle_x - p * middle_x + q * middle_y;
        let shift_y = motion.d * self.scale + middle_y - q * middle_x - p * middle_y;
        Some(CameraMotion { x: [p, -q, shift_x], y: [q, p, shift_y] })
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates in a small picture"
)]
impl Grey {
    /// The mean grey of squares of `step` pixels.
    fn of(image: &Image, step: usize) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (small_width, small_height) = ((width / step).max(1), (height / step).max(1));
        let rgb = image.rgb();
        let mut values = Vec::with_capacity(small_width * small_height);
        for y in 0..small_height {
            for x in 0..small_width {
                let mut sum = 0_u32;
                let mut count = 0_u32;
                for row in (y * step)..((y + 1) * step).min(height) {
                    let from = (row * width + x * step) * 3;
                    let to = (row * width + ((x + 1) * step).min(width)) * 3;
                    // Green alone is most of what the eye calls bright.
                    sum +=
                        rgb[from..to].iter().skip(1).step_by(3).map(|v| u32::from(*v)).sum::<u32>();
                    count += ((to - from) / 3) as u32;
                }
                values.push(sum as f32 / count.max(1) as f32);
            }
        }
        Self { width: small_width, height: small_height, values }
    }

    fn half(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let at = |x: usize, y: usize| self.values[y * self.width + x];
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let sum = at(2 * x, 2 * y)
                    + at(2 * x + 1, 2 * y)
                    + at(2 * x, 2 * y + 1)
                    + at(2 * x + 1, 2 * y + 1);
                values.push(sum / 4.0);
            }
        }
        Self { width, height, values }
    }

    /// Mean 0 and deviation 1.
    fn normalise(&mut self) {
        let count = self.values.len().max(1) as f32;
        let mean = self.values.iter().sum::<f32>() / count;
        let variance = self.values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
        let deviation = variance.sqrt().max(1e-3);
        for value in &mut self.values {
            *value = (*value - mean) / deviation;
        }
    }

    /// The value at a place between pixels; `None` outside.
    fn between(&self, x: f32, y: f32) -> Option<f32> {
        if !(x >= 0.0 && y >= 0.0 && x < (self.width - 1) as f32 && y < (self.height - 1) as f32) {
            return None;
        }
        let (left, top) = (x as usize, y as usize);
        let (u, v) = (x - left as f32, y - top as f32);
        let at = top * self.width + left;
        let above = self.values[at] * (1.0 - u) + self.values[at + 1] * u;
        let below = self.values[at + self.width] * (1.0 - u) + self.values[at + self.width + 1] * u;
        Some(above * (1.0 - v) + below * v)
    }

    /// The motion that lays this picture over `picture`, from a first guess, and the mean
    /// difference that is left.
    fn align(&self, picture: &Self, mut motion: Similarity) -> Option<(Similarity, f32)> {
        let mut difference = f32::INFINITY;
        for _ in 0..STEPS {
            let (step, left) = self.step(picture, &motion)?;
            difference = left;
            motion = motion.after_undoing(&step)?;
            let corner = (self.width + self.height) as f32 / 2.0;
            let moved = step.c.abs() + step.d.abs() + (step.a.abs() + step.b.abs()) * corner;
            if !moved.is_finite() {
                return None;
            }
            if moved < SMALL_STEP {
                break;
            }
        }
        Some((motion, difference))
    }

    /// One step of Gauss-Newton: how this picture has to be moved to differ less.
    fn step(&self, picture: &Self, motion: &Similarity) -> Option<(Similarity, f32)> {
        let (middle_x, middle_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        let mut normal = [[0.0_f64; 5]; 4];
        let (mut differences, mut count) = (0.0_f64, 0_u32);
        for row in 1..self.height.saturating_sub(1) {
            for column in 1..self.width.saturating_sub(1) {
                let at = row * self.width + column;
                let (x, y) = (column as f32 - middle_x, row as f32 - middle_y);
                let (there_x, there_y) = motion.apply(x, y);
                let Some(seen) = picture.between(there_x + middle_x, there_y + middle_y) else {
                    continue;
                };
                let error = seen - self.values[at];
                let dx = (self.values[at + 1] - self.values[at - 1]) / 2.0;
                let dy = (self.values[at + self.width] - self.values[at - self.width]) / 2.0;
                let slope = [dx * x + dy * y, dy * x - dx * y, dx, dy].map(f64::from);
                let weight = f64::from(if error.abs() > HUBER { HUBER / error.abs() } else { 1.0 });
                for (i, equation) in normal.iter_mut().enumerate() {
                    for j in 0..4 {
                        equation[j] += weight * slope[i] * slope[j];
                    }
                    equation[4] += weight * slope[i] * f64::from(error);
                }
                differences += f64::from(error.abs());
                count += 1;
            }
        }
        // Too little in common to tell.
        if (count as usize) < self.values.len() / 4 {
            return None;
        }
        let [a, b, c, d] = solve(normal)?.map(|value| value as f32);
        Some((Similarity { a, b, c, d }, (differences / f64::from(count)) as f32))
    }
}

/// Four equations with four unknowns, by elimination; `None` when they do not tell.
fn solve(mut rows: [[f64; 5]; 4]) -> Option<[f64; 4]> {
    for pivot in 0..4 {
        let best =
            (pivot..4).max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs()))?;
        rows.swap(pivot, best);
        if rows[pivot][pivot].abs() < 1e-9 {
            return None;
        }
        for other in (0..4).filter(|other| *other != pivot) {
            let factor = rows[other][pivot] / rows[pivot][pivot];
            let subtracted = rows[pivot].map(|value| factor * value);
            for (value, less) in rows[other].iter_mut().zip(subtracted).skip(pivot) {
                *value -= less;
            }
        }
    }
    Some(std::array::from_fn(|i| rows[i][4] / rows[i][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo as a camera sees it that is moved: what is at a place of the first picture is at
    /// `motion` of it in this one.
    fn seen(photo: &image::RgbImage, size: (u32, u32), motion: &CameraMotion, light: f32) -> Image {
        let [p, _, _] = motion.x;
        let [q, _, _] = motion.y;
        let square = p * p + q * q;
        let mut rgb = Vec::new();
        for y in 0..size.1 {
            for x in 0..size.0 {
                let (x, y) = (x as f32 - motion.x[2], y as f32 - motion.y[2]);
                // Into the middle of the photo, so that there is something beyond the edges.
                let there_x = (p * x + q * y) / square + 100.0;
                let there_y = (p * y - q * x) / square + 100.0;
                let (left, top) = (there_x.floor(), there_y.floor());
                let (u, v) = (there_x - left, there_y - top);
                for channel in 0..3 {
                    let at = |dx: u32, dy: u32| {
                        f32::from(photo.get_pixel(left as u32 + dx, top as u32 + dy)[channel])
                    };
                    let above = at(0, 0) * (1.0 - u) + at(1, 0) * u;
                    let below = at(0, 1) * (1.0 - u) + at(1, 1) * u;
                    let value = (above * (1.0 - v) + below * v) * light;
                    rgb.push(value.clamp(0.0, 255.0) as u8);
                }
            }
        }
        Image::new(size.0, size.1, rgb).unwrap()
    }

    #[test]
    fn shifts_turns_and_zooms_are_found_again() {
        let Some(file) = vigil_test_data::file("data/photos/bus.jpg") else { return };
        let photo = image::open(file).unwrap().into_rgb8();
        let size = (560, 640);
        let first = seen(&photo, size, &CameraMotion::NONE, 1.0);
        for (angle, zoom, shift, light) in [
            (0.0_f32, 1.0_f32, (0.0, 0.0), 1.0),
            (0.0, 1.0, (12.0, -7.0), 1.0),
            (0.02, 1.0, (3.0, 5.0), 1.0),
            (-0.01, 1.03, (-6.0, 2.0), 0.8),
        ] {
            let (p, q) = (zoom * angle.cos(), zoom * angle.sin());
            let moved = CameraMotion { x: [p, -q, shift.0], y: [q, p, shift.1] };
            let mut estimator = CameraEstimator::default();
            assert_eq!(estimator.next(&first), None);
            let found = estimator.next(&seen(&photo, size, &moved, light)).unwrap();
            for (x, y) in [(0.0, 0.0), (560.0, 0.0), (280.0, 320.0), (560.0, 640.0)] {
                let at = |m: &CameraMotion| {
                    (m.x[0] * x + m.x[1] * y + m.x[2], m.y[0] * x + m.y[1] * y + m.y[2])
                };
                let ((fx, fy), (ex, ey)) = (at(&found), at(&moved));
                let off = (fx - ex).hypot(fy - ey);
                assert!(off < 1.0, "{moved:?}: {off} pixels off at {x}, {y}: {found:?}");
            }
        }
    }

    #[test]
    fn a_cut_is_no_motion_and_neither_is_another_size() {
        let (Some(a), Some(b)) = (
            vigil_test_data::file("data/photos/bus.jpg"),
            vigil_test_data::file("data/photos/zidane.jpg"),
        ) else {
            return;
        };
        let size = (400, 400);
        let of = |file| {
            let photo = image::open(file).unwrap().into_rgb8();
            seen(&photo, size, &CameraMotion::NONE, 1.0)
        };
        let mut estimator = CameraEstimator::default();
        assert_eq!(estimator.next(&of(a)), None);
        assert_eq!(estimator.next(&of(b)), None);
        assert_eq!(estimator.next(&Image::new(1, 1, vec![0; 3]).unwrap()), None);
        assert_eq!(estimator.next(&Image::new(1, 1, vec![9; 3]).unwrap()), None);
        assert_eq!(estimator.next(&Image::new(64, 64, vec![9; 64 * 64 * 3]).unwrap()), None);
        assert_eq!(estimator.next(&Image::new(64, 64, vec![9; 64 * 64 * 3]).unwrap()), None);
    }
}
