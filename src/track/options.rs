//! What can be set of the trackers: one set of defaults for all of them and for all videos.

use super::iou::IouOptions;

/// How alike a track's predicted box and a detection are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssociationMethod {
    /// Intersection over union.
    #[default]
    Iou,
    /// Generalised IoU (Rezatofighi et al. 2019).
    Giou,
    /// Distance IoU (Zheng et al. 2020).
    Diou,
    /// Distance of the centres in units of the boxes' diagonals.
    Euclidean,
    /// Cosine of the appearances; the overlap where one is not known (`deepsort`, `strongsort`).
    Cosine,
}

impl AssociationMethod {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Iou, Self::Giou, Self::Diou, Self::Euclidean, Self::Cosine];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iou => "iou",
            Self::Giou => "giou",
            Self::Diou => "diou",
            Self::Euclidean => "euclidean",
            Self::Cosine => "cosine",
        }
    }

    /// The method of that name, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(name))
    }
}

/// The options of the trackers; each says which trackers heed it where not all do.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackOptions {
    /// From this confidence detections are associated first (0..=1).
    pub track_high_thresh: f32,
    /// From this confidence detections may continue a track (0..=1).
    pub track_low_thresh: f32,
    /// From this confidence detections begin a track (0..=1).
    pub new_track_thresh: f32,
    /// The highest cost of the first association (0..=1): 1 - similarity.
    pub match_thresh: f32,
    /// A track that is not seen for so many thirtieths of a second ends.
    pub track_buffer: u32,
    /// Detections from which a track is no longer tentative.
    pub min_track_length: u32,
    /// How sure a track's detections must be to be no noise: this share of the log-odds that are
    /// typical of the known tracks (0..=1; 0 asks for none).
    pub track_evidence: f32,
    /// At most so many tracks at a time; the one that was lost longest makes room.
    pub max_tracks: usize,
    /// What is compared.
    pub association_method: AssociationMethod,
    /// Whether boxes are predicted by a Kalman filter; else the last box counts.
    pub kalman_filter: bool,
    /// Whether classes are not looked at.
    pub class_agnostic: bool,
    /// Whether a track that vanished behind another is waited for longer.
    pub occlusion_handling: bool,
    /// Whether the gap of a track that was lost and found is filled.
    pub track_interpolation: bool,
    /// Missed frames up to which every gap is filled; a longer one only where something hid the
    /// track.
    pub max_interpolation_gap: u32,
    /// Whether boxes are shown as the motion model sees them.
    pub track_smoothing: bool,
    /// Frames a second, where event times do not tell.
    pub frame_rate: f32,
    /// `ocsort`: frames over which a track's direction is told.
    pub delta_t: u32,
    /// `ocsort`: the weight of the direction in the cost (0..=1).
    pub inertia: f32,
    /// `deepsort`, `strongsort`: whether appearance is looked at.
    pub appearance_embedding: bool,
    /// `deepsort`, `strongsort`: the highest distance of appearances, 1 - cosine (0..=2).
    pub max_cosine_distance: f32,
    /// `deepsort`: appearances that are kept of a track.
    pub nn_budget: usize,
    /// `strongsort`: the weight of a track's appearance against a new one (0..=1).
    pub ema_alpha: f32,
    /// `strongsort`: the weight of appearance against motion in the cost (0..=1).
    pub appearance_weight: f32,
    /// `strongsort`: whether the camera's motion is taken out.
    pub camera_motion: bool,
    /// `strongsort`: whether a network is asked which tracks are one object; else their motion tells.
    pub links_by_model: bool,
    /// `iou`: the least IoU of a track's last box and its next (0..=1).
    pub track_iou_threshold: f32,
    /// `iou`: a track that is missed in more frames in a row ends.
    pub max_missed_frames: u32,
    /// `iou`: detections below this confidence belong to no track (0..=1).
    pub min_track_confidence: f32,
    /// `iou`: detections below this confidence begin no track (0..=1).
    pub confidence_threshold: f32,
}

impl TrackOptions {
    /// Those of the tracker `iou`.
    pub(super) fn iou(&self) -> IouOptions {
        IouOptions {
            iou_threshold: self.track_iou_threshold,
            max_missed_frames: self.max_missed_frames,
            min_confidence: self.min_track_confidence,
            new_track_confidence: self.confidence_threshold,
            min_track_length: self.min_track_length,
            max_tracks: self.max_tracks,
        }
    }
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self {
            track_high_thresh: 0.6,
            track_low_thresh: 0.1,
            new_track_thresh: 0.7,
            match_thresh: 0.8,
            track_buffer: 30,
            min_track_length: 5,
            track_evidence: 0.5,
            max_tracks: 100,
            association_method: AssociationMethod::Iou,
            kalman_filter: true,
            class_agnostic: false,
            occlusion_handling: false,
            track_interpolation: true,
            max_interpolation_gap: 4,
            track_smoothing: false,
            frame_rate: 30.0,
            delta_t: 3,
            inertia: 0.2,
            appearance_embedding: true,
            max_cosine_distance: 0.2,
            nn_budget: 100,
            ema_alpha: 0.9,
            appearance_weight: 0.98,
            camera_motion: true,
            links_by_model: false,
            track_iou_threshold: 0.3,
            max_missed_frames: 30,
            min_track_confidence: 0.3,
            confidence_threshold: 0.5,
        }
    }
}
