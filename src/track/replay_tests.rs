//! Real sequences through a tracker, the differential collection and the tables: after every frame
//! each row of `tracks` equals what its rows in `detections` add up to, whatever was corrected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Int64Type};
use differential_dataflow::input::Input;
use vigil_models::{BBox, Detection};

use super::memory::Memory;
use super::*;
use crate::eval::mot;
use crate::source_id::SourceId;
use crate::tables::{DetectionRow, FrameCommit, RowContext, Tables};

/// Positions that a row of `tracks` keeps.
const POSITIONS: usize = 50;

type Differences = Arc<Mutex<BTreeMap<TrackFact, isize>>>;

/// The detections of a sequence by frame, or nothing where there is no test data.
fn detections(sequence: &str) -> Option<BTreeMap<i64, Vec<Detection>>> {
    let file = vigil_test_data::file(&format!("data/mot/{sequence}/det.txt"))?;
    let frames = mot::read(&file).unwrap();
    Some(
        frames
            .into_iter()
            .map(|(frame, labelled)| {
                (frame, mot::detections(&labelled, mot::Scores::Confidence).unwrap())
            })
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

/// A row of `tracks` but for its times and class, which are those of the frames and of all boxes.
#[derive(Debug, PartialEq)]
struct Row {
    state: String,
    /// First and last, and the number of detections.
    frames: [i64; 3],
    /// Mean and highest.
    confidences: [f32; 2],
    last_box: [f32; 4],
    positions: usize,
}

type Rows = BTreeMap<i64, Row>;

/// What the rows of `detections` add up to, for tracks in these states; and the tracks that have
/// filled boxes.
fn recomputed(
    tables: &Tables,
    id: SourceId,
    states: &BTreeMap<TrackId, TrackState>,
) -> (Rows, BTreeSet<i64>) {
    let snapshot = tables.snapshot();
    let mut parts: BTreeMap<i64, Vec<TrackSummary>> = BTreeMap::new();
    let mut filled = BTreeSet::new();
    let mut boxes = BTreeSet::new();
    for chunk in snapshot.source(id).unwrap().detections.iter() {
        let column = |name: &str| chunk.batch.column_by_name(name).unwrap();
        let frames = column("frame_number").as_primitive::<Int64Type>();
        let tracks = column("track_id").as_primitive::<Int64Type>();
        let interpolated = column("interpolated").as_boolean();
        let real = |name: &str, row: usize| column(name).as_primitive::<Float32Type>().value(row);
        for row in (0..frames.len()).filter(|row| tracks.is_valid(*row)) {
            let (frame, track) = (frames.value(row), tracks.value(row));
            assert!(boxes.insert((frame, track)), "track {track} is twice in frame {frame}");
            if interpolated.value(row) {
                filled.insert(track);
                continue;
            }
            let [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map(|name| real(name, row));
            let confidence = real("confidence", row);
            let bbox = BBox::new(x1, y1, x2, y2);
            let sighting = Sighting::new(frame, 0, &Detection { class_id: 0, confidence, bbox });
            parts.entry(track).or_default().push(TrackSummary::of(&sighting));
        }
    }
    let row = |track: i64, parts: &Vec<TrackSummary>| {
        let sum = TrackSummary::sum(parts, POSITIONS).unwrap();
        let state = states.get(&TrackId(track)).map(|state| state.name().to_owned());
        let last = sum.last_box();
        Row {
            state: state.unwrap_or_else(|| panic!("detections of track {track}, which is none")),
            frames: [sum.first_frame, sum.last_frame, sum.detections],
            confidences: [sum.avg_confidence(), sum.max_confidence()],
            last_box: [last.x1, last.y1, last.x2, last.y2],
            positions: sum.positions.len(),
        }
    };
    (parts.iter().map(|(track, parts)| (*track, row(*track, parts))).collect(), filled)
}

/// What the rows of `tracks` say.
fn said(tables: &Tables, id: SourceId) -> Rows {
    let snapshot = tables.snapshot();
    let source = snapshot.source(id).unwrap();
    let mut rows = Rows::new();
    for batch in source.tracks.batches(&source.context).unwrap() {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let whole = |name: &str, row: usize| column(name).as_primitive::<Int64Type>().value(row);
        let real = |name: &str, row: usize| column(name).as_primitive::<Float32Type>().value(row);
        for row in 0..batch.num_rows() {
            let said = Row {
                state: column("state").as_string::<i32>().value(row).to_owned(),
                frames: ["first_frame", "last_frame", "detections"].map(|name| whole(name, row)),
                confidences: ["avg_confidence", "max_confidence"].map(|name| real(name, row)),
                last_box: ["x1", "y1", "x2", "y2"].map(|name| real(name, row)),
                positions: column("positions").as_list::<i32>().value(row).len(),
            };
            let before = rows.insert(whole("track_id", row), said);
            assert_eq!(before, None, "a track has two rows");
        }
    }
    rows
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
    fn add(&mut self, other: &Self) {
        self.adopted += other.adopted;
        self.filled += other.filled;
        self.discarded += other.discarded;
        self.merged += other.merged;
    }

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
    kind: TrackerKind,
    options: TrackOptions,
) -> Corrected {
    let result: Arc<Mutex<Corrected>> = Arc::default();
    let seen = Arc::clone(&result);
    timely::execute_directly(move |worker| {
        let mut tracker = kind.tracker(&options);
        let differences = Differences::default();
        let collected = Arc::clone(&differences);
        let (mut sightings, mut identities, mut states, probe) =
            worker.dataflow::<u64, _, _>(|scope| {
                let (sightings, sighting_rows) = scope.new_collection();
                let (identities, identity_rows) = scope.new_collection();
                let (states, state_rows) = scope.new_collection();
                let rows = tracks(sighting_rows, identity_rows, state_rows, POSITIONS);
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
        let mut living: BTreeMap<TrackId, TrackState> = BTreeMap::new();
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
                assert_eq!(living.remove(&change.track), change.from, "{change:?}");
                if let Some(from) = change.from {
                    states.remove((change.track, from));
                }
                if let Some(to) = change.to {
                    states.insert((change.track, to));
                    living.insert(change.track, to);
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

            let (rows, filled) = recomputed(&tables, id, &living);
            assert_eq!(said(&tables, id), rows, "after step {tick}");
            assert!(filled.iter().all(|track| rows.contains_key(track)), "after step {tick}");
            let numbers: BTreeSet<i64> = living.keys().map(|track| track.0).collect();
            assert!(rows.keys().copied().eq(numbers), "after step {tick}: a track without a row");
        }
    });
    Arc::into_inner(result).unwrap().into_inner().unwrap()
}

/// Every tracker; with a short buffer more tracks end, are begun anew and are linked.
#[test]
fn every_count_equals_its_recomputation_after_each_correction() {
    for kind in all().iter().filter(|kind| **kind != TrackerKind::NONE) {
        let mut corrected = Corrected::default();
        for (sequence, track_buffer) in [("TUD-Campus", 30), ("TUD-Stadtmitte", 10)] {
            let Some(frames) = detections(sequence) else { return };
            let options = TrackOptions { track_buffer, ..TrackOptions::default() };
            corrected.add(&replay(frames, *kind, options));
        }
        let name = kind.name;
        assert!(corrected.discarded > 0, "{name}: {corrected:?}");
        assert_eq!(corrected.adopted > 0, name != "iou", "{name}: {corrected:?}");
        assert_eq!(corrected.filled > 0, name != "iou", "{name}: {corrected:?}");
        assert_eq!(corrected.merged > 0, name == "strongsort", "{name}: {corrected:?}");
    }
}
