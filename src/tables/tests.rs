//! Chunks merge without losing a row, and a snapshot does not change.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use vigil_models::{BBox, Detection};

use super::*;
use crate::source_id::SourceId;
use crate::track::{Correction, Sighting, TrackFact, TrackId, TrackState, TrackSummary};

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("frame_number", DataType::Int64, false)]);
    let column = Arc::new(Int64Array::from_iter_values(range));
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

fn contents(chunks: &Chunks) -> Vec<i64> {
    chunks
        .iter()
        .flat_map(|chunk| chunk.batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

#[test]
fn chunks_keep_all_rows_in_order_and_stay_few() {
    let mut chunks = Chunks::default();
    let mut next = 0;
    let mut most = 0;
    for step in 0..6000_i64 {
        let rows = step % 7;
        chunks.push(numbers(next..next + rows)).unwrap();
        next += rows;
        most = most.max(chunks.len());
    }
    assert_eq!(contents(&chunks), (0..next).collect::<Vec<_>>());
    assert_eq!(chunks.rows(), usize::try_from(next).unwrap());
    let full = usize::try_from(next).unwrap() / 8192 + 1;
    assert!(most <= full + 64, "{most} chunks for {next} rows");
    for chunk in chunks.iter() {
        let values = chunk.batch.column(0).as_primitive::<Int64Type>().values();
        assert_eq!(chunk.frame_numbers, Some((values[0], values[values.len() - 1])));
    }
}

fn context() -> RowContext {
    RowContext {
        source: "lobby".into(),
        detector: Some("yolov8n:1".into()),
        tracker: "iou".into(),
        captioner: None,
        embedder: Some("minilm:1".into()),
        reid: None,
        labels: Arc::from(["person".to_owned()]),
    }
}

fn frame(frame_number: i64) -> FrameRow {
    FrameRow {
        frame_number,
        ts_micros: frame_number * 100_000,
        pts_millis: frame_number * 100,
        width: 640,
        height: 480,
        is_keyframe: false,
        is_detected: true,
        total_objects: 1,
        unique_classes: 1,
        avg_confidence: Some(0.5),
        processing_ms: 1.0,
        frame_uri: None,
    }
}

fn fact(track: i64, state: TrackState, frame_number: i64) -> TrackFact {
    let detection =
        Detection { class_id: 0, confidence: 0.5, bbox: BBox::new(0.0, 0.0, 10.0, 10.0) };
    let summary = TrackSummary::of(&Sighting::new(frame_number, 0, &detection));
    TrackFact { track: TrackId(track), state, summary }
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let tables = Tables::default();
    let id = SourceId(1);
    tables.add_source(id, context());
    let commit = |frame_number: i64| FrameCommit {
        frames: vec![frame(frame_number)],
        tick: Some(1),
        ..Default::default()
    };
    tables.commit_frames(id, commit(0)).unwrap();
    let before = tables.snapshot();
    tables.commit_frames(id, commit(1)).unwrap();
    tables.remove_source(SourceId(2));
    assert_eq!(before.source(id).unwrap().frames.rows(), 1);
    assert_eq!(tables.snapshot().source(id).unwrap().frames.rows(), 2);
    tables.remove_source(id);
    assert_eq!(before.source(id).unwrap().frames.rows(), 1);
    assert!(tables.snapshot().source(id).is_none());
    // A commit that comes late for a source that is gone changes nothing.
    tables.commit_frames(id, commit(2)).unwrap();
    assert_eq!(tables.snapshot().sources().count(), 0);
}

#[test]
fn a_correction_reaches_tracks_that_were_settled_long_ago() {
    let context = context();
    let mut tracks = TrackRows::default();
    for track in 0..3000 {
        tracks.apply(&context, vec![(fact(track, TrackState::Active, 0), 1)]).unwrap();
        let ended =
            vec![(fact(track, TrackState::Active, 0), -1), (fact(track, TrackState::Ended, 0), 1)];
        tracks.apply(&context, ended).unwrap();
    }
    assert_eq!(tracks.rows(), 3000);
    // Track 5 was settled; it becomes another row. Track 6 goes away.
    let correction = vec![
        (fact(5, TrackState::Ended, 0), -1),
        (fact(5, TrackState::Ended, 77), 1),
        (fact(6, TrackState::Ended, 0), -1),
    ];
    tracks.apply(&context, correction).unwrap();
    let mut first_frames = std::collections::BTreeMap::new();
    for batch in tracks.batches(&context).unwrap() {
        let ids = batch.column_by_name("track_id").unwrap().as_primitive::<Int64Type>();
        let firsts = batch.column_by_name("first_frame").unwrap().as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            assert!(first_frames.insert(ids.value(row), firsts.value(row)).is_none());
        }
        assert_eq!(batch.column_by_name("positions").unwrap().null_count(), 0);
    }
    assert_eq!(first_frames.len(), 2999);
    assert_eq!(tracks.rows(), 2999);
    assert_eq!(first_frames.get(&5), Some(&77));
    assert_eq!(first_frames.get(&6), None);
}

/// Track and whether it is interpolated, of each row of `detections` by frame.
fn detection_rows(tables: &Tables, id: SourceId) -> Vec<(i64, Option<i64>, bool)> {
    let snapshot = tables.snapshot();
    let mut rows = Vec::new();
    for chunk in snapshot.source(id).unwrap().detections.iter() {
        let column = |name: &str| chunk.batch.column_by_name(name).unwrap();
        let frames = column("frame_number").as_primitive::<Int64Type>();
        let tracks = column("track_id").as_primitive::<Int64Type>();
        let interpolated = column("interpolated").as_boolean();
        rows.extend((0..frames.len()).map(|row| {
            let track = tracks.is_valid(row).then(|| tracks.value(row));
            (frames.value(row), track, interpolated.value(row))
        }));
    }
    rows.sort_unstable();
    rows
}

fn found(frame_number: i64, track: Option<i64>) -> DetectionRow {
    DetectionRow {
        frame_number,
        ts_micros: frame_number * 100_000,
        track: track.map(TrackId),
        detection: Detection {
            class_id: 0,
            confidence: 0.5,
            bbox: BBox::new(0.0, 0.0, 10.0, 10.0),
        },
        is_interpolated: false,
    }
}

fn fill(frame_number: i64, track: i64) -> Correction {
    Correction::Fill {
        frame_number,
        ts_micros: frame_number * 100_000,
        track: TrackId(track),
        class_id: 0,
        bbox: BBox::new(0.0, 0.0, 10.0, 10.0),
        confidence: 0.5,
    }
}

#[test]
fn corrections_reach_rows_that_were_committed_long_ago() {
    let tables = Tables::default();
    let id = SourceId(1);
    tables.add_source(id, context());
    let commit = |detections, corrections| {
        let commit = FrameCommit { detections, corrections, tick: Some(1), ..Default::default() };
        tables.commit_frames(id, commit).unwrap();
    };
    // Many frames, so that chunks merge; two objects in each, one of which nobody knows.
    for frame in 0..100 {
        commit(vec![found(frame, Some(1 + frame / 50)), found(frame, None)], Vec::new());
    }
    let before = tables.snapshot();
    let adopt = Correction::Adopt { frame_number: 3, detection: 1, track: TrackId(7) };
    commit(Vec::new(), vec![adopt, fill(4, 7)]);
    let rows = detection_rows(&tables, id);
    assert_eq!(rows.len(), 201);
    assert!(rows.contains(&(3, Some(7), false)) && rows.contains(&(4, Some(7), true)));

    // The filled box is filled again, and the second half of track 1 turns out to be track 2.
    let (first_frame, last_frame) = (50, 99);
    let merge = Correction::Merge { from: TrackId(2), into: TrackId(1), first_frame, last_frame };
    commit(Vec::new(), vec![fill(4, 7), merge]);
    let rows = detection_rows(&tables, id);
    assert_eq!(rows.len(), 201);
    assert_eq!(rows.iter().filter(|row| row.1 == Some(1)).count(), 100);

    // Track 7 was noise after all: what was found stays without a track, what was filled goes.
    let (first_frame, last_frame) = (3, 4);
    let discard = Correction::Discard { track: TrackId(7), first_frame, last_frame };
    commit(Vec::new(), vec![discard]);
    let rows = detection_rows(&tables, id);
    assert_eq!(rows.len(), 200);
    assert_eq!(rows.iter().filter(|row| row.1.is_none()).count(), 100);
    assert_eq!(tables.snapshot().source(id).unwrap().detections.rows(), 200);

    // Who read before still reads what was there then.
    assert_eq!(before.source(id).unwrap().detections.rows(), 200);
    let track_2 = before.source(id).unwrap().detections.iter().map(|chunk| {
        let tracks = chunk.batch.column_by_name("track_id").unwrap().as_primitive::<Int64Type>();
        tracks.iter().flatten().filter(|track| *track == 2).count()
    });
    assert_eq!(track_2.sum::<usize>(), 50);
}

#[test]
fn corrections_of_one_commit_are_done_in_their_order() {
    let tables = Tables::default();
    let id = SourceId(1);
    tables.add_source(id, context());
    let merge = |from, into| Correction::Merge {
        from: TrackId(from),
        into: TrackId(into),
        first_frame: 0,
        last_frame: 9,
    };
    let commit = FrameCommit {
        detections: vec![found(0, Some(3)), found(1, Some(2)), found(2, None), found(3, Some(1))],
        corrections: vec![
            Correction::Adopt { frame_number: 2, detection: 0, track: TrackId(3) },
            fill(5, 3),
            merge(3, 2),
            merge(2, 1),
        ],
        tick: Some(1),
        ..Default::default()
    };
    tables.commit_frames(id, commit).unwrap();
    let expected: Vec<_> =
        [0, 1, 2, 3, 5].into_iter().map(|frame| (frame, Some(1), frame == 5)).collect();
    assert_eq!(detection_rows(&tables, id), expected);
}
