//! Chunks merge without losing a row, and a snapshot does not change.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use vigil_models::{BBox, Detection};

use super::*;
use crate::source_id::SourceId;
use crate::track::{Sighting, TrackFact, TrackId, TrackState, TrackSummary};

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
