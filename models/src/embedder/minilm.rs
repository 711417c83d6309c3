//! MiniLM sentence embedders: a BERT encoder whose token vectors are averaged.
//!
//! `tokenizer.json` and `model.onnx` with `input_ids`, `attention_mask` and, where the graph has
//! it, `token_type_ids`, to `last_hidden_state` (batch × tokens × dimensions). A text is cut at
//! 256 tokens, as sentence-transformers does for this model; the mean is over its own tokens, not
//! the padding, and is then scaled to length 1.

use tokenizers::{Tokenizer, TruncationParams};

use crate::backend::{Element, Input, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{Embedder, ModelError, Registry};

const GRAPH_FILE: &str = "model.onnx";
const TOKENIZER_FILE: &str = "tokenizer.json";

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";
const STATES: &str = "last_hidden_state";

/// Tokens of a text at most, with the special ones: the model's `max_seq_length`.
const MAX_TOKENS: usize = 256;

/// Texts in one run at most.
const MAX_BATCH: usize = 32;

/// Opens the embedder of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Embedder>, ModelError> {
    let tokenizer = open_tokenizer(&registry.file(entry, TOKENIZER_FILE)?)?;
    let session = Session::open(&entry.name, &registry.file(entry, GRAPH_FILE)?, options)?;
    session.expect_input(IDS, Element::I64, &[None, None])?;
    session.expect_input(MASK, Element::I64, &[None, None])?;
    let with_types = session.inputs().iter().any(|input| input.name == TYPES);
    let states = session.expect_output(STATES, Element::F32, &[None, None, None])?;
    let dimensions = states.shape.get(2).copied().flatten().ok_or_else(|| {
        let detail = format!("The graph leaves the length of its vectors open: {states}.");
        ModelError::WrongTensors { name: entry.name.clone(), detail }
    })?;
    Ok(Box::new(MiniLm { session, tokenizer, with_types, dimensions }))
}

fn open_tokenizer(path: &std::path::Path) -> Result<Tokenizer, ModelError> {
    let bad = |error: tokenizers::Error| ModelError::BadFile {
        file: path.display().to_string(),
        detail: format!("It is no tokenizer: {error}."),
    };
    let mut tokenizer = Tokenizer::from_file(path).map_err(bad)?;
    // The file asks for padding to 128 tokens, which would be computed for nothing.
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: MAX_TOKENS, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(bad)?;
    Ok(tokenizer)
}

struct MiniLm {
    session: Session,
    tokenizer: Tokenizer,
    with_types: bool,
    dimensions: usize,
}

impl MiniLm {
    fn failed(&self, detail: String) -> ModelError {
        ModelError::Run { name: self.session.name().into(), detail }
    }

    /// One run: a vector for each list of token ids, of which none is empty.
    fn embed_batch(&mut self, texts: &[&[i64]]) -> Result<Vec<Vec<f32>>, ModelError> {
        let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let mut ids = vec![0; texts.len() * longest];
        let mut mask = vec![0; ids.len()];
        for (i, text) in texts.iter().enumerate() {
            ids[i * longest..][..text.len()].copy_from_slice(text);
            mask[i * longest..][..text.len()].fill(1);
        }
        let types = vec![0; ids.len()];
        let mut inputs = vec![Input::i64(IDS, &shape, &ids), Input::i64(MASK, &shape, &mask)];
        if self.with_types {
            inputs.push(Input::i64(TYPES, &shape, &types));
        }
        let outputs = self.session.run(&inputs)?;
        let (found, states) = outputs.f32(STATES)?;
        if found[..] != [texts.len(), longest, self.dimensions] {
            let detail = format!("the run gave \"{STATES}\" of shape {found:?}");
            drop(outputs);
            return Err(self.failed(detail));
        }
        let pooled: Option<Vec<Vec<f32>>> = texts
            .iter()
            .zip(states.chunks_exact(longest * self.dimensions))
            .map(|(text, states)| {
                mean_direction(&states[..text.len() * self.dimensions], self.dimensions)
            })
            .collect();
        drop(outputs);
        pooled.ok_or_else(|| self.failed("a vector has no direction: it is zero or has NaN".into()))
    }
}

impl Embedder for MiniLm {
    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut tokens = Vec::with_capacity(texts.len());
        for &text in texts {
            let encoding = self
                .tokenizer
                .encode_fast(text, true)
                .map_err(|error| self.failed(format!("a text could not be tokenized: {error}")))?;
            tokens.push(encoding.get_ids().iter().map(|&id| i64::from(id)).collect::<Vec<_>>());
        }
        // Texts of like length share a run, so that little is padded.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| tokens[i].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in order.chunks(MAX_BATCH) {
            let batch_tokens: Vec<&[i64]> = batch.iter().map(|&i| &tokens[i][..]).collect();
            for (&i, vector) in batch.iter().zip(self.embed_batch(&batch_tokens)?) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }
}

/// The mean of some vectors of `dimensions` numbers, scaled to length 1; `None` when that is not
/// possible.
fn mean_direction(vectors: &[f32], dimensions: usize) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f32; dimensions];
    for vector in vectors.chunks_exact(dimensions) {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    crate::vector::direction(&sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_length_one() {
        let pooled = mean_direction(&[1.0, 0.0, 5.0, 8.0], 2).unwrap();
        assert!((pooled[0] - 0.6).abs() < 1e-6 && (pooled[1] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        assert!(mean_direction(&[1.0, 1.0, -1.0, -1.0], 2).is_none());
        assert!(mean_direction(&[1.0, f32::NAN], 2).is_none());
        assert!(mean_direction(&[f32::INFINITY, 1.0], 2).is_none());
        assert!(mean_direction(&[], 2).is_none());
    }
}
