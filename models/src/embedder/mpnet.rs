//! MPNet sentence embedders of the sentence-transformers project: all-mpnet-base-v2.

use super::mean_pooled::MeanPooled;
use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{Embedder, ModelError, Registry};

/// all-mpnet-base-v2's `max_seq_length`.
const MAX_TOKENS: usize = 384;

/// Opens the embedder of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Embedder>, ModelError> {
    Ok(Box::new(MeanPooled::open(registry, entry, options, MAX_TOKENS)?))
}
