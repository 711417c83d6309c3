//! AFLink, the appearance-free link of StrongSORT (Du et al., "StrongSORT: make DeepSORT great
//! again", 2023, section 3.4).
//!
//! `model.onnx` with `earlier` and `later`, each batch × 1 × 30 × 3 (frame, left, top), to
//! `linked`, batch × 2, of which the second is the probability of one object
//! (`models/export/aflink.py`). Numbers are made ready as its authors' code does it: a track of
//! fewer than 30 places has zeros before the earlier and behind the later one, and each of the three
//! columns is laid into -1..=1 over both tracks, zeros included.

use super::{Linker, Place, TrackPair};
use crate::backend::{Element, Input, Session, SessionOptions};
use crate::manifest::ModelEntry;
use crate::{ModelError, Registry};

const GRAPH_FILE: &str = "model.onnx";
const EARLIER: &str = "earlier";
const LATER: &str = "later";
const LINKED: &str = "linked";

/// Places of a track that the network takes.
const PLACES: usize = 30;
/// Numbers of a place.
const COLUMNS: usize = 3;
/// Pairs in one run at most.
const MAX_BATCH: usize = 64;
/// What keeps a column without spread from being divided by zero (as published).
const LEAST_SPREAD: f64 = 1e-5;

struct AfLink {
    session: Session,
}

/// Opens the linker of a manifest entry.
pub(super) fn open(
    registry: &Registry,
    entry: &ModelEntry,
    options: SessionOptions,
) -> Result<Box<dyn Linker>, ModelError> {
    let session = Session::open(&entry.name, &registry.file(entry, GRAPH_FILE)?, options)?;
    let places = [None, Some(1), Some(PLACES), Some(COLUMNS)];
    session.expect_input(EARLIER, Element::F32, &places)?;
    session.expect_input(LATER, Element::F32, &places)?;
    session.expect_output(LINKED, Element::F32, &[None, Some(2)])?;
    Ok(Box::new(AfLink { session }))
}

impl AfLink {
    fn run(&mut self, pairs: &[TrackPair]) -> Result<Vec<f32>, ModelError> {
        let (mut earlier, mut later) = (Vec::new(), Vec::new());
        for pair in pairs {
            let [first, second] = prepared(pair);
            earlier.extend_from_slice(first.as_flattened());
            later.extend_from_slice(second.as_flattened());
        }
        let name = self.session.name().to_owned();
        let failed = |detail: String| ModelError::Run { name: name.clone(), detail };
        let shape = [pairs.len(), 1, PLACES, COLUMNS];
        let inputs = [Input::f32(EARLIER, &shape, &earlier), Input::f32(LATER, &shape, &later)];
        let outputs = self.session.run(&inputs)?;
        let (found, linked) = outputs.f32(LINKED)?;
        if found[..] != [pairs.len(), 2] || linked.iter().any(|number| number.is_nan()) {
            let detail = format!("the run gave \"{LINKED}\" of shape {found:?}, or NaN in it");
            return Err(failed(detail));
        }
        Ok(linked.chunks_exact(2).map(|of_pair| of_pair[1].clamp(0.0, 1.0)).collect())
    }
}

impl Linker for AfLink {
    fn link(&mut self, pairs: &[TrackPair]) -> Result<Vec<f32>, ModelError> {
        let mut linked = Vec::with_capacity(pairs.len());
        for batch in pairs.chunks(MAX_BATCH) {
            linked.append(&mut self.run(batch)?);
        }
        Ok(linked)
    }
}

type Track<T> = [[T; COLUMNS]; PLACES];

/// The two tracks of a pair as the network takes them.
fn prepared(pair: &TrackPair) -> [Track<f32>; 2] {
    let mut tracks: [Track<f64>; 2] = [[[0.0; COLUMNS]; PLACES]; 2];
    let earlier: &[Place] = &pair.earlier[pair.earlier.len().saturating_sub(PLACES)..];
    tracks[0][PLACES - earlier.len()..].copy_from_slice(earlier);
    let later: &[Place] = &pair.later[..pair.later.len().min(PLACES)];
    tracks[1][..later.len()].copy_from_slice(later);
    let mut middles = [0.0; COLUMNS];
    let mut halves = [0.0; COLUMNS];
    for column in 0..COLUMNS {
        let values = tracks.as_flattened().iter().map(|place| place[column]);
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        middles[column] = f64::midpoint(most, least);
        halves[column] = (most - least) / 2.0 + LEAST_SPREAD;
    }
    tracks.map(|track| {
        track.map(|place| {
            std::array::from_fn(|column| {
                ((place[column] - middles[column]) / halves[column]) as f32
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tracks_have_zeros_on_the_far_side() {
        let pair = TrackPair {
            earlier: vec![[10.0, 100.0, 50.0], [20.0, 100.0, 50.0]],
            later: vec![[40.0, 200.0, 50.0]],
        };
        let [earlier, later] = prepared(&pair);
        // Frames lie from 0, which is a zero that fills up, to 40.
        assert!((earlier[0][0] + 1.0).abs() < 1e-5 && (later[29][0] + 1.0).abs() < 1e-5);
        assert!((earlier[28][0] + 0.5).abs() < 1e-5 && earlier[29][0].abs() < 1e-5);
        assert!((later[0][0] - 1.0).abs() < 1e-5);
        assert!((earlier[29][1]).abs() < 1e-5 && (later[0][1] - 1.0).abs() < 1e-5);
    }

    #[test]
    fn of_long_tracks_the_near_ends_are_taken() {
        let way = |from: u32| (from..from + 50).map(|frame| [f64::from(frame), 7.0, 7.0]).collect();
        let [earlier, later] = prepared(&TrackPair { earlier: way(0), later: way(60) });
        // Frames 20 to 49 and 60 to 89; what stands still is in the middle.
        assert!((earlier[0][0] + 1.0).abs() < 1e-5 && (later[29][0] - 1.0).abs() < 1e-5);
        assert_eq!((earlier[0][1], later[5][2]), (0.0, 0.0));
    }
}
