//! Captioning: a picture goes in, a sentence comes out.

use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{Image, ModelError, Registry};

mod beam;
mod blip;
mod wordpiece;

/// How a caption is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionOptions {
    /// Beams of the search; 1 is greedy.
    pub num_beams: usize,
    /// Longest caption, in tokens with the start token.
    pub max_length: usize,
    /// The exponent of the length by which a finished beam's score is divided.
    pub length_penalty: f32,
}

impl Default for CaptionOptions {
    /// The guide's values: 5 beams, 50 tokens, length penalty 1.
    fn default() -> Self {
        Self { num_beams: 5, max_length: 50, length_penalty: 1.0 }
    }
}

/// A network that describes a picture. One family a file, below `captioner/`.
pub trait Captioner: Send {
    /// The model's own words for the picture: lower case, no full stop, never empty.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or says nothing.
    fn caption(&mut self, image: &Image, options: &CaptionOptions) -> Result<String, ModelError>;
}

/// Opens a captioner of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Captioner>, ModelError>;

/// The families of captioners, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 1] = [("blip", blip::open)];

/// Opens the captioner of a manifest entry and checks its tensors.
///
/// # Errors
/// As [`crate::open_detector`].
pub fn open_captioner(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Captioner>, ModelError> {
    let open = crate::family::find(&FAMILIES, "captioner", entry)?;
    open(registry, entry, options)
}
