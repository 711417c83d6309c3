//! Embedding: texts go in, vectors come out.

use crate::backend::{RunsOn, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry};

mod mean_pooled;
mod minilm;
mod mpnet;

pub(crate) use self::mean_pooled::open_tokenizer;

/// How texts are embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Whether vectors are scaled to length 1, so that their dot product is their cosine.
    pub normalize: bool,
}

impl Default for EmbedOptions {
    /// Length 1, as the guide has it.
    fn default() -> Self {
        Self { normalize: true }
    }
}

/// A network that turns text into a vector. One family a file, below `embedder/`.
pub trait Embedder: Send {
    /// The device that it runs on, and why.
    fn runs_on(&self) -> &RunsOn;

    /// The length of the vectors.
    fn dimensions(&self) -> usize;

    /// One vector of [`Embedder::dimensions`] numbers for each text, in order. A text that is
    /// longer than the model takes is cut.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or gives NaN; never a zero vector.
    fn embed(&mut self, texts: &[&str], options: EmbedOptions)
    -> Result<Vec<Vec<f32>>, ModelError>;
}

/// Opens an embedder of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Embedder>, ModelError>;

/// The families of embedders, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 2] = [("minilm", minilm::open), ("mpnet", mpnet::open)];

/// Opens the embedder of a manifest entry and checks its tensors.
///
/// # Errors
/// As [`crate::open_detector`].
pub fn open_embedder(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Embedder>, ModelError> {
    let open = crate::family::find(&FAMILIES, "embedder", entry)?;
    open(registry, entry, options)
}
