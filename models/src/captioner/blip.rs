//! BLIP: a vision encoder and a text decoder that attends to it, as two graphs.
//!
//! `vision_encoder.onnx` takes `pixel_values` (batch × 3 × H × W, scaled to a square, CLIP's mean
//! and deviation) and gives `last_hidden_state`; `text_decoder.onnx` takes `input_ids`,
//! `attention_mask` and `encoder_hidden_states` and gives `logits` (batch × tokens × vocabulary).
//! There is no key-value cache: each step runs the decoder on the whole sequence, all beams in one
//! batch. `vocab.txt` is BERT's.

use super::beam::Search;
use super::wordpiece::Vocabulary;
use crate::backend::{Element, Input, Session, SessionOptions};
use crate::image::{Filter, Resizer};
use crate::manifest::ModelEntry;
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

const ENCODER_FILE: &str = "vision_encoder.onnx";
const DECODER_FILE: &str = "text_decoder.onnx";
const VOCABULARY_FILE: &str = "vocab.txt";

const PIXELS: &str = "pixel_values";
const STATES: &str = "last_hidden_state";
const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const ENCODER_STATES: &str = "encoder_hidden_states";
const LOGITS: &str = "logits";

/// BLIP's `[DEC]`, which starts a caption, and BERT's `[SEP]`, which ends it.
const START: i64 = 30522;
const END: i64 = 102;

/// The side of the picture where the graph leaves it open, pixels.
const DEFAULT_SIDE: u32 = 384;

/// Mean and standard deviation of CLIP's pictures (R, G, B), with which BLIP was trained.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Opens the captioner of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Captioner>, ModelError> {
    Ok(Box::new(Blip::open(registry, entry, options)?))
}

/// Both graphs and the vocabulary, with buffers.
struct Blip {
    encoder: Session,
    decoder: Session,
    vocabulary: Vocabulary,
    /// (width, height) of the encoder's picture.
    input: (u32, u32),
    resizer: Resizer,
    pixels: Vec<f32>,
}

impl Blip {
    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: SessionOptions,
    ) -> Result<Self, ModelError> {
        let file = |name| registry.file(entry, name);
        let vocabulary = Vocabulary::open(&file(VOCABULARY_FILE)?)?;
        let encoder = Session::open(&entry.name, &file(ENCODER_FILE)?, options)?;
        let decoder = Session::open(&entry.name, &file(DECODER_FILE)?, options)?;
        let pixels = encoder.expect_input(PIXELS, Element::F32, &[None, Some(3), None, None])?;
        let side = |at: usize| {
            let found = pixels.shape.get(at).copied().flatten();
            found.and_then(|side| u32::try_from(side).ok()).unwrap_or(DEFAULT_SIDE)
        };
        let input = (side(3), side(2));
        encoder.expect_output(STATES, Element::F32, &[None, None, None])?;
        decoder.expect_input(IDS, Element::I64, &[None, None])?;
        decoder.expect_input(MASK, Element::I64, &[None, None])?;
        decoder.expect_input(ENCODER_STATES, Element::F32, &[None, None, None])?;
        decoder.expect_output(LOGITS, Element::F32, &[None, None, None])?;
        let (resizer, pixels) = (Resizer::default(), Vec::new());
        Ok(Self { encoder, decoder, vocabulary, input, resizer, pixels })
    }

    /// The caption's tokens, without start and end.
    fn tokens(&mut self, image: &Image, options: &CaptionOptions) -> Result<Vec<i64>, ModelError> {
        let num_beams = options.num_beams.max(1);
        let (positions, states) = self.encode(image, num_beams)?;
        let width = states.len() / num_beams / positions.max(1);
        let search = Search {
            start: START,
            end: END,
            num_beams,
            max_length: options.max_length,
            length_penalty: options.length_penalty,
        };
        let name = self.decoder.name().to_owned();
        let decoder = &mut self.decoder;
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        search.run(&name, |sequences, logits| {
            let (beams, length) = (sequences.len(), sequences.first().map_or(0, |s| s.len()));
            ids.clear();
            ids.extend(sequences.iter().flat_map(|sequence| sequence.iter()));
            mask.resize(ids.len(), 1);
            let (text, picture) = ([beams, length], [beams, positions, width]);
            let outputs = decoder.run(&[
                Input::i64(IDS, &text, &ids),
                Input::i64(MASK, &text, &mask[..ids.len()]),
                Input::f32(ENCODER_STATES, &picture, &states[..beams * positions * width]),
            ])?;
            let (shape, data) = outputs.f32(LOGITS)?;
            let [_, found_length, vocabulary] = shape[..] else { return Ok(()) };
            if found_length != length || data.len() != beams * length * vocabulary {
                let detail = format!("the decoder gave logits of shape {shape:?}");
                return Err(ModelError::Run { name: name.clone(), detail });
            }
            // Of each beam, the last position's row says what comes next.
            for beam in data.chunks_exact((length * vocabulary).max(1)) {
                logits.extend_from_slice(&beam[(length - 1) * vocabulary..]);
            }
            Ok(())
        })
    }

    /// The encoder's states of a picture, `copies` times one after the other, and how many
    /// positions one has.
    fn encode(&mut self, image: &Image, copies: usize) -> Result<(usize, Vec<f32>), ModelError> {
        let (width, height) = self.input;
        let packed = self.resizer.resize(image, width, height, Filter::Bicubic)?;
        let plane = width as usize * height as usize;
        self.pixels.resize(3 * plane, 0.0);
        for (channel, values) in self.pixels.chunks_exact_mut(plane).enumerate() {
            let (mean, deviation) = (MEAN[channel], DEVIATION[channel]);
            for (value, pixel) in values.iter_mut().zip(packed.chunks_exact(3)) {
                *value = (f32::from(pixel[channel]) / 255.0 - mean) / deviation;
            }
        }
        let shape = [1, 3, height as usize, width as usize];
        let outputs = self.encoder.run(&[Input::f32(PIXELS, &shape, &self.pixels)])?;
        let (shape, states) = outputs.f32(STATES)?;
        Ok((shape.get(1).copied().unwrap_or(0), states.repeat(copies)))
    }
}

impl Captioner for Blip {
    fn caption(&mut self, image: &Image, options: &CaptionOptions) -> Result<String, ModelError> {
        let tokens = self.tokens(image, options)?;
        let text = self.vocabulary.text(&tokens);
        let words = text.trim().trim_end_matches('.').trim_end();
        if words.is_empty() {
            let detail = "it ended the caption before the first word".into();
            return Err(ModelError::Run { name: self.decoder.name().into(), detail });
        }
        Ok(words.to_lowercase())
    }
}
