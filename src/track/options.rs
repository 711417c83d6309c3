//! What can be set of the trackers: one set of defaults for all of them and for all videos.

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
    /// Cosine of the appearance vectors, among boxes that overlap.
    Cosine,
    /// Distance of the centres in units of the boxes' diagonals.
    Euclidean,
}

impl AssociationMethod {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Iou, Self::Giou, Self::Diou, Self::Cosine, Self::Euclidean];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iou => "iou",
            Self::Giou => "giou",
            Self::Diou => "diou",
            Self::Cosine => "cosine",
            Self::Euclidean => "euclidean",
        }
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
    /// Whether boxes are shown as the motion model sees them.
    pub track_smoothing: bool,
    /// Frames a second, where event times do not tell.
    pub frame_rate: f32,
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
            track_smoothing: false,
            frame_rate: 30.0,
        }
    }
}
