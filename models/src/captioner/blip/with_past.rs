//! BLIP's decoder with a key-value cache: each step runs it on one token a row.
//!
//! `cross_attention.onnx` makes the decoder's keys and values of pictures once
//! (`encoder_hidden_states` to `present.0.encoder.key` …); `text_decoder_with_past.onnx` takes
//! `input_ids` (rows × 1), `past_key_values.0.decoder.key` … and `past_key_values.0.encoder.key` …
//! and gives `logits` (rows × 1 × vocabulary) and `present.0.decoder.key` …. Its rows are those of
//! the first picture, then those of the second, as many for each.

use super::super::decode::{Decoder, Row};
use super::super::past::Past;
use super::super::pixels::States;
use super::{ENCODER_STATES, IDS, LOGITS, TextDecoder};
use crate::ModelError;
use crate::backend::{Element, Input, Session};

pub(super) struct WithPast {
    cross: Session,
    decoder: Session,
    past: Past,
    pictures: Past,
    /// The pictures that `pictures` has, in its order.
    looked_at: Vec<usize>,
    /// For each row of the step before, its row in the graph.
    places: Vec<usize>,
}

impl WithPast {
    /// Checks the graphs' tensors.
    pub(super) fn new(cross: Session, decoder: Session) -> Result<Self, ModelError> {
        cross.expect_input(ENCODER_STATES, Element::F32, &[None, None, None])?;
        decoder.expect_input(IDS, Element::I64, &[None, None])?;
        decoder.expect_output(LOGITS, Element::F32, &[None, None, None])?;
        let past = Past::of(&decoder, &decoder, ".decoder.")?;
        let pictures = Past::of(&decoder, &cross, ".encoder.")?;
        if past.is_empty() || pictures.is_empty() {
            let names: Vec<String> = decoder.inputs().iter().map(ToString::to_string).collect();
            let detail = format!(
                "The graph's inputs \"past_key_values.0.decoder.key\" and \
                 \"past_key_values.0.encoder.key\" were expected, found {}.",
                names.join(", ")
            );
            return Err(ModelError::WrongTensors { name: decoder.name().into(), detail });
        }
        let (looked_at, places) = (Vec::new(), Vec::new());
        Ok(Self { cross, decoder, past, pictures, looked_at, places })
    }

    /// Lets go of pictures that have no rows any more.
    fn forget_finished(&mut self, rows: &[Row<'_>]) {
        let mut left: Vec<usize> = rows.iter().map(|row| row.picture).collect();
        left.dedup();
        if left != self.looked_at {
            let place = |picture| self.looked_at.iter().position(|&had| had == picture);
            let places: Vec<usize> = left.iter().filter_map(|&picture| place(picture)).collect();
            self.pictures.reorder(&places);
            self.looked_at = left;
        }
    }
}

impl TextDecoder for WithPast {
    fn look_at(&mut self, pictures: States) -> Result<(), ModelError> {
        let name = self.cross.name().to_owned();
        let input = Input::f32(ENCODER_STATES, &pictures.shape, &pictures.data);
        let outputs = self.cross.run(&[input])?;
        self.pictures.keep(&outputs, &name)?;
        self.looked_at = (0..pictures.shape[0]).collect();
        self.places = (0..pictures.shape[0]).collect();
        self.past.clear(pictures.shape[0]);
        Ok(())
    }
}

impl Decoder for WithPast {
    fn name(&self) -> &str {
        self.decoder.name()
    }

    fn step(&mut self, rows: &[Row<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError> {
        self.forget_finished(rows);
        let slots = slots(rows);
        let parents: Vec<usize> =
            slots.iter().map(|slot| self.places[rows[slot.row].parent]).collect();
        self.past.reorder(&parents);
        let last = |slot: &Slot| rows[slot.row].tokens.last().copied().unwrap_or_default();
        let ids: Vec<i64> = slots.iter().map(last).collect();
        let shape = [slots.len(), 1];
        let name = self.decoder.name().to_owned();
        let mut inputs = vec![Input::i64(IDS, &shape, &ids)];
        inputs.extend(self.past.inputs());
        inputs.extend(self.pictures.inputs());
        let outputs = self.decoder.run(&inputs)?;
        let (found, data) = outputs.f32(LOGITS)?;
        let vocabulary = found.get(2).copied().unwrap_or(0);
        if found[..] != [slots.len(), 1, vocabulary] || vocabulary == 0 {
            let detail = format!("the decoder gave \"{LOGITS}\" of shape {found:?}");
            return Err(ModelError::Run { name, detail });
        }
        self.places.clear();
        for (place, slot) in slots.iter().enumerate().filter(|(_, slot)| !slot.filler) {
            debug_assert_eq!(self.places.len(), slot.row);
            self.places.push(place);
            logits.extend_from_slice(&data[place * vocabulary..][..vocabulary]);
        }
        self.past.keep(&outputs, &name)
    }
}

/// A row of the graph.
struct Slot {
    /// The row of the step that is in it.
    row: usize,
    /// Whether it is there only so that each picture has as many.
    filler: bool,
}

/// The graph's rows: each picture's own, filled up to the number of the picture with most.
fn slots(rows: &[Row<'_>]) -> Vec<Slot> {
    let of_pictures: Vec<&[Row<'_>]> = rows.chunk_by(|a, b| a.picture == b.picture).collect();
    let most = of_pictures.iter().map(|own| own.len()).max().unwrap_or(0);
    let mut slots = Vec::with_capacity(most * of_pictures.len());
    let mut first = 0;
    for own in of_pictures {
        for at in 0..most {
            let filler = at >= own.len();
            slots.push(Slot { row: if filler { first } else { first + at }, filler });
        }
        first += own.len();
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_as_many_rows() {
        let row = |picture| Row { picture, parent: 0, tokens: &[] };
        let rows = [row(0), row(2), row(2), row(2), row(3), row(3)];
        let slots: Vec<(usize, bool)> =
            slots(&rows).iter().map(|slot| (slot.row, slot.filler)).collect();
        let expected = [
            (0, false),
            (0, true),
            (0, true),
            (1, false),
            (2, false),
            (3, false),
            (4, false),
            (5, false),
            (4, true),
        ];
        assert_eq!(slots, expected);
    }
}
