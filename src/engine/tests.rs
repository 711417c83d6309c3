//! The engine end to end on drawn frames, whose objects are known: no model is needed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use vigil_sql::{CreateSource, Engine as _, Origin};

use super::*;
use crate::source::SourceDefaults;
use crate::tables::{Chunks, SourceTables};

fn engine(data: &std::path::Path, workers: usize) -> Arc<Engine> {
    Engine::start(EngineConfig {
        data: data.display().to_string(),
        models_dir: data.join("no-models"),
        workers,
        inference_threads: 1,
        defaults: SourceDefaults {
            captioner: "none".into(),
            embedder: "none".into(),
            ..SourceDefaults::default()
        },
        base_dir: data.to_owned(),
        places: Default::default(),
    })
    .unwrap()
}

fn boxes(name: &str, frames: u32, options: &[(&str, &str)]) -> CreateSource {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let frames = frames.to_string();
    let generator = [
        ("objects", "4"),
        ("frames", &*frames),
        ("width", "320"),
        ("height", "240"),
        ("seed", "7"),
    ];
    CreateSource {
        name: name.to_owned(),
        origin: Origin::LoadGenerator { name: "moving_boxes".into(), options: pairs(&generator) },
        options: pairs(options),
    }
}

fn tables_of(engine: &Engine, name: &str) -> Arc<SourceTables> {
    let id = engine.source(name).unwrap().id;
    Arc::clone(engine.tables().snapshot().source(id).unwrap())
}

fn column(chunks: &Chunks, name: &str) -> Vec<Option<i64>> {
    chunks
        .iter()
        .flat_map(|chunk| {
            let column = chunk.batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
            column.iter().collect::<Vec<_>>()
        })
        .collect()
}

const LONG: Option<Duration> = Some(Duration::from_secs(120));

#[tokio::test]
async fn every_drawn_frame_becomes_rows() {
    for workers in [1, 3] {
        let data = tempfile::tempdir().unwrap();
        let engine = engine(data.path(), workers);
        engine.create_source(boxes("lobby", 90, &[])).await.unwrap();
        engine.wait_for_source("lobby", LONG).await.unwrap();
        let tables = tables_of(&engine, "lobby");
        let frames: Vec<i64> =
            column(&tables.frames, "frame_number").into_iter().flatten().collect();
        assert_eq!(frames, (0..90).collect::<Vec<_>>());
        assert_eq!(tables.frame_progress.tick, None);
        assert_eq!(tables.caption_progress.tick, None);

        // Every track of a detection is a row of `tracks`, and the counts agree.
        let in_detections: BTreeSet<i64> =
            column(&tables.detections, "track_id").into_iter().flatten().collect();
        let batches = tables.tracks.batches(&tables.context).unwrap();
        let mut in_tracks = BTreeSet::new();
        let mut detections = 0;
        for batch in &batches {
            let ids = batch.column_by_name("track_id").unwrap().as_primitive::<Int64Type>();
            in_tracks.extend(ids.values());
            let counts = batch.column_by_name("detections").unwrap().as_primitive::<Int64Type>();
            detections += counts.values().iter().sum::<i64>();
            let states = batch.column_by_name("state").unwrap().as_string::<i32>();
            assert!(states.iter().all(|state| state == Some("ended")));
        }
        assert_eq!(in_detections, in_tracks);
        let tracked = column(&tables.detections, "track_id").into_iter().flatten().count();
        assert_eq!(detections, i64::try_from(tracked).unwrap());
        assert!(tracked > 90, "only {tracked} tracked detections in 90 frames of 4 objects");

        let statistics = engine.source("lobby").unwrap().statistics();
        assert_eq!(statistics.frames_processed, 90);
        assert_eq!(statistics.tracks, i64::try_from(in_tracks.len()).unwrap());
        assert_eq!(statistics.bytes_in_flight, 0);
        assert_eq!(statistics.frames_dropped, 0);
    }
}

#[tokio::test]
async fn the_same_source_gives_the_same_rows() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 2);
    for name in ["a", "b"] {
        engine.create_source(boxes(name, 60, &[])).await.unwrap();
    }
    for name in ["a", "b"] {
        engine.wait_for_source(name, LONG).await.unwrap();
    }
    let (a, b) = (tables_of(&engine, "a"), tables_of(&engine, "b"));
    for name in ["frame_number", "track_id"] {
        assert_eq!(column(&a.detections, name), column(&b.detections, name));
    }
    assert_eq!(column(&a.captions, "frame_number"), column(&b.captions, "frame_number"));
}

#[tokio::test]
async fn key_frames_are_kept_and_others_are_decoded_again() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 1);
    engine.create_source(boxes("lobby", 30, &[])).await.unwrap();
    engine.wait_for_source("lobby", LONG).await.unwrap();
    let kept: Vec<i64> = column(&tables_of(&engine, "lobby").captions, "frame_number")
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(kept.first(), Some(&0));
    assert!(kept.contains(&4), "a track that lasted five frames makes a key frame: {kept:?}");
    let file = data.path().join("keyframes/lobby/000000004.jpg");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(engine.frame_image("lobby", 4).await.unwrap(), bytes);
    assert!(!kept.contains(&7), "{kept:?}");
    let again = engine.frame_image("lobby", 7).await.unwrap();
    assert_eq!(image::load_from_memory(&again).unwrap().width(), 320);
    let error = engine.frame_image("lobby", 30).await.unwrap_err();
    assert_eq!(error.sqlstate, "22023");

    engine.drop_source("lobby").await.unwrap();
    assert!(!file.exists());
    assert_eq!(engine.tables().snapshot().sources().count(), 0);
    assert_eq!(engine.drop_source("lobby").await.unwrap_err().sqlstate, "42704");
}

#[tokio::test]
async fn a_source_can_be_dropped_while_it_runs_and_made_again() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 2);
    for _ in 0..3 {
        engine.create_source(boxes("lobby", 1_000_000, &[])).await.unwrap();
        let again = engine.create_source(boxes("lobby", 10, &[])).await.unwrap_err();
        assert_eq!(again.sqlstate, "42710");
        let waited = engine.wait_for_source("lobby", Some(Duration::from_millis(20))).await;
        assert_eq!(waited.unwrap_err().sqlstate, "57014");
        engine.drop_source("lobby").await.unwrap();
    }
    engine.create_source(boxes("lobby", 10, &[])).await.unwrap();
    engine.wait_for_source("lobby", LONG).await.unwrap();
    assert_eq!(tables_of(&engine, "lobby").frames.rows(), 10);
}

#[tokio::test]
async fn frames_that_do_not_fit_wait_at_the_gate() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 1);
    // Room for four pictures of 320 x 240 x 3 bytes.
    let narrow = boxes("narrow", 50, &[("max_bytes_in_flight", "1MB")]);
    engine.create_source(narrow).await.unwrap();
    engine.wait_for_source("narrow", LONG).await.unwrap();
    assert_eq!(tables_of(&engine, "narrow").frames.rows(), 50);
}

#[tokio::test]
async fn a_missing_model_is_an_error_that_names_the_command() {
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 1);
    let mut statement = boxes("lobby", 10, &[("detector", "yolov8n")]);
    let error = engine.create_source(statement.clone()).await.unwrap_err();
    assert_eq!(error.sqlstate, "58P01");
    assert_eq!(error.hint.as_deref(), Some("Run \"vigil models pull yolov8n\" to fetch them."));
    // The name is free again.
    statement.options.clear();
    engine.create_source(statement).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_the_dataflow_fails_the_sources_and_no_more() {
    for workers in [1, 2] {
        let data = tempfile::tempdir().unwrap();
        let engine = engine(data.path(), workers);
        engine.create_source(boxes("done", 10, &[])).await.unwrap();
        engine.wait_for_source("done", LONG).await.unwrap();
        engine.create_source(boxes("lobby", 1_000_000, &[])).await.unwrap();
        engine.workers.panic();
        let error = engine.wait_for_source("lobby", LONG).await.unwrap_err();
        assert_eq!(error.sqlstate, "XX000");
        // What was there can still be asked; nothing new can be made, and the answer says so.
        assert_eq!(tables_of(&engine, "done").frames.rows(), 10);
        engine.wait_for_source("done", LONG).await.unwrap();
        let error = engine.create_source(boxes("later", 10, &[])).await.unwrap_err();
        assert_eq!((error.sqlstate, error.message.as_str()), ("XX000", "the dataflow has stopped"));
        assert!(engine.source("later").is_err());
        engine.drop_source("lobby").await.unwrap();
    }
}

#[tokio::test]
async fn the_faults_of_a_failed_source_are_there_when_it_has_failed() {
    let Some(video) = vigil_test_data::file("data/video/bikes.mp4") else { return };
    let data = tempfile::tempdir().unwrap();
    let engine = engine(data.path(), 1);
    let mut bytes = std::fs::read(video).unwrap();
    let mdat = bytes.windows(4).position(|name| name == b"mdat").unwrap() + 4;
    let length = u32::from_be_bytes(bytes[mdat - 8..mdat - 4].try_into().unwrap()) as usize;
    bytes[mdat..mdat + length - 8].fill(0xff);
    std::fs::write(data.path().join("noise.mp4"), bytes).unwrap();
    let statement = CreateSource {
        name: "noise".into(),
        origin: Origin::Url("noise.mp4".into()),
        options: vec![("detector".into(), "none".into())],
    };
    engine.create_source(statement).await.unwrap();
    let error = engine.wait_for_source("noise", LONG).await.unwrap_err();
    assert_eq!(error.sqlstate, "22P03");
    let faults = engine.source_faults();
    assert!(faults.len() > 100, "{} faults", faults.len());
}
