//! The table `tracks` against recomputation from scratch. Tests of the trackers are in files of
//! their own.

mod bad_input;
mod iou;
mod kalman;
mod lives;
mod looks;
mod methods;
mod mistakes;
mod ocsort;
mod operator;
mod scenes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use differential_dataflow::input::Input;
use vigil_models::{BBox, Detection};

use super::*;

fn found(class_id: u32, confidence: f32, x: f32) -> Detection {
    Detection { class_id, confidence, bbox: BBox::new(x, 0.0, x + 10.0, 10.0) }
}

/// A sequence of random numbers that is the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

fn sighting(random: &mut Random) -> (TrackId, Sighting) {
    let track = TrackId(i64::try_from(random.below(4)).unwrap());
    // Frames over several buckets of both steps.
    let frame_number = i64::try_from(random.below(10_000)).unwrap();
    #[expect(clippy::cast_precision_loss)]
    let x = random.below(600) as f32;
    #[expect(clippy::cast_precision_loss)]
    let confidence = random.below(1000) as f32 / 1000.0;
    (track, Sighting::new(frame_number, frame_number * 40_000, &found(0, confidence, x)))
}

fn recomputed(
    sightings: &BTreeMap<(TrackId, Sighting), isize>,
    identities: &BTreeMap<TrackId, TrackId>,
    states: &BTreeMap<TrackId, TrackState>,
    max_history: usize,
) -> BTreeMap<TrackFact, isize> {
    let mut by_track: BTreeMap<TrackId, Vec<TrackSummary>> = BTreeMap::new();
    for ((number, sighting), count) in sightings {
        if *count > 0
            && let Some(track) = identities.get(number)
        {
            by_track.entry(*track).or_default().push(TrackSummary::of(sighting));
        }
    }
    by_track
        .into_iter()
        .filter_map(|(track, mut parts)| {
            parts.sort();
            let state = *states.get(&track)?;
            let summary = TrackSummary::sum(&parts, max_history)?;
            Some((TrackFact { track, state, summary }, 1))
        })
        .collect()
}

#[test]
fn tracks_equal_their_recomputation_under_insertions_and_retractions() {
    let max_history = 50;
    timely::execute_directly(move |worker| {
        let output: Arc<Mutex<BTreeMap<TrackFact, isize>>> = Arc::default();
        let seen = Arc::clone(&output);
        let (mut sightings, mut identities, mut states, probe) =
            worker.dataflow::<u64, _, _>(|scope| {
                let (sightings, sighting_rows) = scope.new_collection();
                let (identities, identity_rows) = scope.new_collection();
                let (states, state_rows) = scope.new_collection();
                let rows = tracks(sighting_rows, identity_rows, state_rows, max_history);
                let (probe, rows) = rows.probe();
                rows.inspect(move |(fact, _tick, difference)| {
                    let mut output = seen.lock().unwrap();
                    *output.entry(fact.clone()).or_default() += *difference;
                });
                (sightings, identities, states, probe)
            });

        let mut random = Random(7);
        let mut present: BTreeMap<(TrackId, Sighting), isize> = BTreeMap::new();
        let mut state_of: BTreeMap<TrackId, TrackState> = BTreeMap::new();
        let mut stands_for: BTreeMap<TrackId, TrackId> = BTreeMap::new();
        let all = [TrackState::Tentative, TrackState::Active, TrackState::Lost, TrackState::Ended];
        for round in 1..200_u64 {
            for _ in 0..random.below(20) {
                let new = sighting(&mut random);
                if !present.contains_key(&new) {
                    present.insert(new.clone(), 1);
                    sightings.insert(new);
                }
            }
            for _ in 0..random.below(10) {
                let index = usize::try_from(random.below(present.len().max(1) as u64)).unwrap();
                if let Some(old) = present.keys().nth(index).cloned() {
                    present.remove(&old);
                    sightings.remove(old);
                }
            }
            let track = TrackId(i64::try_from(random.below(4)).unwrap());
            let state = all[usize::try_from(random.below(4)).unwrap()];
            if let Some(old) = state_of.insert(track, state) {
                states.remove((track, old));
            }
            states.insert((track, state));
            // Now and then a number comes to stand for another track, or for none.
            let number = TrackId(i64::try_from(random.below(4)).unwrap());
            if let Some(old) = stands_for.remove(&number) {
                identities.remove((number, old));
            }
            if random.below(8) > 0 {
                let merged = TrackId(i64::try_from(random.below(4)).unwrap());
                stands_for.insert(number, merged);
                identities.insert((number, merged));
            }

            sightings.advance_to(round);
            identities.advance_to(round);
            states.advance_to(round);
            sightings.flush();
            identities.flush();
            states.flush();
            while probe.less_than(&round) {
                worker.step();
            }
            let mut rows = output.lock().unwrap().clone();
            rows.retain(|_, count| *count != 0);
            assert_eq!(
                rows,
                recomputed(&present, &stands_for, &state_of, max_history),
                "round {round}"
            );
        }
    });
}
