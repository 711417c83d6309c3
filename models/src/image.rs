//! A picture as models see it: packed RGB, 8 bits a channel, rows from top to bottom.

use crate::ModelError;

mod linear;
mod resize;

pub(crate) use self::resize::{Filter, Resizer};

/// A packed RGB picture (`height × width × 3` bytes, no row padding).
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Image {
    /// Wraps `rgb`, which must hold `width × height × 3` bytes.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when a side is zero or the length does not fit the sides.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, ModelError> {
        let expected = width as usize * height as usize * 3;
        if expected == 0 || rgb.len() != expected {
            return Err(ModelError::BadImage {
                detail: format!(
                    "an RGB picture of {width}x{height} pixels has {expected} bytes, got {}",
                    rgb.len()
                ),
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `R G B R G B …`, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, given away.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({}x{})", self.width, self.height)
    }
}
