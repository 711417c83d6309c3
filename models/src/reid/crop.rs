//! Cutting a box out of a picture.

use crate::{BBox, Image, ModelError};

/// The pixels of a box as a picture of its own.
///
/// The corners are cut to whole pixels as in BoxMOT's extractors, `x1..x2` and `y1..y2` rounded
/// towards zero; a box thinner than a pixel gets the one it lies in.
///
/// # Errors
/// [`ModelError::BadImage`] when no part of the box lies in the picture, or it has NaN.
pub(super) fn crop(image: &Image, bbox: &BBox) -> Result<Image, ModelError> {
    let outside = || ModelError::BadImage {
        detail: format!(
            "The box ({}, {}, {}, {}) has no pixel in a picture of {}x{}.",
            bbox.x1,
            bbox.y1,
            bbox.x2,
            bbox.y2,
            image.width(),
            image.height()
        ),
    };
    let (left, width) = span(bbox.x1, bbox.x2, image.width()).ok_or_else(outside)?;
    let (top, height) = span(bbox.y1, bbox.y2, image.height()).ok_or_else(outside)?;
    let stride = 3 * image.width() as usize;
    let mut rgb = Vec::with_capacity(3 * width as usize * height as usize);
    for row in image.rgb().chunks_exact(stride).skip(top as usize).take(height as usize) {
        rgb.extend_from_slice(&row[3 * left as usize..][..3 * width as usize]);
    }
    Image::new(width, height, rgb)
}

/// The first of the pixels between `from` and `to` on a side of `size` pixels, and how many there
/// are, at least 1.
fn span(from: f32, to: f32, size: u32) -> Option<(u32, u32)> {
    let overlaps = from < to && from < size as f32 && to > 0.0;
    if !overlaps {
        // Also where either is NaN.
        return None;
    }
    // Saturating: what lies past the edges is cut off.
    let first = (from.max(0.0) as u32).min(size - 1);
    let end = (to as u32).min(size).max(first + 1);
    Some((first, end - first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Image {
        Image::new(4, 3, (0..12).flat_map(|i| [i; 3]).collect()).unwrap()
    }

    fn firsts(bbox: BBox) -> Option<(u32, u32, Vec<u8>)> {
        let cut = crop(&picture(), &bbox).ok()?;
        Some((cut.width(), cut.height(), cut.rgb().iter().step_by(3).copied().collect()))
    }

    #[test]
    fn whole_pixels_inside_the_picture_are_taken() {
        let middle = firsts(BBox::new(1.0, 1.2, 3.9, 2.5));
        assert_eq!(middle, Some((2, 1, vec![5, 6])));
        let corner = firsts(BBox::new(-5.0, 1.0, 2.0, 99.0));
        assert_eq!(corner, Some((2, 2, vec![4, 5, 8, 9])));
        let thin = firsts(BBox::new(3.2, 2.1, 3.4, 2.2));
        assert_eq!(thin, Some((1, 1, vec![11])));
        let edge = firsts(BBox::new(3.999_999_8, 0.0, 4.0, 1.0));
        assert_eq!(edge, Some((1, 1, vec![3])));
    }

    #[test]
    fn what_is_no_box_in_the_picture_is_refused() {
        let nan = f32::NAN;
        for bbox in [
            BBox::new(4.0, 0.0, 9.0, 3.0),
            BBox::new(-9.0, 0.0, 0.0, 3.0),
            BBox::new(2.0, 0.0, 2.0, 3.0),
            BBox::new(3.0, 0.0, 1.0, 3.0),
            BBox::new(nan, 0.0, 1.0, 3.0),
            BBox::new(0.0, 0.0, nan, 3.0),
        ] {
            let error = crop(&picture(), &bbox).unwrap_err();
            assert!(matches!(error, ModelError::BadImage { .. }), "{error:?}");
        }
        let endless = firsts(BBox::new(f32::NEG_INFINITY, 0.0, f32::INFINITY, 1.0));
        assert_eq!(endless, Some((4, 1, vec![0, 1, 2, 3])));
    }
}
