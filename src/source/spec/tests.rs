//! Statements in, specifications or errors out.

use std::fs;
use std::path::PathBuf;

use vigil_models::Sampling;
use vigil_sql::{CreateSource, Origin};

use super::*;
use crate::source::{CaptionSearch, Mode};
use crate::source::{Tracker, moving_boxes_options, options};
use crate::track::{AssociationMethod, TrackOptions};

/// A folder of its own that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vigil-source-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("video.mp4"), b"not looked into").unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pairs(options: &[(&str, &str)]) -> Vec<(String, String)> {
    options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn generator(options: &[(&str, &str)], with: &[(&str, &str)]) -> Result<SourceSpec, SourceError> {
    let origin = Origin::LoadGenerator { name: "moving_boxes".into(), options: pairs(options) };
    let statement = CreateSource { name: "boxes".into(), origin, options: pairs(with) };
    SourceSpec::from_statement(&statement, &SourceDefaults::default(), Path::new("/"))
}

fn file(url: &str, base: &Path, with: &[(&str, &str)]) -> Result<SourceSpec, SourceError> {
    let statement = CreateSource {
        name: "lobby".into(),
        origin: Origin::Url(url.into()),
        options: pairs(with),
    };
    SourceSpec::from_statement(&statement, &SourceDefaults::default(), base)
}

#[test]
fn a_file_has_the_guides_defaults() {
    let folder = Folder::new("defaults");
    let spec = file("video.mp4", &folder.0, &[]).unwrap();
    assert_eq!(spec.origin, SourceOrigin::File(folder.0.join("video.mp4")));
    assert_eq!(spec.url, "video.mp4");
    assert_eq!(spec.create_sql, "CREATE SOURCE lobby FROM 'video.mp4'");
    let options = &spec.options;
    assert_eq!(options.mode, Mode::Lossless);
    assert_eq!(options.tracker, Tracker::IOU);
    assert_eq!((options.detector.as_str(), options.fps), ("yolov8n", None));
    assert_eq!((options.confidence_threshold, options.track_low_threshold), (0.5, 0.1));
    assert_eq!((options.iou_threshold, options.max_detections), (0.45, 300));
    assert_eq!((options.max_missed_frames, options.max_history), (30, 50));
    assert_eq!((options.num_beams, options.max_caption_length), (5, 50));
    assert_eq!(options.caption_options(), vigil_models::CaptionOptions::default());
    assert!(spec.is_replayable());
}

#[test]
fn a_file_url_with_escapes_names_a_path() {
    let folder = Folder::new("url");
    fs::write(folder.0.join("my video.mp4"), b"x").unwrap();
    let url = format!("file://{}/my%20video.mp4", folder.0.display());
    let spec = file(&url, Path::new("/nowhere"), &[]).unwrap();
    assert_eq!(spec.origin, SourceOrigin::File(folder.0.join("my video.mp4")));
    assert_eq!(spec.url, url);
}

#[test]
fn every_option_sets_its_field() {
    let folder = Folder::new("options");
    fs::write(folder.0.join("video.mp4"), b"x").unwrap();
    let drawn = generator(
        &[("objects", "3"), ("frames", "60"), ("width", "320"), ("height", "240"), ("seed", "9")],
        &[],
    );
    let spec = file(
        "video.mp4",
        &folder.0,
        &[
            ("fps", "12.5"),
            ("start_time", "1970-01-01 00:00:01+00"),
            ("mode", "realtime"),
            ("detector", "YOLOv8n:1"),
            ("confidence_threshold", "0.6"),
            ("track_low_threshold", "0.2"),
            ("iou_threshold", "0.5"),
            ("max_detections", "10"),
            ("classes", "person, 2"),
            ("tracker", "none"),
            ("track_iou_threshold", "0.4"),
            ("max_missed_frames", "3"),
            ("max_history", "7"),
            ("min_track_confidence", "0.9"),
            ("min_track_length", "2"),
            ("track_high_thresh", "0.55"),
            ("new_track_thresh", "0.65"),
            ("match_thresh", "0.7"),
            ("track_buffer", "60"),
            ("track_evidence", "0.25"),
            ("max_tracks", "20"),
            ("association_method", "DIoU"),
            ("kalman_filter", "off"),
            ("appearance_embedding", "off"),
            ("occlusion_handling", "on"),
            ("track_interpolation", "off"),
            ("max_interpolation_gap", "20"),
            ("track_smoothing", "on"),
            ("class_agnostic", "on"),
            ("frame_rate", "25"),
            ("delta_t", "2"),
            ("inertia", "0.1"),
            ("max_cosine_distance", "0.3"),
            ("nn_budget", "50"),
            ("ema_alpha", "0.8"),
            ("appearance_weight", "0.9"),
            ("camera_motion", "off"),
            ("captioner", "none"),
            ("num_beams", "1"),
            ("max_caption_length", "20"),
            ("length_penalty", "-0.5"),
            ("early_stopping", "off"),
            ("repetition_penalty", "1.5"),
            ("do_sample", "on"),
            ("temperature", "0.7"),
            ("top_k", "0"),
            ("top_p", "0.9"),
            ("sampling_seed", "11"),
            ("caption_batch_size", "4"),
            ("embedder", "none"),
            ("normalize_embeddings", "off"),
            ("keyframe_interval", "30 seconds"),
            ("keyframe_first", "off"),
            ("keyframe_new_track", "false"),
            ("keyframe_class_change", "no"),
            ("keyframe_track_frames", "8"),
            ("jpeg_quality", "75"),
            ("max_bytes_in_flight", "8MB"),
            ("max_width", "160"),
        ],
    )
    .unwrap();
    let boxes = MovingBoxes { objects: 3, frames: 60, width: 320, height: 240, seed: 9, fps: 25.0 };
    assert_eq!(drawn.unwrap().origin, SourceOrigin::MovingBoxes(boxes));
    let expected = SourceOptions {
        fps: Some(12.5),
        start_time: Some(1_000_000),
        mode: Mode::Realtime,
        detector: "yolov8n:1".into(),
        confidence_threshold: 0.6,
        track_low_threshold: 0.2,
        iou_threshold: 0.5,
        max_detections: 10,
        image_size: None,
        rect: true,
        batch_size: 1,
        half_precision: false,
        augment: false,
        device: vigil_models::backend::Device::Auto,
        classes: Some(vec!["person".into(), "2".into()]),
        tracker: Tracker::NONE,
        track_iou_threshold: 0.4,
        max_missed_frames: 3,
        max_history: 7,
        min_track_confidence: 0.9,
        min_track_length: 2,
        track: TrackOptions {
            track_high_thresh: 0.55,
            new_track_thresh: 0.65,
            match_thresh: 0.7,
            track_buffer: 60,
            track_evidence: 0.25,
            max_tracks: 20,
            association_method: AssociationMethod::Diou,
            kalman_filter: false,
            appearance_embedding: false,
            occlusion_handling: true,
            track_interpolation: false,
            max_interpolation_gap: 20,
            track_smoothing: true,
            class_agnostic: true,
            frame_rate: 25.0,
            delta_t: 2,
            inertia: 0.1,
            max_cosine_distance: 0.3,
            nn_budget: 50,
            ema_alpha: 0.8,
            appearance_weight: 0.9,
            camera_motion: false,
            ..TrackOptions::default()
        },
        captioner: "none".into(),
        num_beams: 1,
        max_caption_length: 20,
        caption_search: CaptionSearch {
            length_penalty: -0.5,
            early_stopping: false,
            repetition_penalty: 1.5,
            do_sample: true,
            sampling: Sampling { temperature: 0.7, top_k: 0, top_p: 0.9, seed: 11 },
        },
        caption_batch_size: 4,
        reid_model: "osnet-x0.25".into(),
        link_model: "none".into(),
        embedder: "none".into(),
        normalize_embeddings: false,
        keyframe_interval: 30.0,
        keyframe_first: false,
        keyframe_new_track: false,
        keyframe_class_change: false,
        keyframe_track_frames: 8,
        jpeg_quality: 75,
        max_bytes_in_flight: 8 << 20,
        max_width: Some(160),
    };
    assert_eq!(spec.options, expected);
    let caption = spec.options.caption_options();
    assert_eq!((caption.num_beams, caption.max_length, caption.length_penalty), (1, 20, -0.5));
    assert_eq!(caption.sampling, Some(expected.caption_search.sampling));
}

#[test]
fn the_canonical_statement_keeps_what_was_given() {
    let spec = generator(&[("objects", "3"), ("seed", "1")], &[("tracker", "iou"), ("fps", "5")]);
    let spec = spec.unwrap();
    assert_eq!(spec.url, "LOAD GENERATOR MOVING_BOXES (objects = 3, seed = 1)");
    assert_eq!(
        spec.create_sql,
        "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (objects = 3, seed = 1) \
         WITH (tracker = 'iou', fps = 5)"
    );
}

#[test]
fn every_option_refuses_bad_values_and_says_what_it_takes() {
    let bad: &[(&str, &[&str])] = &[
        ("fps", &["-1", "0", "nan", "inf", "fast", "1001", ""]),
        ("start_time", &["yesterday", "2026-02-30", ""]),
        ("mode", &["fast", ""]),
        ("detector", &["", "two words"]),
        ("confidence_threshold", &["-0.1", "1.1", "half"]),
        ("track_low_threshold", &["-1", "2"]),
        ("iou_threshold", &["-0.1", "1.5"]),
        ("max_detections", &["0", "-1", "1.5", "10001"]),
        ("classes", &["", "person,", ","]),
        ("image_size", &["0", "31", "9000", "big"]),
        ("rect", &["maybe"]),
        ("batch_size", &["0", "65"]),
        ("half_precision", &["maybe"]),
        ("augment", &["maybe"]),
        ("device", &["tpu", ""]),
        ("tracker", &["sort", "", "iou2"]),
        ("track_iou_threshold", &["-0.1", "1.5"]),
        ("max_missed_frames", &["-1", "many"]),
        ("max_history", &["0"]),
        ("min_track_confidence", &["2"]),
        ("min_track_length", &["0"]),
        ("track_high_thresh", &["-0.1", "1.5"]),
        ("new_track_thresh", &["-0.1", "1.5"]),
        ("match_thresh", &["-0.1", "1.5"]),
        ("track_buffer", &["-1", "long"]),
        ("track_evidence", &["-0.1", "1.5"]),
        ("max_tracks", &["0", "100001"]),
        ("association_method", &["hungarian", ""]),
        ("kalman_filter", &["maybe"]),
        ("appearance_embedding", &["maybe"]),
        ("reid_model", &[""]),
        ("link_model", &[""]),
        ("occlusion_handling", &["maybe"]),
        ("track_interpolation", &["maybe"]),
        ("max_interpolation_gap", &["-1", "1001"]),
        ("track_smoothing", &["maybe"]),
        ("class_agnostic", &["maybe"]),
        ("frame_rate", &["0", "nan", "-25"]),
        ("delta_t", &["0", "31"]),
        ("inertia", &["-0.1", "1.5"]),
        ("max_cosine_distance", &["-0.1", "1.5"]),
        ("nn_budget", &["0"]),
        ("ema_alpha", &["-0.1", "1.5"]),
        ("appearance_weight", &["-0.1", "1.5"]),
        ("camera_motion", &["maybe"]),
        ("captioner", &[""]),
        ("num_beams", &["0", "65"]),
        ("max_caption_length", &["1", "513"]),
        ("length_penalty", &["long", "11", "nan"]),
        ("early_stopping", &["never"]),
        ("repetition_penalty", &["0", "-1", "101"]),
        ("do_sample", &["maybe"]),
        ("temperature", &["0", "-1", "inf", "1e-50"]),
        ("top_k", &["-1", "1.5"]),
        ("top_p", &["1.1", "-0.1"]),
        ("sampling_seed", &["-1", "x"]),
        ("caption_batch_size", &["0", "17"]),
        ("embedder", &[""]),
        ("normalize_embeddings", &["maybe"]),
        ("keyframe_interval", &["0", "-1 s", "often", "2 days"]),
        ("keyframe_first", &["maybe"]),
        ("keyframe_new_track", &["2"]),
        ("keyframe_class_change", &[""]),
        ("keyframe_track_frames", &["0"]),
        ("jpeg_quality", &["0", "101"]),
        ("max_bytes_in_flight", &["0", "1kB", "1TB"]),
        ("max_width", &["0", "15", "20000"]),
    ];
    let names: Vec<_> = bad.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, options().iter().map(|option| option.name).collect::<Vec<_>>());
    for (name, values) in bad {
        for value in *values {
            let error = generator(&[], &[(name, value)]).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{name} = {value}");
            assert_eq!(
                error.to_string(),
                format!("invalid value for parameter \"{name}\": \"{value}\"")
            );
            assert!(error.hint().unwrap().starts_with(&format!("\"{name}\" takes ")), "{error:?}");
        }
    }
    let bad = [("objects", "-1"), ("frames", "0"), ("width", "8"), ("height", "9000")];
    for (name, value) in bad.into_iter().chain([("seed", "x"), ("fps", "0")]) {
        let error = generator(&[(name, value)], &[]).unwrap_err();
        assert_eq!(error.sqlstate(), "22023", "{name} = {value}");
    }
}

#[test]
fn unknown_options_name_the_nearest_one() {
    let error = generator(&[], &[("trakcer", "iou")]).unwrap_err();
    assert_eq!(error.to_string(), "unrecognized parameter \"trakcer\"");
    assert_eq!(error.sqlstate(), "22023");
    assert_eq!(error.hint().as_deref(), Some("Perhaps you meant \"tracker\"."));
    let error = generator(&[], &[("zzzzzzzz", "1")]).unwrap_err();
    assert_eq!(error.hint(), None);
    assert!(error.detail().unwrap().starts_with("The parameters are: fps, start_time, "));
    for (written, meant) in
        [("confidence", "confidence_threshold"), ("conf_threshold", "confidence_threshold")]
    {
        let hint = generator(&[], &[(written, "0.5")]).unwrap_err().hint();
        assert_eq!(hint, Some(format!("Perhaps you meant \"{meant}\".")), "{written}");
    }
    let error = generator(&[("frame", "1")], &[]).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("Perhaps you meant \"frames\"."));
    let error = generator(&[], &[("fps", "1"), ("fps", "2")]).unwrap_err();
    assert_eq!(error.to_string(), "parameter \"fps\" specified more than once");
}

#[test]
fn what_is_drawn_is_not_scaled() {
    let error = generator(&[("width", "320")], &[("max_width", "100")]).unwrap_err();
    assert_eq!(error.sqlstate(), "22023");
    assert!(error.hint().unwrap().contains("max_width"), "{error}");
}

#[test]
fn options_have_the_names_of_the_guide_too() {
    let given =
        [("track_thresh", "0.5"), ("track_low_thresh", "0.2"), ("tracker_type", "ByteTrack")];
    let parsed = generator(&[], &given).unwrap().options;
    assert!((parsed.track.track_high_thresh - 0.5).abs() < 1e-6);
    assert!((parsed.track_options().track_low_thresh - 0.2).abs() < 1e-6);
    assert_eq!(parsed.tracker.name(), "bytetrack");
    let twice = [("track_thresh", "0.5"), ("track_high_thresh", "0.5")];
    let error = generator(&[], &twice).unwrap_err();
    assert_eq!(error.to_string(), "parameter \"track_high_thresh\" specified more than once");
    for tracker in crate::track::all() {
        let entry = options().iter().find(|option| option.name == "tracker").unwrap();
        assert!(entry.range.contains(&format!("'{}'", tracker.name)), "{}", tracker.name);
    }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let low = [("confidence_threshold", "0.05"), ("track_low_threshold", "0.1")];
    let error = generator(&[], &low).unwrap_err();
    assert_eq!(error.sqlstate(), "22023");
    assert!(error.detail().unwrap().contains("0.1"));
    let lowered = generator(&[], &low[..1]).unwrap().options;
    assert!((lowered.track_low_threshold - 0.05).abs() < 1e-6, "the default goes along");
    generator(&[], &[("confidence_threshold", "0.8"), ("track_low_threshold", "0.7")]).unwrap();
    let cosine = ("association_method", "cosine");
    for (given, wanted) in [
        (vec![cosine, ("tracker", "bytetrack")], "'bytetrack' does not look at appearances"),
        (vec![cosine, ("tracker", "deepsort"), ("appearance_embedding", "false")], "off"),
    ] {
        let error = generator(&[], &given).unwrap_err();
        assert_eq!(error.sqlstate(), "22023");
        assert!(error.detail().unwrap().contains(wanted), "{error:?}");
    }
    generator(&[], &[cosine, ("tracker", "strongsort")]).unwrap();
    let folder = Folder::new("truth");
    let error = file("video.mp4", &folder.0, &[("detector", "ground_truth")]).unwrap_err();
    assert_eq!(error, SourceError::NoGroundTruth);
    assert_eq!(generator(&[], &[]).unwrap().options.detector, "ground_truth");
}

#[test]
fn paths_that_are_no_readable_files_are_told_apart() {
    let folder = Folder::new("paths");
    let state = |url: &str| file(url, &folder.0, &[]).unwrap_err().sqlstate();
    assert_eq!(state("missing.mp4"), "58P01");
    assert_eq!(state("video.mp4/inside.mp4"), "58P01");
    assert_eq!(state("."), "42809");
    assert_eq!(state("/dev/null"), "42809");
    assert_eq!(state("file://elsewhere/video.mp4"), "22023");
    assert_eq!(state(""), "22023");
    assert_eq!(state("rtsp://10.0.0.5/stream1"), "0A000");
    let error = file("HTTPS://example.org/a.mp4", &folder.0, &[]).unwrap_err();
    assert_eq!(error.to_string(), "sources of the kind \"https:\" are not supported");
    assert!(error.hint().unwrap().contains("file://"));
}

#[test]
#[cfg(unix)]
fn a_file_without_permission_is_42501() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("permission");
    let path = folder.0.join("video.mp4");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("skipped: this user reads files of any permission (root)");
        return;
    }
    assert_eq!(file("video.mp4", &folder.0, &[]).unwrap_err().sqlstate(), "42501");
}

#[test]
fn unknown_generators_are_refused() {
    let origin = Origin::LoadGenerator { name: "counter".into(), options: vec![] };
    let statement = CreateSource { name: "c".into(), origin, options: vec![] };
    let error = SourceSpec::from_statement(&statement, &SourceDefaults::default(), Path::new("/"))
        .unwrap_err();
    assert_eq!(error.sqlstate(), "42704");
    assert_eq!(error.hint().as_deref(), Some("The load generators are: moving_boxes."));
}

#[test]
fn option_names_are_unique_and_documented() {
    let of_files = options().iter().map(|option| (option.name, option.doc));
    let of_boxes = moving_boxes_options().iter().map(|option| (option.name, option.doc));
    for table in [of_files.collect::<Vec<_>>(), of_boxes.collect()] {
        let mut names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
        assert!(table.iter().all(|(_, doc)| doc.ends_with('.')));
    }
}
