//! Embedding: texts go in, vectors come out.

use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry};

mod minilm;

/// A network that turns text into a vector. One family a file, below `embedder/`.
pub trait Embedder: Send {
    /// The length of the vectors.
    fn dimensions(&self) -> usize;

    /// One L2-normalised vector of [`Embedder::dimensions`] numbers for each text, in order.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or gives NaN; never a zero vector.
    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// Opens an embedder of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Embedder>, ModelError>;

/// The families of embedders, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 1] = [("minilm", minilm::open)];

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
