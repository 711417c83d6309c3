//! Sentence embedders whose vector is the mean of their tokens' vectors (Reimers and Gurevych,
//! "Sentence-BERT", 2019).
//!
//! `tokenizer.json` (any kind that the tokenizers crate reads) and `model.onnx` with `input_ids`,
//! `attention_mask` and, where the graph has it, `token_type_ids`, to `last_hidden_state` (batch ×
//! tokens × dimensions). A text is trimmed and cut as sentence-transformers does; the mean is over
//! its own tokens, not the padding.

use tokenizers::{Tokenizer, TruncationParams};

use super::EmbedOptions;
use crate::backend::{Element, Input, RunsOn, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{Embedder, ModelError, Registry};

const GRAPH_FILE: &str = "model.onnx";
const TOKENIZER_FILE: &str = "tokenizer.json";

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";
const STATES: &str = "last_hidden_state";

/// Texts in one run at most.
const MAX_BATCH: usize = 32;

pub(super) struct MeanPooled {
    session: Session,
    tokenizer: Tokenizer,
    /// The token that fills shorter texts up. It is not looked at, but some networks (MPNet) count
    /// positions by it.
    pad: i64,
    with_types: bool,
    dimensions: usize,
}

impl MeanPooled {
    /// Opens the embedder of a manifest entry; `max_tokens` holds where the entry has no number.
    pub(super) fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: SessionOptions,
        max_tokens: usize,
    ) -> Result<Self, ModelError> {
        let max_tokens = entry.max_tokens.unwrap_or(max_tokens);
        let (tokenizer, pad) = open_tokenizer(&registry.file(entry, TOKENIZER_FILE)?, max_tokens)?;
        let graph = registry.graph(entry, GRAPH_FILE, options.half_precision)?;
        let session = Session::open(&entry.name, &graph, options)?;
        session.expect_input(IDS, Element::I64, &[None, None])?;
        session.expect_input(MASK, Element::I64, &[None, None])?;
        let with_types = session.inputs().iter().any(|input| input.name == TYPES);
        let states = session.expect_output(STATES, Element::F32, &[None, None, None])?;
        let dimensions = states.shape.get(2).copied().flatten().ok_or_else(|| {
            let detail = format!("The graph leaves the length of its vectors open: {states}.");
            ModelError::WrongTensors { name: entry.name.clone(), detail }
        })?;
        Ok(Self { session, tokenizer, pad, with_types, dimensions })
    }

    fn failed(&self, detail: String) -> ModelError {
        ModelError::Run { name: self.session.name().into(), detail }
    }

    fn tokens(&self, text: &str) -> Result<Vec<i64>, ModelError> {
        let encoding = self
            .tokenizer
            .encode_fast(text.trim(), true)
            .map_err(|error| self.failed(format!("a text could not be tokenized: {error}")))?;
        if encoding.get_ids().is_empty() {
            return Err(self.failed("a text has no tokens".into()));
        }
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }

    /// One run: a vector for each list of token ids, of which none is empty.
    fn embed_batch(
        &mut self,
        texts: &[&[i64]],
        options: EmbedOptions,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let mut ids = vec![self.pad; texts.len() * longest];
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
                pool(&states[..text.len() * self.dimensions], self.dimensions, options)
            })
            .collect();
        drop(outputs);
        pooled.ok_or_else(|| self.failed("a vector has no direction: it is zero or has NaN".into()))
    }
}

/// A tokenizer that cuts at `max_tokens` and does not pad, and its padding token.
pub(crate) fn open_tokenizer(
    path: &std::path::Path,
    max_tokens: usize,
) -> Result<(Tokenizer, i64), ModelError> {
    let bad = |error: tokenizers::Error| ModelError::BadFile {
        file: path.display().to_string(),
        detail: format!("It is no tokenizer: {error}."),
    };
    let mut tokenizer = Tokenizer::from_file(path).map_err(bad)?;
    let named = || ["[PAD]", "<pad>"].iter().find_map(|name| tokenizer.token_to_id(name));
    let pad = tokenizer.get_padding().map(|padding| padding.pad_id).or_else(named).unwrap_or(0);
    // A file may ask for padding to some length, which would be computed for nothing.
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(bad)?;
    Ok((tokenizer, i64::from(pad)))
}

impl Embedder for MeanPooled {
    fn runs_on(&self) -> &RunsOn {
        self.session.runs_on()
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(
        &mut self,
        texts: &[&str],
        options: EmbedOptions,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let tokens: Vec<Vec<i64>> =
            texts.iter().map(|text| self.tokens(text)).collect::<Result<_, _>>()?;
        // Texts of like length share a run, so that little is padded.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| tokens[i].len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in order.chunks(MAX_BATCH) {
            let batch_tokens: Vec<&[i64]> = batch.iter().map(|&i| &tokens[i][..]).collect();
            for (&i, vector) in batch.iter().zip(self.embed_batch(&batch_tokens, options)?) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }
}

/// The mean of some vectors of `dimensions` numbers, scaled to length 1 if asked for; `None` when
/// it has no direction.
fn pool(vectors: &[f32], dimensions: usize, options: EmbedOptions) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f32; dimensions];
    for vector in vectors.chunks_exact(dimensions) {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    let direction = crate::vector::direction(&sum)?;
    if options.normalize {
        return Some(direction);
    }
    let count = (vectors.len() / dimensions.max(1)) as f32;
    Some(sum.into_iter().map(|value| value / count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: EmbedOptions = EmbedOptions { normalize: true };

    #[test]
    fn the_mean_has_length_one_if_asked_for() {
        let pooled = pool(&[1.0, 0.0, 5.0, 8.0], 2, UNIT).unwrap();
        assert!((pooled[0] - 0.6).abs() < 1e-6 && (pooled[1] - 0.8).abs() < 1e-6);
        let plain = pool(&[1.0, 0.0, 5.0, 8.0], 2, EmbedOptions { normalize: false });
        assert_eq!(plain, Some(vec![3.0, 4.0]));
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        for options in [UNIT, EmbedOptions { normalize: false }] {
            assert!(pool(&[1.0, 1.0, -1.0, -1.0], 2, options).is_none());
            assert!(pool(&[1.0, f32::NAN], 2, options).is_none());
            assert!(pool(&[f32::INFINITY, 1.0], 2, options).is_none());
            assert!(pool(&[], 2, options).is_none());
        }
    }
}
