//! BLIP's decoder without a key-value cache: each step runs it on the whole sequences, all in one
//! batch, each with its picture's states.

use super::super::decode::{Decoder, Row};
use super::super::pixels::States;
use super::{ENCODER_STATES, IDS, LOGITS, TextDecoder};
use crate::ModelError;
use crate::backend::{Element, Input, Session};

const MASK: &str = "attention_mask";

pub(super) struct Whole {
    decoder: Session,
    pictures: States,
    /// The states of each row's picture, and which picture that is.
    states: Vec<f32>,
    states_of: Vec<usize>,
}

impl Whole {
    /// Checks the graph's tensors.
    pub(super) fn new(decoder: Session) -> Result<Self, ModelError> {
        decoder.expect_input(IDS, Element::I64, &[None, None])?;
        decoder.expect_input(MASK, Element::I64, &[None, None])?;
        decoder.expect_input(ENCODER_STATES, Element::F32, &[None, None, None])?;
        decoder.expect_output(LOGITS, Element::F32, &[None, None, None])?;
        let pictures = States { shape: [0; 3], data: Vec::new() };
        Ok(Self { decoder, pictures, states: Vec::new(), states_of: Vec::new() })
    }
}

impl TextDecoder for Whole {
    fn look_at(&mut self, pictures: States) -> Result<(), ModelError> {
        self.pictures = pictures;
        self.states_of.clear();
        Ok(())
    }
}

impl Decoder for Whole {
    fn name(&self) -> &str {
        self.decoder.name()
    }

    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        let [_, positions, width] = self.pictures.shape;
        if !rows.iter().map(|row| row.picture).eq(self.states_of.iter().copied()) {
            self.states_of = rows.iter().map(|row| row.picture).collect();
            self.states.clear();
            for &picture in &self.states_of {
                let one = positions * width;
                self.states.extend_from_slice(&self.pictures.data[picture * one..][..one]);
            }
        }
        let length = rows.first().map_or(0, |row| row.tokens.len());
        let ids: Vec<i64> = rows.iter().flat_map(|row| row.tokens.iter().copied()).collect();
        let mask = vec![1; ids.len()];
        let (text, states) = ([rows.len(), length], [rows.len(), positions, width]);
        let name = self.decoder.name().to_owned();
        let outputs = self.decoder.run(&[
            Input::i64(IDS, &text, &ids),
            Input::i64(MASK, &text, &mask),
            Input::f32(ENCODER_STATES, &states, &self.states),
        ])?;
        let (shape, data) = outputs.f32(LOGITS)?;
        match shape[..] {
            [found_rows, found_length, vocabulary]
                if found_rows == rows.len() && found_length == length && vocabulary > 0 =>
            {
                // Of each row, the last position says what comes next.
                for row in data.chunks_exact(length * vocabulary) {
                    logits.extend_from_slice(&row[(length - 1) * vocabulary..]);
                }
                Ok(())
            }
            _ => {
                let detail = format!("the decoder gave \"{LOGITS}\" of shape {shape:?}");
                Err(ModelError::Run { name, detail })
            }
        }
    }
}
