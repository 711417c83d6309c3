//! The options of a source. A new one is a field and its default here, and an entry in `table.rs`.

mod captions;
pub(in crate::source) mod heeded;
mod keyframes;
mod table;

use crate::track::{TrackOptions, TrackerKind};

pub use self::heeded::is_of_trackers;
pub use self::table::{ALIASES, options};

use vigil_models::backend::Device;
use vigil_models::{CaptionOptions, EarlyStopping, EmbedOptions, Sampling};

/// What happens when frames come faster than they are detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Decoding waits: every frame is processed.
    #[default]
    Lossless,
    /// The oldest undetected frame is dropped, and counted.
    Realtime,
}

impl Mode {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lossless => "lossless",
            Self::Realtime => "realtime",
        }
    }
}

/// What the configuration says for options that a statement does not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDefaults {
    /// Detection model, or `none`.
    pub detector: String,
    /// Captioning model, or `none`.
    pub captioner: String,
    /// Embedding model, or `none`.
    pub embedder: String,
    /// The tracker.
    pub tracker: TrackerKind,
}

impl Default for SourceDefaults {
    fn default() -> Self {
        Self {
            detector: "yolov8n".into(),
            captioner: "caption-standin".into(),
            embedder: "all-minilm-l6-v2-int8".into(),
            tracker: TrackerKind::IOU,
        }
    }
}

/// What the search for a caption is told beside the beams and the longest length; as in
/// [`CaptionOptions`], with sampling remembered also while it is off.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionSearch {
    /// The exponent of the length by which a finished beam's score is divided.
    pub length_penalty: f32,
    /// Whether the search ends with as many finished captions as beams.
    pub early_stopping: bool,
    /// How much less likely a token that was said already becomes; 1 is not at all.
    pub repetition_penalty: f32,
    /// Whether tokens are drawn at random.
    pub do_sample: bool,
    /// How they are, if so.
    pub sampling: Sampling,
}

impl Default for CaptionSearch {
    fn default() -> Self {
        Self {
            length_penalty: 1.0,
            early_stopping: true,
            repetition_penalty: 1.0,
            do_sample: false,
            sampling: Sampling::default(),
        }
    }
}

/// All options of a source, each with a value. What each means is in [`options`].
#[derive(Clone, Debug, PartialEq)]
pub struct SourceOptions {
    /// At most so many frames a second are taken; `None` takes every frame.
    pub fps: Option<f64>,
    /// When the first frame was seen: microseconds since the Unix epoch; `None` leaves it to the
    /// container.
    pub start_time: Option<i64>,
    /// What gives way when detection is slower than decoding.
    pub mode: Mode,
    /// A model's name (with or without version), `none` or, for drawn frames, `ground_truth`.
    pub detector: String,
    /// From this confidence (0..=1) detections count in `frames` and start tracks.
    pub confidence_threshold: f32,
    /// From this confidence (0..=1) boxes are kept in `detections` and offered to the tracker.
    pub track_low_threshold: f32,
    /// Non-maximum suppression: boxes of a class that overlap by more (IoU, 0..=1) are one object.
    pub iou_threshold: f32,
    /// At most so many boxes a frame.
    pub max_detections: usize,
    /// Class names or ids to keep, as written; `None` keeps all.
    pub classes: Option<Vec<String>>,
    /// The longer side of the detector's input, pixels; `None` is the model's own.
    pub image_size: Option<u32>,
    /// Whether frames go into the detector's input with the least padding; else into a square one.
    pub rect: bool,
    /// Frames that go into one run of the detector at most.
    pub batch_size: usize,
    /// Whether the models' float16 graphs are taken.
    pub half_precision: bool,
    /// Whether frames are shown to the detector mirrored and smaller, too.
    pub augment: bool,
    /// Where the models run.
    pub device: Device,
    /// The tracker.
    pub tracker: TrackerKind,
    /// The least overlap (IoU, 0..=1) between a track's last box and its next.
    pub track_iou_threshold: f32,
    /// A track that is not seen for more frames ends.
    pub max_missed_frames: u32,
    /// Positions kept for each track.
    pub max_history: usize,
    /// Detections below this confidence (0..=1) belong to no track.
    pub min_track_confidence: f32,
    /// The number of detections below which a track stays tentative.
    pub min_track_length: u32,
    /// What else can be set of the trackers; what is a field of its own here is taken from there.
    pub track: TrackOptions,
    /// A model's name (with or without version), or `none`.
    pub captioner: String,
    /// Beams of the caption's search; 1 is greedy.
    pub num_beams: usize,
    /// Longest caption, in tokens.
    pub max_caption_length: usize,
    /// What else the search for a caption is told.
    pub caption_search: CaptionSearch,
    /// Key frames that go into one run of the captioner at most.
    pub caption_batch_size: usize,
    /// The re-identification model (with or without version) of trackers that ask for appearances.
    pub reid_model: String,
    /// The model that tells `strongsort` which tracks are one object (with or without version), or
    /// `none`.
    pub link_model: String,
    /// A model's name (with or without version), or `none`.
    pub embedder: String,
    /// Whether vectors of captions are scaled to length 1.
    pub normalize_embeddings: bool,
    /// Seconds of video after which there is a key frame at the latest.
    pub keyframe_interval: f64,
    /// Whether the first frame is a key frame.
    pub keyframe_first: bool,
    /// Whether a track that has lasted `keyframe_track_frames` makes a key frame.
    pub keyframe_new_track: bool,
    /// Whether a changed set of classes makes a key frame.
    pub keyframe_class_change: bool,
    /// After so many frames a new track makes a key frame.
    pub keyframe_track_frames: u32,
    /// Quality of the kept pictures, 1..=100.
    pub jpeg_quality: u8,
    /// Bytes of decoded pictures that may wait in the dataflow.
    pub max_bytes_in_flight: usize,
    /// Wider pictures are scaled down to this width while they are decoded.
    pub max_width: Option<u32>,
}

impl SourceOptions {
    /// What a video file has when its statement says nothing.
    pub fn for_file(defaults: &SourceDefaults) -> Self {
        Self {
            fps: None,
            start_time: None,
            mode: Mode::Lossless,
            detector: defaults.detector.clone(),
            confidence_threshold: 0.5,
            track_low_threshold: 0.1,
            iou_threshold: 0.45,
            max_detections: 300,
            classes: None,
            image_size: None,
            rect: true,
            batch_size: 1,
            half_precision: false,
            augment: false,
            device: Device::Auto,
            tracker: defaults.tracker,
            track_iou_threshold: 0.3,
            max_missed_frames: 30,
            max_history: 50,
            min_track_confidence: 0.3,
            min_track_length: 5,
            track: TrackOptions::default(),
            captioner: defaults.captioner.clone(),
            num_beams: 5,
            max_caption_length: 50,
            caption_search: CaptionSearch::default(),
            caption_batch_size: 1,
            reid_model: "osnet-x0.25".into(),
            link_model: "none".into(),
            embedder: defaults.embedder.clone(),
            normalize_embeddings: true,
            keyframe_interval: 10.0,
            keyframe_first: true,
            keyframe_new_track: true,
            keyframe_class_change: true,
            keyframe_track_frames: 5,
            jpeg_quality: 90,
            max_bytes_in_flight: 64 << 20,
            max_width: None,
        }
    }

    /// Sets options as a statement's `WITH (…)` does.
    ///
    /// # Errors
    /// [`SourceError`](super::SourceError) for an unknown or repeated name or a bad value.
    pub fn set(&mut self, given: &[(String, String)]) -> Result<(), super::SourceError> {
        super::option::apply(options(), self, given)
    }

    /// Checks that what was set goes together, as far as it is of trackers.
    ///
    /// # Errors
    /// [`SourceError::Conflict`](super::SourceError::Conflict).
    pub fn check_tracker(&self, given: &[(String, String)]) -> Result<(), super::SourceError> {
        super::check::tracker(self, given)
    }

    /// How key frames are captioned.
    pub fn caption_options(&self) -> CaptionOptions {
        let search = &self.caption_search;
        CaptionOptions {
            num_beams: self.num_beams,
            max_length: self.max_caption_length,
            length_penalty: search.length_penalty,
            early_stopping: match search.early_stopping {
                true => EarlyStopping::AtOnce,
                false => EarlyStopping::WhenNoBetter,
            },
            repetition_penalty: search.repetition_penalty,
            sampling: search.do_sample.then(|| search.sampling.clone()),
        }
    }

    /// How captions become vectors.
    pub fn embed_options(&self) -> EmbedOptions {
        EmbedOptions { normalize: self.normalize_embeddings }
    }

    /// Everything that the tracker is to know.
    pub fn track_options(&self) -> TrackOptions {
        TrackOptions {
            track_low_thresh: self.track_low_threshold,
            min_track_length: self.min_track_length,
            track_iou_threshold: self.track_iou_threshold,
            max_missed_frames: self.max_missed_frames,
            min_track_confidence: self.min_track_confidence,
            confidence_threshold: self.confidence_threshold,
            links_by_model: self.link_model != "none",
            ..self.track.clone()
        }
    }

    /// What a load generator has when its statement says nothing: it knows where the objects are.
    pub fn for_load_generator(defaults: &SourceDefaults) -> Self {
        Self { detector: GROUND_TRUTH.into(), ..Self::for_file(defaults) }
    }
}

/// The detector of drawn frames: it tells what was drawn.
pub(super) const GROUND_TRUTH: &str = "ground_truth";
