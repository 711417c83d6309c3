//! BLIP-2 with a decoder-only language model (OPT): a frozen vision encoder, the Q-Former that asks
//! it questions, and a language model that continues the answers (Li et al., "BLIP-2", 2023).
//!
//! - `vision_encoder.onnx`: `pixel_values` to `last_hidden_state`
//! - `qformer.onnx`: `encoder_hidden_states` to `query_output` (pictures × queries × width)
//! - `language_projection.onnx`: `query_output` to `inputs_embeds`, the language model's vectors
//! - `embed_tokens.onnx`: `input_ids` to `inputs_embeds`
//! - `text_decoder_with_past.onnx`: `inputs_embeds`, `attention_mask`, `past_key_values.0.key` … to
//!   `logits` and `present.0.key` …
//! - `tokenizer.json` (byte-pair encoding) and `generation_config.json`
//!
//! A caption continues the picture's vectors and the start token. `models/export/blip2.py` makes the
//! files.

use tokenizers::Tokenizer;

use super::decode::{Decoder, Ends, Row, decode};
use super::past::Past;
use super::pixels::{States, VisionEncoder};
use super::{Caption, spoken};
use crate::backend::{Element, Input, RunsOn, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

const ENCODER_FILE: &str = "vision_encoder.onnx";
const QFORMER_FILE: &str = "qformer.onnx";
const PROJECTION_FILE: &str = "language_projection.onnx";
const EMBEDDING_FILE: &str = "embed_tokens.onnx";
const DECODER_FILE: &str = "text_decoder_with_past.onnx";
const TOKENIZER_FILE: &str = "tokenizer.json";

const ENCODER_STATES: &str = "encoder_hidden_states";
const QUERIES: &str = "query_output";
const IDS: &str = "input_ids";
const EMBEDS: &str = "inputs_embeds";
const MASK: &str = "attention_mask";
const LOGITS: &str = "logits";

/// OPT's `</s>`, which starts a text, and the line end that BLIP-2 was trained to end captions with.
const START: i64 = 2;
const END: i64 = 50118;

/// The side of the picture where the graph leaves it open, pixels.
const DEFAULT_SIDE: u32 = 224;

/// Opens the captioner of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Captioner>, ModelError> {
    let path = registry.file(entry, TOKENIZER_FILE)?;
    let tokenizer = Tokenizer::from_file(&path).map_err(|error| ModelError::BadFile {
        file: path.display().to_string(),
        detail: format!("It is no tokenizer: {error}."),
    })?;
    let session = |file| {
        let path = registry.graph(entry, file, options.half_precision)?;
        Session::open(&entry.name, &path, options)
    };
    let encoder = VisionEncoder::new(session(ENCODER_FILE)?, DEFAULT_SIDE)?;
    let three = [None; 3];
    let qformer = session(QFORMER_FILE)?;
    qformer.expect_input(ENCODER_STATES, Element::F32, &three)?;
    qformer.expect_output(QUERIES, Element::F32, &three)?;
    let projection = session(PROJECTION_FILE)?;
    projection.expect_input(QUERIES, Element::F32, &three)?;
    projection.expect_output(EMBEDS, Element::F32, &three)?;
    let embedding = session(EMBEDDING_FILE)?;
    embedding.expect_input(IDS, Element::I64, &[None, None])?;
    embedding.expect_output(EMBEDS, Element::F32, &three)?;
    let (start, end) = super::blip::ends(registry, entry)?.unwrap_or((START, END));
    let decoder = LanguageModel::new(embedding, session(DECODER_FILE)?, start)?;
    // As in transformers, the picture and the start are no part of what was said.
    let ends = Ends { prompt: Vec::new(), end };
    Ok(Box::new(Blip2 { encoder, qformer, projection, decoder, tokenizer, ends }))
}

struct Blip2 {
    encoder: VisionEncoder,
    qformer: Session,
    projection: Session,
    decoder: LanguageModel,
    tokenizer: Tokenizer,
    ends: Ends,
}

impl Captioner for Blip2 {
    fn runs_on(&self) -> &RunsOn {
        self.encoder.runs_on()
    }

    fn caption(
        &mut self,
        images: &[&Image],
        options: &CaptionOptions,
    ) -> Result<Vec<Caption>, ModelError> {
        options.check()?;
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.encoder.encode(images)?;
        let queries = through(&mut self.qformer, ENCODER_STATES, &states, QUERIES)?;
        let pictures = through(&mut self.projection, QUERIES, &queries, EMBEDS)?;
        self.decoder.read(pictures);
        let said = decode(&mut self.decoder, images.len(), &self.ends, options)?;
        let name = self.decoder.name();
        said.into_iter()
            .map(|tokens| {
                let ids: Vec<u32> =
                    tokens.iter().filter_map(|&token| u32::try_from(token).ok()).collect();
                let text = self.tokenizer.decode(&ids, true).map_err(|error| ModelError::Run {
                    name: name.into(),
                    detail: format!("its tokens are no text: {error}"),
                })?;
                spoken(name, &text, tokens)
            })
            .collect()
    }
}

/// What a graph with one input and one output makes of some states.
fn through(
    session: &mut Session,
    input: &str,
    states: &States,
    output: &str,
) -> Result<States, ModelError> {
    let name = session.name().to_owned();
    let outputs = session.run(&[Input::f32(input, &states.shape, &states.data)])?;
    let (found, data) = outputs.f32(output)?;
    match found[..] {
        [pictures, positions, width]
            if pictures == states.shape[0] && data.len() == pictures * positions * width =>
        {
            Ok(States { shape: [pictures, positions, width], data: data.to_vec() })
        }
        _ => {
            let detail = format!("the run gave \"{output}\" of shape {found:?}");
            Err(ModelError::Run { name, detail })
        }
    }
}

/// The language model: the graph that turns tokens into vectors, and the one that continues them.
struct LanguageModel {
    embedding: Session,
    decoder: Session,
    start: i64,
    past: Past,
    /// The pictures' vectors, until the first step.
    pictures: Option<States>,
    /// How many vectors each row has in the past.
    length: usize,
}

impl LanguageModel {
    fn new(embedding: Session, decoder: Session, start: i64) -> Result<Self, ModelError> {
        decoder.expect_input(EMBEDS, Element::F32, &[None; 3])?;
        decoder.expect_input(MASK, Element::I64, &[None, None])?;
        decoder.expect_output(LOGITS, Element::F32, &[None; 3])?;
        let past = Past::of(&decoder, &decoder, ".")?;
        if past.is_empty() {
            decoder.expect_input("past_key_values.0.key", Element::F32, &[None; 4])?;
        }
        Ok(Self { embedding, decoder, start, past, pictures: None, length: 0 })
    }

    /// Takes the vectors of the pictures that the next steps are about.
    fn read(&mut self, pictures: States) {
        self.past.clear(pictures.shape[0]);
        self.length = 0;
        self.pictures = Some(pictures);
    }

    /// The vectors that a step adds to each row: in the first one those of its picture and of the
    /// start token, later that of its last token.
    fn vectors(&mut self, rows: &[Row<'_>]) -> Result<States, ModelError> {
        let last = |row: &Row<'_>| row.tokens.last().copied().unwrap_or(self.start);
        let ids: Vec<i64> = rows.iter().map(last).collect();
        let name = self.embedding.name().to_owned();
        let shape = [rows.len(), 1];
        let outputs = self.embedding.run(&[Input::i64(IDS, &shape, &ids)])?;
        let (found, tokens) = outputs.f32(EMBEDS)?;
        let width = found.get(2).copied().unwrap_or(0);
        let pictures = self.pictures.take();
        let fits = pictures.as_ref().is_none_or(|pictures| {
            pictures.shape[2] == width && rows.iter().all(|row| row.picture < pictures.shape[0])
        });
        if found[..] != [rows.len(), 1, width] || width == 0 || !fits {
            let detail = format!("the run gave \"{EMBEDS}\" of shape {found:?}");
            return Err(ModelError::Run { name, detail });
        }
        let Some(States { shape: [_, queries, _], data }) = pictures else {
            return Ok(States { shape: [rows.len(), 1, width], data: tokens.to_vec() });
        };
        let one = queries * width;
        let mut all = Vec::with_capacity(rows.len() * (one + width));
        for (row, token) in rows.iter().zip(tokens.chunks_exact(width)) {
            all.extend_from_slice(&data[row.picture * one..][..one]);
            all.extend_from_slice(token);
        }
        Ok(States { shape: [rows.len(), queries + 1, width], data: all })
    }
}

impl Decoder for LanguageModel {
    fn name(&self) -> &str {
        self.decoder.name()
    }

    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        let vectors = self.vectors(rows)?;
        let [count, added, _] = vectors.shape;
        let parents: Vec<usize> = rows.iter().map(|row| row.parent).collect();
        self.past.reorder(&parents);
        let shape = [count, self.length + added];
        let mask = vec![1; count * shape[1]];
        let name = self.decoder.name().to_owned();
        let mut inputs = vec![
            Input::f32(EMBEDS, &vectors.shape, &vectors.data),
            Input::i64(MASK, &shape, &mask),
        ];
        inputs.extend(self.past.inputs());
        let outputs = self.decoder.run(&inputs)?;
        let (found, data) = outputs.f32(LOGITS)?;
        let vocabulary = found.get(2).copied().unwrap_or(0);
        if found[..] != [count, added, vocabulary] || vocabulary == 0 {
            let detail = format!("the decoder gave \"{LOGITS}\" of shape {found:?}");
            return Err(ModelError::Run { name, detail });
        }
        for row in data.chunks_exact(added * vocabulary) {
            logits.extend_from_slice(&row[(added - 1) * vocabulary..]);
        }
        self.past.keep(&outputs, &name)?;
        self.length += added;
        Ok(())
    }
}
