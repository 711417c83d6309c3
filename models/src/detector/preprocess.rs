//! Preparing pictures without a detector: for programs that run a network by themselves, and for
//! measuring.

use super::letterbox::{Letterbox, View};
use super::yolov8;
use crate::{Image, ModelError};

/// Letterboxes pictures into tensors as YOLOv8 takes them: red, green and blue planes in 0..=1, the
/// picture in the middle, its aspect kept. Keeps its buffers.
#[derive(Default)]
pub struct Letterboxer {
    letterbox: Letterbox,
}

impl Letterboxer {
    /// Fills `tensor`, which has 3 × height × width floats for an `input` of (width, height).
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when the input has no pixels or the tensor another length.
    pub fn fill(
        &mut self,
        image: &Image,
        input: (u32, u32),
        tensor: &mut [f32],
    ) -> Result<(), ModelError> {
        let expected = 3 * input.0 as usize * input.1 as usize;
        if expected == 0 || tensor.len() != expected {
            let (width, height) = input;
            let found = tensor.len();
            let detail =
                format!("A tensor of 3x{height}x{width} floats has {expected}, not {found}.");
            return Err(ModelError::BadImage { detail });
        }
        self.letterbox.fill(image, &yolov8::FIT, View::PLAIN, input, tensor).map(drop)
    }
}
