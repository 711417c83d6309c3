//! Captioning: pictures go in, sentences come out.

use crate::backend::{RunsOn, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{Image, ModelError, Registry};

mod beam;
mod blip;
mod blip2;
mod decode;
mod logits;
mod options;
mod past;
mod pixels;
mod sample;
mod wordpiece;

pub use self::options::{CaptionOptions, EarlyStopping, Sampling};

/// What a captioner says about a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// The model's own words: lower case, no full stop, never empty.
    pub text: String,
    /// The token ids that the words are made of, without those that start and end a caption.
    pub tokens: Vec<i64>,
}

/// A network that describes pictures. One family a file, below `captioner/`.
pub trait Captioner: Send {
    /// The device that it runs on, and why.
    fn runs_on(&self) -> &RunsOn;

    /// A caption for each picture, in order; the pictures of one call share the network's runs.
    ///
    /// # Errors
    /// [`ModelError::BadOptions`] for options that mean nothing, [`ModelError::Run`] when the
    /// network fails or says nothing about a picture.
    fn caption(
        &mut self,
        images: &[&Image],
        options: &CaptionOptions,
    ) -> Result<Vec<Caption>, ModelError>;
}

/// Opens a captioner of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Captioner>, ModelError>;

/// The families of captioners, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 2] = [("blip", blip::open), ("blip2", blip2::open)];

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

/// The model's words as a caption.
///
/// # Errors
/// [`ModelError::Run`] when there are none.
fn spoken(name: &str, text: &str, tokens: Vec<i64>) -> Result<Caption, ModelError> {
    let words = text.trim().trim_end_matches('.').trim_end();
    if words.is_empty() {
        let detail = "it ended the caption before the first word".into();
        return Err(ModelError::Run { name: name.into(), detail });
    }
    Ok(Caption { text: words.to_lowercase(), tokens })
}
