//! Letterboxing: a picture of any shape goes into a network's fixed one, its aspect kept.
//!
//! Out come a planar tensor (R, G, B; each `height × width` floats in 0..=1; grey borders of
//! 114/255) and the [`Placement`] that leads back from its pixels to the picture's.
//! Rounding follows Ultralytics' `LetterBox` and `scale_boxes`, so that boxes agree.

use crate::image::{Filter, Resizer};
use crate::{BBox, Image, ModelError};

/// The grey of the borders, as in training.
const BORDER: f32 = 114.0 / 255.0;

/// Where a picture lies in the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Input pixels per picture pixel.
    scale: f32,
    /// Columns of border before the picture.
    left: u32,
    /// Rows of border above the picture.
    top: u32,
    /// The picture's width in the input.
    width: u32,
    /// The picture's height in the input.
    height: u32,
}

impl Placement {
    /// The placement of a `picture` in an `input`, both (width, height) in pixels.
    pub(crate) fn new(picture: (u32, u32), input: (u32, u32)) -> Self {
        let scale = (f64::from(input.0) / f64::from(picture.0))
            .min(f64::from(input.1) / f64::from(picture.1));
        // A picture of one row or column keeps one, however long it is.
        let scaled = |side: u32, limit: u32| {
            ((f64::from(side) * scale).round_ties_even() as u32).clamp(1, limit)
        };
        let (width, height) = (scaled(picture.0, input.0), scaled(picture.1, input.1));
        // Half of the border, an odd pixel at the right and below.
        let (left, top) = ((input.0 - width) / 2, (input.1 - height) / 2);
        Self { scale: scale as f32, left, top, width, height }
    }

    /// A box of the input in the picture's pixels, not clipped.
    pub(crate) fn to_picture(self, bbox: BBox) -> BBox {
        let (left, top) = (self.left as f32, self.top as f32);
        BBox::new(
            (bbox.x1 - left) / self.scale,
            (bbox.y1 - top) / self.scale,
            (bbox.x2 - left) / self.scale,
            (bbox.y2 - top) / self.scale,
        )
    }
}

/// Letterboxes pictures into tensors of one size; keeps its buffers.
pub(crate) struct Letterbox {
    input: (u32, u32),
    resizer: Resizer,
}

impl Letterbox {
    /// For inputs of `width` × `height` pixels.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self { input: (width, height), resizer: Resizer::default() }
    }

    /// The floats that [`Letterbox::fill`] writes: 3 × height × width.
    pub(crate) fn tensor_len(&self) -> usize {
        3 * self.input.0 as usize * self.input.1 as usize
    }

    /// Writes `image` into `tensor`, which has [`Letterbox::tensor_len`] floats; all are written.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when the picture cannot be scaled.
    pub(crate) fn fill(
        &mut self,
        image: &Image,
        tensor: &mut [f32],
    ) -> Result<Placement, ModelError> {
        let placement = Placement::new((image.width(), image.height()), self.input);
        let pixels =
            self.resizer.resize(image, placement.width, placement.height, Filter::Bilinear)?;
        let columns = self.input.0 as usize;
        let (left, width) = (placement.left as usize, placement.width as usize);
        let (top, height) = (placement.top as usize, placement.height as usize);
        let plane = columns * self.input.1 as usize;
        let (red, rest) = tensor.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for channel in [&mut *red, &mut *green, &mut *blue] {
            channel[..top * columns].fill(BORDER);
            channel[(top + height) * columns..].fill(BORDER);
            if width < columns {
                for row in channel[top * columns..(top + height) * columns].chunks_mut(columns) {
                    row[..left].fill(BORDER);
                    row[left + width..].fill(BORDER);
                }
            }
        }
        for (y, row) in pixels.chunks_exact(width * 3).enumerate() {
            let at = (top + y) * columns + left;
            let target =
                (&mut red[at..][..width], &mut green[at..][..width], &mut blue[at..][..width]);
            planar_row(row, target);
        }
        Ok(placement)
    }
}

/// One row from packed bytes to floats in three planes.
fn planar_row(packed: &[u8], (red, green, blue): (&mut [f32], &mut [f32], &mut [f32])) {
    const SCALE: f32 = 1.0 / 255.0;
    let planes = red.iter_mut().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in packed.chunks_exact(3).zip(planes) {
        *red = f32::from(pixel[0]) * SCALE;
        *green = f32::from(pixel[1]) * SCALE;
        *blue = f32::from(pixel[2]) * SCALE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_picture_gets_borders_above_and_below() {
        let placement = Placement::new((768, 576), (640, 640));
        assert_eq!((placement.width, placement.height), (640, 480));
        assert_eq!((placement.left, placement.top), (0, 80));
        let bbox = placement.to_picture(BBox::new(320.0, 80.0, 640.0, 560.0));
        assert!((bbox.x1 - 384.0).abs() < 1e-3 && bbox.y1.abs() < 1e-3);
        assert!((bbox.x2 - 768.0).abs() < 1e-3 && (bbox.y2 - 576.0).abs() < 1e-3);
    }

    #[test]
    fn extreme_pictures_keep_a_pixel() {
        let long = Placement::new((4000, 1), (640, 640));
        assert_eq!((long.width, long.height), (640, 1));
        let small = Placement::new((1, 1), (640, 480));
        assert_eq!((small.width, small.height, small.left, small.top), (480, 480, 80, 0));
    }

    #[test]
    fn the_tensor_is_planar_with_grey_borders() {
        let image = Image::new(2, 1, vec![255, 0, 51, 0, 255, 102]).unwrap();
        let mut letterbox = Letterbox::new(2, 3);
        let mut tensor = vec![f32::NAN; letterbox.tensor_len()];
        letterbox.fill(&image, &mut tensor).unwrap();
        let grey = BORDER;
        let expected = [
            [grey, grey, 1.0, 0.0, grey, grey],
            [grey, grey, 0.0, 1.0, grey, grey],
            [grey, grey, 0.2, 0.4, grey, grey],
        ];
        for (found, expected) in tensor.iter().zip(expected.as_flattened()) {
            assert!((found - expected).abs() < 1e-6, "{tensor:?}");
        }
    }

    #[test]
    fn a_tall_picture_gets_borders_left_and_right() {
        let image = Image::new(1, 2, vec![255; 6]).unwrap();
        let mut letterbox = Letterbox::new(4, 2);
        let mut tensor = vec![f32::NAN; letterbox.tensor_len()];
        letterbox.fill(&image, &mut tensor).unwrap();
        let row = [BORDER, 1.0, BORDER, BORDER];
        assert!(tensor.chunks(4).all(|found| found == row), "{tensor:?}");
    }
}
