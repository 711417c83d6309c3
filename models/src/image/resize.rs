//! Scaling of pictures for networks: a picture and a size go in, packed RGB pixels come out.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};

use super::linear::Linear;
use crate::{Image, ModelError};

/// How pixels between pixels are made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Two by two neighbours whatever the scale, to the bit as OpenCV's `INTER_LINEAR`: what YOLO
    /// networks were trained and are measured with.
    Bilinear,
    /// Linear over a window that grows when shrinking, as Pillow's `BILINEAR`: what DETR networks'
    /// processors use.
    Triangle,
    /// Cubic with a = -1/2, over a wider window when shrinking, as Pillow's `BICUBIC`: what
    /// vision transformers' processors use.
    Bicubic,
}

/// Scales pictures into buffers that are kept from picture to picture.
#[derive(Default)]
pub(crate) struct Resizer {
    linear: Linear,
    inner: fast_image_resize::Resizer,
    narrowed: Vec<u8>,
    pixels: Vec<u8>,
}

impl Resizer {
    /// The picture in `width` × `height` pixels, which lie in the picture itself where it has that
    /// size already.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when a side is zero.
    pub(crate) fn resize<'a>(
        &'a mut self,
        image: &'a Image,
        width: u32,
        height: u32,
        filter: Filter,
    ) -> Result<&'a [u8], ModelError> {
        let size = (image.width(), image.height());
        if size == (width, height) {
            return Ok(image.rgb());
        }
        let kernel = match filter {
            Filter::Bilinear => {
                let sides = |(width, height): (u32, u32)| (width as usize, height as usize);
                if width == 0 || height == 0 {
                    let detail = "It cannot be scaled to nothing.".into();
                    return Err(ModelError::BadImage { detail });
                }
                let target = sides((width, height));
                self.linear.scale(image.rgb(), sides(size), target, &mut self.pixels);
                return Ok(&self.pixels);
            }
            Filter::Triangle => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel));
        let mut pass = |from: &[u8], from_size, to: &mut Vec<u8>, to_size| {
            scale(&mut self.inner, &options, (from, from_size), (to, to_size))
        };
        // Pillow scales the rows and then the columns, with bytes in between; in one call the
        // columns would come first, and pixels differ by a few steps.
        let narrowed = (width, image.height());
        pass(image.rgb(), size, &mut self.narrowed, narrowed)?;
        pass(&self.narrowed, narrowed, &mut self.pixels, (width, height))?;
        Ok(&self.pixels)
    }
}

/// Scales packed pixels of one (width, height) into a buffer of another.
fn scale(
    resizer: &mut fast_image_resize::Resizer,
    options: &ResizeOptions,
    (from, (from_width, from_height)): (&[u8], (u32, u32)),
    (to, (width, height)): (&mut Vec<u8>, (u32, u32)),
) -> Result<(), ModelError> {
    to.resize(width as usize * height as usize * 3, 0);
    let source = ImageRef::new(from_width, from_height, from, PixelType::U8x3)
        .map_err(|error| bad_image(&error))?;
    let mut target = Target::from_slice_u8(width, height, to, PixelType::U8x3)
        .map_err(|error| bad_image(&error))?;
    resizer.resize(&source, &mut target, options).map_err(|error| bad_image(&error))
}

fn bad_image(error: &dyn std::error::Error) -> ModelError {
    ModelError::BadImage { detail: format!("It could not be scaled: {error}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bilinear_takes_two_neighbours_even_when_shrinking() {
        // Four columns to one: the middle of the target lies between the second and the third.
        let image = Image::new(4, 1, [0, 100, 200, 0].iter().flat_map(|&v| [v; 3]).collect());
        let mut resizer = Resizer::default();
        let pixels = resizer.resize(image.as_ref().unwrap(), 1, 1, Filter::Bilinear).unwrap();
        assert_eq!(pixels, [150; 3]);
    }

    /// The numbers are Pillow's for `Image.resize((2, 2), Image.BICUBIC)`.
    #[test]
    fn bicubic_is_pillows() {
        let grey: Vec<u8> = (0..20).map(|i| (i * i % 251) as u8).collect();
        let image = Image::new(5, 4, grey.iter().flat_map(|&v| [v; 3]).collect()).unwrap();
        let mut resizer = Resizer::default();
        let pixels = resizer.resize(&image, 2, 2, Filter::Bicubic).unwrap();
        let first: Vec<u8> = pixels.iter().step_by(3).copied().collect();
        assert_eq!(first, [27, 53, 99, 120]);
    }

    #[test]
    fn a_picture_of_the_right_size_is_not_copied() {
        let image = Image::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let mut resizer = Resizer::default();
        let pixels = resizer.resize(&image, 2, 1, Filter::Bicubic).unwrap();
        assert_eq!(pixels.as_ptr(), image.rgb().as_ptr());
    }
}
