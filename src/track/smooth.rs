//! Gaussian-smoothed interpolation (Du et al., "StrongSORT: make DeepSORT great again", 2023,
//! section 3.5): the boxes that filled a gap are laid anew on the curve that a Gaussian process
//! finds through the detections on both sides, rather than on a straight line between two of them.
//!
//! Detections themselves are what the detector saw and stay as they are.

use std::collections::VecDeque;

use vigil_models::BBox;

use super::{Correction, TrackId};

/// The hyper-parameter τ of the length of the kernel (Du et al. 2023).
const TAU: f64 = 10.0;
/// Variance of a detection's place around the curve, over that of the curve around its trend. The
/// authors' code has next to none, which reproduces every jitter.
const NOISE: f64 = 0.01;
/// Detections of a track that the process looks at.
const KEPT: usize = 64;
/// Detections after a gap with which it is laid anew.
const AFTER: usize = 20;

/// A filled box as it was first laid.
#[derive(Clone, Copy, Debug)]
struct Filled {
    frame_number: i64,
    ts_micros: i64,
    class_id: u32,
    confidence: f32,
}

/// The detections and the filled gaps of a track.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    /// Frame and `x1, y1, x2, y2` of its last detections.
    seen: VecDeque<(i64, [f32; 4])>,
    /// Filled boxes that are still on a straight line.
    straight: Vec<Filled>,
    /// Detections since the last of them.
    after: usize,
}

impl Curve {
    /// Notes a detection of a track (`None` while it has no number) and, of `corrections`, the boxes
    /// that were filled before it. Writes the boxes of a gap that has enough detections behind it.
    pub fn note(
        &mut self,
        track: Option<TrackId>,
        frame_number: i64,
        bbox: &BBox,
        corrections: &mut Vec<Correction>,
    ) {
        let straight = self.straight.len();
        if let Some(track) = track {
            self.note_filled(track, corrections);
        }
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((frame_number, [bbox.x1, bbox.y1, bbox.x2, bbox.y2]));
        self.after = if self.straight.len() > straight { 1 } else { self.after.saturating_add(1) };
        if let Some(track) = track.filter(|_| self.after >= AFTER) {
            self.smooth(track, corrections);
        }
    }

    /// Notes the boxes of the track that `corrections` fill.
    pub fn note_filled(&mut self, track: TrackId, corrections: &[Correction]) {
        for correction in corrections {
            match *correction {
                Correction::Fill {
                    frame_number,
                    ts_micros,
                    track: of,
                    class_id,
                    confidence,
                    ..
                } if of == track => {
                    self.straight.push(Filled { frame_number, ts_micros, class_id, confidence });
                }
                _ => {}
            }
        }
    }

    /// Lays the boxes of all gaps that were filled since the last time.
    pub fn smooth(&mut self, track: TrackId, corrections: &mut Vec<Correction>) {
        let Some(first) = self.seen.front().map(|(frame_number, _)| *frame_number) else { return };
        self.straight.retain(|filled| filled.frame_number > first);
        if self.straight.is_empty() {
            return;
        }
        let Some(process) = Process::through(&self.seen) else { return };
        for filled in self.straight.drain(..) {
            let [x1, y1, x2, y2] = process.at(filled.frame_number);
            if !(x1 < x2 && y1 < y2) {
                continue;
            }
            corrections.push(Correction::Fill {
                frame_number: filled.frame_number,
                ts_micros: filled.ts_micros,
                track,
                class_id: filled.class_id,
                bbox: BBox::new(x1, y1, x2, y2),
                confidence: filled.confidence,
            });
        }
    }

    /// What `later` noted after this.
    pub fn extend(&mut self, later: Self) {
        self.seen.extend(later.seen);
        let surplus = self.seen.len().saturating_sub(KEPT);
        self.seen.drain(..surplus);
        self.straight.extend(later.straight);
        self.after = later.after;
    }
}

/// A Gaussian process with a radial kernel around a linear trend, one for each of four values.
struct Process {
    frames: Vec<f64>,
    /// Value at frame 0 and its change a frame, of each value.
    trend: [(f64, f64); 4],
    /// The kernel's weights of each frame, of each value.
    weights: Vec<[f64; 4]>,
    origin: i64,
    length: f64,
}

impl Process {
    fn through(seen: &VecDeque<(i64, [f32; 4])>) -> Option<Self> {
        let origin = seen.front()?.0;
        let since = |frame: i64| frame_span(frame.saturating_sub(origin));
        let frames: Vec<f64> = seen.iter().map(|(frame, _)| since(*frame)).collect();
        #[expect(clippy::cast_precision_loss, reason = "at most KEPT")]
        let count = seen.len() as f64;
        let length = (TAU * (TAU.powi(3) / count).ln()).clamp(1.0 / TAU, TAU * TAU);
        let mut trend = [(0.0, 0.0); 4];
        for (axis, trend) in trend.iter_mut().enumerate() {
            *trend = line(&frames, seen.iter().map(|(_, corners)| f64::from(corners[axis])));
        }
        let mut weights: Vec<[f64; 4]> = frames
            .iter()
            .zip(seen)
            .map(|(frame, (_, corners))| {
                std::array::from_fn(|axis| {
                    let (at_origin, slope) = trend[axis];
                    f64::from(corners[axis]) - at_origin - slope * frame
                })
            })
            .collect();
        solve(&frames, length, &mut weights)?;
        Some(Self { frames, trend, weights, origin, length })
    }

    fn at(&self, frame_number: i64) -> [f32; 4] {
        let frame = frame_span(frame_number.saturating_sub(self.origin));
        let mut values = self.trend.map(|(at_origin, slope)| at_origin + slope * frame);
        for (other, weights) in self.frames.iter().zip(&self.weights) {
            let near = kernel(frame - other, self.length);
            for (value, weight) in values.iter_mut().zip(weights) {
                *value += near * weight;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        values.map(|value| value as f32)
    }
}

#[expect(clippy::cast_precision_loss, reason = "frames of a track")]
fn frame_span(frames: i64) -> f64 {
    frames as f64
}

fn kernel(distance: f64, length: f64) -> f64 {
    (-0.5 * (distance / length).powi(2)).exp()
}

/// The least-squares line: its value at 0 and its slope.
pub(super) fn line(at: &[f64], values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "few values")]
    let count = at.len().max(1) as f64;
    let (middle, mean) = (at.iter().sum::<f64>() / count, values.clone().sum::<f64>() / count);
    let (mut spread, mut both) = (0.0, 0.0);
    for (at, value) in at.iter().zip(values) {
        spread += (at - middle) * (at - middle);
        both += (at - middle) * (value - mean);
    }
    let slope = if spread > 0.0 { both / spread } else { 0.0 };
    (mean - slope * middle, slope)
}

/// Solves `(K + NOISE·I) w = y` in place by Cholesky's decomposition; `None` where numbers fail.
fn solve(frames: &[f64], length: f64, values: &mut [[f64; 4]]) -> Option<()> {
    let count = frames.len();
    let mut lower = vec![0.0; count * count];
    for row in 0..count {
        for column in 0..=row {
            let mut sum = kernel(frames[row] - frames[column], length);
            if row == column {
                sum += NOISE;
            }
            for inner in 0..column {
                sum -= lower[row * count + inner] * lower[column * count + inner];
            }
            lower[row * count + column] = if row == column {
                (sum > 0.0).then(|| sum.sqrt())?
            } else {
                sum / lower[column * count + column]
            };
        }
    }
    for row in 0..count {
        for inner in 0..row {
            let factor = lower[row * count + inner];
            let solved = values[inner];
            for (value, solved) in values[row].iter_mut().zip(solved) {
                *value -= factor * solved;
            }
        }
        values[row] = values[row].map(|value| value / lower[row * count + row]);
    }
    for row in (0..count).rev() {
        for inner in row + 1..count {
            let factor = lower[inner * count + row];
            let solved = values[inner];
            for (value, solved) in values[row].iter_mut().zip(solved) {
                *value -= factor * solved;
            }
        }
        values[row] = values[row].map(|value| value / lower[row * count + row]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box that turns on a circle of 100 pixels, once in 160 frames.
    fn on_circle(frame: i64) -> BBox {
        let turn = frame_span(frame) / 160.0 * std::f64::consts::TAU;
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        let (x, y) = ((200.0 + 100.0 * turn.cos()) as f32, (200.0 + 100.0 * turn.sin()) as f32);
        BBox::new(x, y, x + 40.0, y + 100.0)
    }

    #[test]
    fn a_gap_in_a_turn_is_filled_on_the_turn() {
        let mut curve = Curve::default();
        let track = TrackId(7);
        let mut made = Vec::new();
        for frame in (0..20).chain(40..60) {
            let mut corrections = Vec::new();
            if frame == 40 {
                corrections.extend((20..40).map(|frame_number| Correction::Fill {
                    frame_number,
                    ts_micros: frame_number * 40_000,
                    track,
                    class_id: 3,
                    bbox: BBox::new(0.0, 0.0, 1.0, 1.0),
                    confidence: 0.5,
                }));
            }
            let given = corrections.len();
            curve.note(Some(track), frame, &on_circle(frame), &mut corrections);
            made.extend(corrections.drain(given..));
        }
        assert_eq!(made.len(), 20, "the gap is laid anew when 20 detections follow it");
        for correction in made {
            let Correction::Fill { frame_number, ts_micros, track: of, class_id, bbox, .. } =
                correction
            else {
                panic!("{correction:?}");
            };
            assert_eq!((of, class_id, ts_micros), (track, 3, frame_number * 40_000));
            let overlap = bbox.iou(&on_circle(frame_number));
            // The chord of the arc is 8 pixels off it in the middle.
            assert!(overlap > 0.9, "frame {frame_number}: {overlap}");
        }
        let mut again = Vec::new();
        curve.smooth(track, &mut again);
        assert_eq!(again, [], "what was laid stays");
    }

    #[test]
    fn few_or_equal_detections_are_no_trouble() {
        let track = TrackId(1);
        let mut curve = Curve::default();
        let mut corrections = Vec::new();
        curve.smooth(track, &mut corrections);
        curve.note(Some(track), 5, &on_circle(0), &mut corrections);
        corrections.push(Correction::Fill {
            frame_number: 6,
            ts_micros: 0,
            track,
            class_id: 0,
            bbox: on_circle(0),
            confidence: 0.5,
        });
        curve.note(Some(track), 7, &on_circle(0), &mut corrections);
        corrections.clear();
        curve.smooth(track, &mut corrections);
        let [Correction::Fill { bbox, .. }] = corrections[..] else { panic!("{corrections:?}") };
        assert!(bbox.iou(&on_circle(0)) > 0.999, "{bbox:?}");
    }
}
