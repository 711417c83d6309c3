//! The table of options: name, values, default, what it does and where it goes. Parsing, errors and
//! documentation come from it. Those of captions and of key frames are in files of their own.

use std::sync::LazyLock;

use vigil_models::backend::Device;

use super::Mode;
use super::captions::CAPTIONS;
use super::keyframes::KEYFRAMES;
use crate::source::option::OptionDoc;
use crate::source::value;
use crate::track::{AssociationMethod, TrackerKind};

/// Every option that `WITH (…)` takes. Defaults and the meaning of the thresholds are those of the
/// models' guide; `track_low_threshold` is ByteTrack's (Zhang et al. 2022, section 3).
pub fn options() -> &'static [OptionDoc] {
    static ALL: LazyLock<Vec<OptionDoc>> =
        LazyLock::new(|| [OPTIONS, CAPTIONS, KEYFRAMES].concat());
    &ALL
}

pub(super) const FRACTION: &str = "a number from 0 to 1";
pub(super) const BOOLEAN: &str = "true or false";
pub(super) const MODEL: &str = "the name of a model in vigil_catalog.models, or 'none'";

const TRACKERS: &str = "'iou', 'bytetrack', 'ocsort', 'deepsort', 'strongsort' or 'none'";

/// What the guide, ByteTrack and other trackers call an option of the table.
pub const ALIASES: &[(&str, &str)] = &[
    ("track_thresh", "track_high_thresh"),
    ("track_high_threshold", "track_high_thresh"),
    ("track_low_thresh", "track_low_threshold"),
    ("new_track_threshold", "new_track_thresh"),
    ("match_threshold", "match_thresh"),
    ("tracker_type", "tracker"),
];

const OPTIONS: &[OptionDoc] = &[
    OptionDoc {
        name: "fps",
        kind: "float8",
        default: "every frame",
        range: "a number above 0 and up to 1000",
        doc: "Takes at most so many frames of each second of video: the first at or after every 1/fps.",
        set: |o, text| {
            o.fps = Some(value::number(text).filter(|fps| *fps > 0.0 && *fps <= 1000.0)?);
            Some(())
        },
    },
    OptionDoc {
        name: "start_time",
        kind: "timestamptz",
        default: "the recording time in the file, else 1970-01-01 00:00:00+00",
        range: "a time such as '2026-05-01 08:00:00+02'; without a zone it is UTC",
        doc: "When the camera saw the first frame; ts is this time and the frame's pts.",
        set: |o, text| {
            o.start_time = Some(value::timestamptz(text)?);
            Some(())
        },
    },
    OptionDoc {
        name: "mode",
        kind: "text",
        default: "lossless",
        range: "'lossless' or 'realtime'",
        doc: "Lossless lets decoding wait for the detector; realtime drops the oldest undetected frame and counts it.",
        set: |o, text| {
            o.mode = [Mode::Lossless, Mode::Realtime]
                .into_iter()
                .find(|mode| mode.name().eq_ignore_ascii_case(text))?;
            Some(())
        },
    },
    OptionDoc {
        name: "detector",
        kind: "text",
        default: "yolov8n",
        range: MODEL,
        doc: "The model that finds objects; 'ground_truth' tells what a load generator drew, and is its default.",
        set: |o, text| {
            o.detector = value::name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "confidence_threshold",
        kind: "float8",
        default: "0.5",
        range: FRACTION,
        doc: "From this confidence detections count in frames, and start tracks of the tracker iou.",
        set: |o, text| {
            o.confidence_threshold = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_low_threshold",
        kind: "float8",
        default: "0.1",
        range: "a number from 0 to 1, not above confidence_threshold",
        doc: "From this confidence boxes are kept in detections and may continue a track.",
        set: |o, text| {
            o.track_low_threshold = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "iou_threshold",
        kind: "float8",
        default: "0.45",
        range: FRACTION,
        doc: "Two boxes of a class that overlap by more than this are one object (non-maximum suppression).",
        set: |o, text| {
            o.iou_threshold = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_detections",
        kind: "integer",
        default: "300",
        range: "an integer from 1 to 10000",
        doc: "At most so many boxes of a frame are kept, the most confident first.",
        set: |o, text| {
            o.max_detections = value::integer(text, 1, 10_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "classes",
        kind: "text",
        default: "all",
        range: "class names or ids separated by commas, such as 'person, car'",
        doc: "Only objects of these classes are detected.",
        set: |o, text| {
            o.classes = Some(value::list(text)?);
            Some(())
        },
    },
    OptionDoc {
        name: "image_size",
        kind: "integer",
        default: "the model's own, 640 for YOLOv8",
        range: "an integer from 32 to 8192 for which the model has a graph",
        doc: "Longer side of the detector's input, in pixels.",
        set: |o, text| {
            o.image_size = Some(value::integer(text, 32, 8192)?);
            Some(())
        },
    },
    OptionDoc {
        name: "rect",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "Frames go into the input of the detector that leaves the least padding; with false into a square one.",
        set: |o, text| {
            o.rect = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "batch_size",
        kind: "integer",
        default: "1",
        range: "an integer from 1 to 64",
        doc: "Frames that go into one run of the detector at most; more than one makes each wait for the others.",
        set: |o, text| {
            o.batch_size = value::integer(text, 1, 64)?;
            Some(())
        },
    },
    OptionDoc {
        name: "half_precision",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "Takes the float16 graphs of the source's models: the detector must have one, the others take theirs where they have any.",
        set: |o, text| {
            o.half_precision = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "augment",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "Test-time augmentation: each frame is shown mirrored and smaller, too, and what is found is merged; it takes three times as long.",
        set: |o, text| {
            o.augment = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "device",
        kind: "text",
        default: "auto",
        range: "'auto', 'cpu', 'cuda' or 'tensorrt'",
        doc: "Where the source's models run; auto takes CUDA when the ONNX Runtime library and the machine have it, and vigil_catalog.models says which it was and why.",
        set: |o, text| {
            o.device = Device::from_name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "tracker",
        kind: "text",
        default: "iou",
        range: TRACKERS,
        doc: "How detections become tracks; 'none' leaves them without. 'iou' keeps the guide's rules: a track has one class, and its number from its first detection on.",
        set: |o, text| {
            o.tracker = TrackerKind::from_name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_iou_threshold",
        kind: "float8",
        default: "0.3",
        range: FRACTION,
        doc: "The least overlap between a track's last box and its next (iou).",
        set: |o, text| {
            o.track_iou_threshold = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_missed_frames",
        kind: "integer",
        default: "30",
        range: "an integer from 0 to 1000000",
        doc: "A track that is not seen for more frames than this ends (iou).",
        set: |o, text| {
            o.max_missed_frames = value::integer(text, 0, 1_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_history",
        kind: "integer",
        default: "50",
        range: "an integer from 1 to 10000",
        doc: "So many of a track's last positions are kept in tracks.positions.",
        set: |o, text| {
            o.max_history = value::integer(text, 1, 10_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "min_track_confidence",
        kind: "float8",
        default: "0.3",
        range: FRACTION,
        doc: "Detections of a lower confidence belong to no track (iou).",
        set: |o, text| {
            o.min_track_confidence = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "min_track_length",
        kind: "integer",
        default: "5",
        range: "an integer from 1 to 1000000",
        doc: "A track stays tentative until it has so many detections; one that ends before was noise.",
        set: |o, text| {
            o.min_track_length = value::integer(text, 1, 1_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_high_thresh",
        kind: "float8",
        default: "0.6",
        range: "a number from 0 to 1, not below track_low_threshold",
        doc: "From this confidence detections are associated first (all trackers but iou); track_thresh is the same.",
        set: |o, text| {
            o.track.track_high_thresh = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "new_track_thresh",
        kind: "float8",
        default: "0.7",
        range: FRACTION,
        doc: "From this confidence a detection that no track explains begins one (all trackers but iou).",
        set: |o, text| {
            o.track.new_track_thresh = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "match_thresh",
        kind: "float8",
        default: "0.8",
        range: FRACTION,
        doc: "The highest cost of the first association, 1 - likeness times confidence (bytetrack).",
        set: |o, text| {
            o.track.match_thresh = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_buffer",
        kind: "integer",
        default: "30",
        range: "an integer from 0 to 1000000",
        doc: "A track that is not seen for so many thirtieths of a second ends (all trackers but iou).",
        set: |o, text| {
            o.track.track_buffer = value::integer(text, 0, 1_000_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_evidence",
        kind: "float8",
        default: "0.5",
        range: FRACTION,
        doc: "A track stays tentative until the sum of its detections' log-odds is this share of what is typical of its class for as many detections, or for three times min_track_length of them; 0 asks for none (all trackers but iou).",
        set: |o, text| {
            o.track.track_evidence = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_tracks",
        kind: "integer",
        default: "100",
        range: "an integer from 1 to 100000",
        doc: "At most so many tracks are followed at a time; the one that was lost longest makes room.",
        set: |o, text| {
            o.track.max_tracks = value::integer(text, 1, 100_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "association_method",
        kind: "text",
        default: "iou",
        range: "'iou', 'giou', 'diou', 'euclidean' or 'cosine'",
        doc: "What makes a detection like a track: overlap or the distance of centres, beside which deepsort and strongsort compare appearances; with 'cosine' appearances alone, wherever they are known (all trackers but iou).",
        set: |o, text| {
            o.track.association_method = AssociationMethod::from_name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "kalman_filter",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "Boxes are predicted by a Kalman filter; else a track is expected where it was last seen (bytetrack).",
        set: |o, text| {
            o.track.kalman_filter = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "appearance_embedding",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "Appearance is compared where association needs it (deepsort, strongsort).",
        set: |o, text| {
            o.track.appearance_embedding = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "reid_model",
        kind: "text",
        default: "osnet-x0.25",
        range: "a re-identification model's name",
        doc: "The model that tells what boxes look like (deepsort, strongsort).",
        set: |o, text| {
            o.reid_model = value::name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "link_model",
        kind: "text",
        default: "none",
        range: "a linker's name, or 'none'",
        doc: "The model that tells which tracks are one object, such as AFLink; without one their motion tells (strongsort).",
        set: |o, text| {
            o.link_model = value::name(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "occlusion_handling",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "The time in which a lost track is behind another does not count against track_buffer, up to twice the buffer (all trackers but iou).",
        set: |o, text| {
            o.track.occlusion_handling = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_interpolation",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "The gap of a track that was lost and is found is filled, where it is short (max_interpolation_gap) or something hid the track (all trackers but iou).",
        set: |o, text| {
            o.track.track_interpolation = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_interpolation_gap",
        kind: "integer",
        default: "4",
        range: "an integer from 0 to 1000",
        doc: "A gap of so many missed frames is filled though nothing hid the track (all trackers but iou).",
        set: |o, text| {
            o.track.max_interpolation_gap = value::integer(text, 0, 1000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "track_smoothing",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "Boxes of detections are shown as the motion model sees them (all trackers but iou).",
        set: |o, text| {
            o.track.track_smoothing = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "class_agnostic",
        kind: "boolean",
        default: "false",
        range: BOOLEAN,
        doc: "Classes do not matter for association; else a detection of another class counts half (all trackers but iou).",
        set: |o, text| {
            o.track.class_agnostic = value::boolean(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "frame_rate",
        kind: "float8",
        default: "30",
        range: "a number from 0.1 to 1000",
        doc: "Frames a second, where event times do not tell (all trackers but iou).",
        set: |o, text| {
            o.track.frame_rate =
                value::number(text).filter(|rate| (0.1..=1000.0).contains(rate))? as f32;
            Some(())
        },
    },
    OptionDoc {
        name: "delta_t",
        kind: "integer",
        default: "3",
        range: "an integer from 1 to 30",
        doc: "Frames over which the direction of a track is told (ocsort).",
        set: |o, text| {
            o.track.delta_t = value::integer(text, 1, 30)?;
            Some(())
        },
    },
    OptionDoc {
        name: "inertia",
        kind: "float8",
        default: "0.2",
        range: FRACTION,
        doc: "The weight of the direction in the cost (ocsort).",
        set: |o, text| {
            o.track.inertia = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "max_cosine_distance",
        kind: "float8",
        default: "0.2",
        range: FRACTION,
        doc: "The highest distance of two appearances of an object, 1 - cosine (deepsort, strongsort).",
        set: |o, text| {
            o.track.max_cosine_distance = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "nn_budget",
        kind: "integer",
        default: "100",
        range: "an integer from 1 to 10000",
        doc: "Appearances that are kept of a track (deepsort).",
        set: |o, text| {
            o.track.nn_budget = value::integer(text, 1, 10_000)?;
            Some(())
        },
    },
    OptionDoc {
        name: "ema_alpha",
        kind: "float8",
        default: "0.9",
        range: FRACTION,
        doc: "The weight of a track's appearance against that of its next detection (strongsort).",
        set: |o, text| {
            o.track.ema_alpha = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "appearance_weight",
        kind: "float8",
        default: "0.98",
        range: FRACTION,
        doc: "The weight of appearance against motion in the cost (strongsort).",
        set: |o, text| {
            o.track.appearance_weight = value::fraction(text)?;
            Some(())
        },
    },
    OptionDoc {
        name: "camera_motion",
        kind: "boolean",
        default: "true",
        range: BOOLEAN,
        doc: "The motion of the camera is estimated and taken out (strongsort).",
        set: |o, text| {
            o.track.camera_motion = value::boolean(text)?;
            Some(())
        },
    },
];
