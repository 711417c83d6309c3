//! MiniLM sentence embedders of the sentence-transformers project: all-MiniLM-L6-v2, which was
//! trained on texts of 256 tokens, and with `max_tokens = 128` in the manifest
//! paraphrase-multilingual-MiniLM-L12-v2.

use super::mean_pooled::MeanPooled;
use crate::backend::SessionOptions;
use crate::manifest::ModelEntry;
use crate::{Embedder, ModelError, Registry};

/// all-MiniLM-L6-v2's `max_seq_length`.
const MAX_TOKENS: usize = 256;

/// Opens the embedder of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Embedder>, ModelError> {
    Ok(Box::new(MeanPooled::open(registry, entry, options, MAX_TOKENS)?))
}
