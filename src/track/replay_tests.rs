//! Real sequences through a tracker, the differential collection and the tables: after every frame
//! each row of `tracks` equals what its rows in `detections` add up to, whatever was corrected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use differential_dataflow::input::Input;
use vigil_models::Detection;

use super::memory::Memory;
use super::*;
use crate::eval::mot;
use crate::source_id::SourceId;
use crate::tables::{DetectionRow, FrameCommit, RowContext, Tables};

type Differences = Arc<Mutex<BTreeMap<TrackFact, isize>>>;

/// The detections of a sequence by frame, or nothing where there is no test data.
fn detections(sequence: &str) -> Option<BTreeMap<i64, Vec<Detection>>> {
    let shared = std::env::var_os("VIGIL_SHARED")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into(), PathBuf::from);
    let file = shared.join("data/mot").join(sequence).join("det.txt");
    if !file.is_file() {
        eprintln!("skipped: there is no {}", file.display());
        return None;
    }
    let frames = mot::read(&file).unwrap();
    let scores = mot::Scores::Sigmoid;
    Some(
        frames
            .into_iter()
            .map(|(frame, labelled)| (frame, mot::detections(&labelled, scores).unwrap()))
            .collect(),
    )
}

fn context() -> RowContext {
    RowContext {
        source: "street".into(),
        detector: None,
        tracker: "test".into(),
        captioner: None,
        embedder: None,
        reid: None,
        labels: Arc::from(["object".to_owned()]),
    }
}

/// First and last frame and number of a track's detections.
type Counts = BTreeMap<i64, (i64, i64, i64)>;

/// What the rows of `detections` add up to; and the tracks that have filled boxes.
fn counted(tables: &Tables, id: SourceId) -> (Counts, BTreeSet<i64>) {
    let snapshot = tables.snapshot();
    let mut counts = Counts::new();
    let mut filled = BTreeSet::new();
    let mut boxes = BTreeSet::new();
    for chunk in snapshot.source(id).unwrap().detections.iter() {
        let column = |name: &str| chunk.batch.column_by_name(name).unwrap();
        let frames = column("frame_number").as_primitive::<Int64Type>();
        let tracks = column("track_id").as_primitive::<Int64Type>();
        let interpolated = column("interpolated").as_boolean();
        for row in (0..frames.len()).filter(|row| tracks.is_valid(*row)) {
            let (frame, track) = (frames.value(row), tracks.value(row));
            assert!(boxes.insert((frame, track)), "track {track} is twice in frame {frame}");
            if interpolated.value(row) {
                filled.insert(track);
                continue;
            }
            let (first, last, count) = counts.entry(track).or_insert((frame, frame, 0));
            (*first, *last, *count) = ((*first).min(frame), (*last).max(frame), *count + 1);
        }
    }
    (counts, filled)
}

/// What the rows of `tracks` say.
fn said(tables: &Tables, id: SourceId) -> Counts {
    let snapshot = tables.snapshot();
    let source = snapshot.source(id).unwrap();
    let mut counts = Counts::new();
    for batch in source.tracks.batches(&source.context).unwrap() {
        let column = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let numbers = ["first_frame", "last_frame", "detections"];
            let [first, last, count] = numbers.map(|name| column(name).value(row));
            let before = counts.insert(column("track_id").value(row), (first, last, count));
            assert_eq!(before, None, "a track has two rows");
        }
    }
    counts
}

/// How often each kind of correction was seen.
#[derive(Debug, Default)]
struct Corrected {
    adopted: usize,
    filled: usize,
    discarded: usize,
    merged: usize,
}

impl Corrected {
    fn note(&mut self, corrections: &[Correction]) {
        for correction in corrections {
            *match correction {
                Correction::Adopt { .. } => &mut self.adopted,
                Correction::Fill { .. } => &mut self.filled,
                Correction::Discard { .. } => &mut self.discarded,
                Correction::Merge { .. } => &mut self.merged,
            } += 1;
        }
    }
}

/// Replays a sequence and compares after every frame.
fn replay(
    frames: BTreeMap<i64, Vec<Detection>>,
    mut tracker: Box<dyn Tracker + Send + Sync>,
) -> Corrected {
    let result: Arc<Mutex<Corrected>> = Arc::default();
    let seen = Arc::clone(&result);
    timely::execute_directly(move |worker| {
        let differences = Differences::default();
        let collected = Arc::clone(&differences);
        let (mut sightings, mut identities, mut states, probe) =
            worker.dataflow::<u64, _, _>(|scope| {
                let (sightings, sighting_rows) = scope.new_collection();
                let (identities, identity_rows) = scope.new_collection();
                let (states, state_rows) = scope.new_collection();
                let rows = tracks(sighting_rows, identity_rows, state_rows, 50);
                let (probe, rows) = rows.probe();
                rows.inspect(move |(fact, _tick, difference)| {
                    *collected.lock().unwrap().entry(fact.clone()).or_default() += *difference;
                });
                (sightings, identities, states, probe)
            });
        let tables = Tables::default();
        let id = SourceId(1);
        tables.add_source(id, context());
        let mut memory = Memory::default();
        let steps = frames.into_iter().map(Some).chain([None]);
        for (tick, step) in (1_u64..).zip(steps) {
            let mut commit = FrameCommit { tick: Some(tick), ..FrameCommit::default() };
            let assignment = match step {
                None => tracker.finish(),
                Some((frame_number, found)) => {
                    let ts_micros = frame_number * 40_000;
                    let assignment = tracker.update(&FrameInput {
                        frame_number,
                        ts_micros,
                        width: 0,
                        height: 0,
                        detections: &found,
                        features: &[],
                        motion: None,
                    });
                    for (found, track) in found.iter().zip(&assignment.tracks) {
                        if let Some(track) = track {
                            sightings
                                .insert((*track, Sighting::new(frame_number, ts_micros, found)));
                        }
                        commit.detections.push(DetectionRow {
                            frame_number,
                            ts_micros,
                            track: *track,
                            detection: *found,
                            is_interpolated: false,
                        });
                    }
                    memory.note(frame_number, ts_micros, found.into());
                    assignment
                }
            };
            let effects = memory.effects(&assignment);
            assert_eq!(effects.corrections, assignment.corrections, "all can be done");
            seen.lock().unwrap().note(&effects.corrections);
            commit.corrections = effects.corrections;
            for adopted in effects.adopted {
                sightings.insert(adopted);
            }
            for (identity, difference) in effects.identities {
                identities.update(identity, difference);
            }
            for change in &assignment.changes {
                if let Some(from) = change.from {
                    states.remove((change.track, from));
                }
                if let Some(to) = change.to {
                    states.insert((change.track, to));
                }
            }
            sightings.advance_to(tick);
            identities.advance_to(tick);
            states.advance_to(tick);
            sightings.flush();
            identities.flush();
            states.flush();
            while probe.less_than(&tick) {
                worker.step();
            }
            let mut changed = std::mem::take(&mut *differences.lock().unwrap());
            changed.retain(|_, difference| *difference != 0);
            commit.tracks = changed.into_iter().collect();
            tables.commit_frames(id, commit).unwrap();

            let (counts, filled) = counted(&tables, id);
            assert_eq!(said(&tables, id), counts, "after step {tick}");
            assert!(filled.iter().all(|track| counts.contains_key(track)), "after step {tick}");
        }
    });
    Arc::into_inner(result).unwrap().into_inner().unwrap()
}

#[test]
fn every_count_equals_its_recomputation_after_each_correction() {
    for sequence in ["TUD-Campus", "TUD-Stadtmitte"] {
        let Some(frames) = detections(sequence) else { return };
        let tracker = ByteTracker::new(&TrackOptions::default());
        let corrected = replay(frames, Box::new(tracker));
        assert!(corrected.adopted > 0 && corrected.discarded > 0, "{sequence}: {corrected:?}");
    }
}

#[test]
fn every_count_equals_its_recomputation_when_tracks_are_linked_and_gaps_smoothed() {
    let Some(frames) = detections("TUD-Stadtmitte") else { return };
    // A short buffer, so that many tracks end and go on.
    let options = TrackOptions { track_buffer: 10, ..TrackOptions::default() };
    let corrected = replay(frames, Box::new(StrongSort::new(&options)));
    assert!(corrected.merged > 0 && corrected.filled > 0, "{corrected:?}");
}
