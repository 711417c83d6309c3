//! Ranking again: a question and texts go in, a score for each text comes out. What it costs is a
//! run of a network for each text, so it is for the few that a search has found.

use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry};

mod cross_encoder;

/// A network that reads a question and a text together. One family a file, below `reranker/`.
pub trait Reranker: Send {
    /// How well each text answers the question, in order: the greater the better, on the network's
    /// own scale. A text that is longer than the model takes is cut.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails or gives NaN.
    fn rerank(&mut self, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError>;
}

/// Opens a reranker of one family.
pub(crate) type Open =
    fn(&Registry, &ModelEntry, SessionOptions) -> Result<Box<dyn Reranker>, ModelError>;

/// The families of rerankers, by the names that a manifest gives them.
pub(crate) const FAMILIES: [(&str, Open); 1] = [("cross-encoder", cross_encoder::open)];

/// Opens the reranker of a manifest entry and checks its tensors.
///
/// # Errors
/// As [`crate::open_detector`].
pub fn open_reranker(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Reranker>, ModelError> {
    let open = crate::family::find(&FAMILIES, "reranker", entry)?;
    open(registry, entry, options)
}
