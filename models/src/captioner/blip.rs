//! BLIP: a vision encoder and a text decoder that attends to it.
//!
//! `vision_encoder.onnx` takes `pixel_values` (pictures × 3 × H × W, scaled to a square, CLIP's mean
//! and deviation) and gives `last_hidden_state`. The decoder is, by the files that the manifest
//! lists, one of
//!
//! - `text_decoder_with_past.onnx` and `cross_attention.onnx`, which keep the keys and values of
//!   past tokens and of pictures from step to step, or
//! - `text_decoder.onnx`, which is run on the whole sequence in each step.
//!
//! `vocab.txt` is BERT's; `generation_config.json`, where it is listed, says which tokens start and
//! end a caption. `models/export/blip.py` makes all of them.

use std::path::Path;

use serde::Deserialize;

use super::decode::{Decoder, Ends, decode};
use super::pixels::{States, VisionEncoder};
use super::wordpiece::Vocabulary;
use super::{Caption, spoken};
use crate::backend::{RunsOn, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::registry::half_name;
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

mod whole;
mod with_past;

const ENCODER_FILE: &str = "vision_encoder.onnx";
const DECODER_FILE: &str = "text_decoder.onnx";
const PAST_DECODER_FILE: &str = "text_decoder_with_past.onnx";
const CROSS_FILE: &str = "cross_attention.onnx";
const VOCABULARY_FILE: &str = "vocab.txt";
pub(super) const ENDS_FILE: &str = "generation_config.json";

const IDS: &str = "input_ids";
const ENCODER_STATES: &str = "encoder_hidden_states";
const LOGITS: &str = "logits";

/// BLIP's `[DEC]`, which starts a caption, and BERT's `[SEP]`, which ends it.
const START: i64 = 30522;
const END: i64 = 102;

/// The side of the picture where the graph leaves it open, pixels.
const DEFAULT_SIDE: u32 = 384;

/// Opens the captioner of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Captioner>, ModelError> {
    let vocabulary = Vocabulary::open(&registry.file(entry, VOCABULARY_FILE)?)?;
    let session = |file| {
        let path = registry.graph(entry, file, options.half_precision)?;
        Session::open(&entry.name, &path, options)
    };
    let encoder = VisionEncoder::new(session(ENCODER_FILE)?, DEFAULT_SIDE)?;
    let decoder: Box<dyn TextDecoder> = if has_graph(entry, PAST_DECODER_FILE) {
        Box::new(with_past::WithPast::new(session(CROSS_FILE)?, session(PAST_DECODER_FILE)?)?)
    } else {
        Box::new(whole::Whole::new(session(DECODER_FILE)?)?)
    };
    let (start, end) = ends(registry, entry)?.unwrap_or((START, END));
    Ok(Box::new(Blip { encoder, decoder, vocabulary, ends: Ends { prompt: vec![start], end } }))
}

fn has_file(entry: &ModelEntry, name: &str) -> bool {
    entry.files.iter().any(|file| file.name == name)
}

/// Whether the model has a graph, in whatever precision.
fn has_graph(entry: &ModelEntry, name: &str) -> bool {
    has_file(entry, name) || has_file(entry, &half_name(name))
}

/// The tokens that start and end a caption, when the model has a file that says so.
///
/// # Errors
/// [`ModelError::BadFile`] when the file does not say it.
pub(super) fn ends(
    registry: &Registry,
    entry: &ModelEntry,
) -> Result<Option<(i64, i64)>, ModelError> {
    if !has_file(entry, ENDS_FILE) {
        return Ok(None);
    }
    let path = registry.file(entry, ENDS_FILE)?;
    let (start, end) = read_ends(&path)
        .map_err(|detail| ModelError::BadFile { file: path.display().to_string(), detail })?;
    Ok(Some((start, end)))
}

fn read_ends(path: &Path) -> Result<(i64, i64), String> {
    /// The part of transformers' file that is needed.
    #[derive(Deserialize)]
    struct Config {
        bos_token_id: i64,
        eos_token_id: i64,
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{error}."))?;
    let config: Config = serde_json::from_str(&text)
        .map_err(|error| format!("It does not say which tokens start and end: {error}."))?;
    Ok((config.bos_token_id, config.eos_token_id))
}

/// A decoder that attends to pictures.
trait TextDecoder: Decoder + Send {
    /// Takes the pictures that the next steps are about.
    fn look_at(&mut self, pictures: States) -> Result<(), ModelError>;
}

/// The graphs and the vocabulary.
struct Blip {
    encoder: VisionEncoder,
    decoder: Box<dyn TextDecoder>,
    vocabulary: Vocabulary,
    ends: Ends,
}

impl Captioner for Blip {
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
        self.decoder.look_at(self.encoder.encode(images)?)?;
        let said = decode(&mut *self.decoder, images.len(), &self.ends, options)?;
        let name = self.decoder.name();
        said.into_iter()
            .map(|tokens| spoken(name, &self.vocabulary.text(&tokens), tokens))
            .collect()
    }
}
