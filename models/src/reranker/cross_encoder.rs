//! Cross-encoders of the sentence-transformers project (Nogueira and Cho, "Passage Re-ranking with
//! BERT", 2019), such as ms-marco-MiniLM.
//!
//! `tokenizer.json`, which makes one list of tokens of a pair of texts, and `model.onnx` with
//! `input_ids`, `attention_mask` and, where the graph has it, `token_type_ids`, to `logits` (batch ×
//! 1). The score is the logit: a sigmoid would not change the order.

use tokenizers::Tokenizer;

use crate::backend::{Element, Input, Session, SessionOptions};
use crate::embedder::open_tokenizer;
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry, Reranker};

const GRAPH_FILE: &str = "model.onnx";
const TOKENIZER_FILE: &str = "tokenizer.json";

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";
const LOGITS: &str = "logits";

/// BERT's longest input.
const MAX_TOKENS: usize = 512;

/// Pairs in one run at most.
const MAX_BATCH: usize = 16;

struct CrossEncoder {
    session: Session,
    tokenizer: Tokenizer,
    /// The token that fills shorter pairs up.
    pad: i64,
    with_types: bool,
}

/// Opens the reranker of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Reranker>, ModelError> {
    let max_tokens = entry.max_tokens.unwrap_or(MAX_TOKENS);
    let (tokenizer, pad) = open_tokenizer(&registry.file(entry, TOKENIZER_FILE)?, max_tokens)?;
    let session = Session::open(&entry.name, &registry.file(entry, GRAPH_FILE)?, options)?;
    session.expect_input(IDS, Element::I64, &[None, None])?;
    session.expect_input(MASK, Element::I64, &[None, None])?;
    session.expect_output(LOGITS, Element::F32, &[None, Some(1)])?;
    let with_types = session.inputs().iter().any(|input| input.name == TYPES);
    Ok(Box::new(CrossEncoder { session, tokenizer, pad, with_types }))
}

/// The tokens of a question and a text, and which of the two each belongs to.
struct Pair {
    ids: Vec<i64>,
    types: Vec<i64>,
}

impl CrossEncoder {
    fn failed(&self, detail: String) -> ModelError {
        ModelError::Run { name: self.session.name().into(), detail }
    }

    fn pair(&self, question: &str, text: &str) -> Result<Pair, ModelError> {
        let encoding = self
            .tokenizer
            .encode_fast((question.trim(), text.trim()), true)
            .map_err(|error| self.failed(format!("a text could not be tokenized: {error}")))?;
        if encoding.get_ids().is_empty() {
            return Err(self.failed("a pair of texts has no tokens".into()));
        }
        let wide = |values: &[u32]| values.iter().map(|&value| i64::from(value)).collect();
        Ok(Pair { ids: wide(encoding.get_ids()), types: wide(encoding.get_type_ids()) })
    }

    fn score_batch(&mut self, pairs: &[&Pair]) -> Result<Vec<f32>, ModelError> {
        let longest = pairs.iter().map(|pair| pair.ids.len()).max().unwrap_or(0);
        let shape = [pairs.len(), longest];
        let mut ids = vec![self.pad; pairs.len() * longest];
        let (mut mask, mut types) = (vec![0; ids.len()], vec![0; ids.len()]);
        for (i, pair) in pairs.iter().enumerate() {
            ids[i * longest..][..pair.ids.len()].copy_from_slice(&pair.ids);
            mask[i * longest..][..pair.ids.len()].fill(1);
            types[i * longest..][..pair.types.len()].copy_from_slice(&pair.types);
        }
        let mut inputs = vec![Input::i64(IDS, &shape, &ids), Input::i64(MASK, &shape, &mask)];
        if self.with_types {
            inputs.push(Input::i64(TYPES, &shape, &types));
        }
        let outputs = self.session.run(&inputs)?;
        let (found, logits) = outputs.f32(LOGITS)?;
        let right = found[..] == [pairs.len(), 1] && logits.iter().all(|logit| !logit.is_nan());
        let scores = logits.to_vec();
        let found = format!("{found:?}");
        drop(outputs);
        if right {
            return Ok(scores);
        }
        Err(self.failed(format!("the run gave \"{LOGITS}\" of shape {found}, or NaN in it")))
    }
}

impl Reranker for CrossEncoder {
    fn rerank(&mut self, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let pairs: Vec<Pair> =
            texts.iter().map(|text| self.pair(question, text)).collect::<Result<_, _>>()?;
        // Pairs of like length share a run, so that little is padded.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| pairs[i].ids.len());
        let mut scores = vec![0.0; texts.len()];
        for batch in order.chunks(MAX_BATCH) {
            let in_batch: Vec<&Pair> = batch.iter().map(|&i| &pairs[i]).collect();
            for (&i, score) in batch.iter().zip(self.score_batch(&in_batch)?) {
                scores[i] = score;
            }
        }
        Ok(scores)
    }
}
