//! What a tracker is: frames with their detections go in, in order; identities, changes of state
//! and corrections of what was said before come out. It keeps no table and looks at no clock.

use std::sync::Arc;

use vigil_models::{BBox, Detection, TrackPair};

use super::{TrackId, TrackState};

/// How the picture moved since the frame before: a point `(x, y)` of that frame is seen at
/// `(a·x + b·y + c, d·x + e·y + f)` in this one, in pixels of the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraMotion {
    /// `[a, b, c]`.
    pub x: [f32; 3],
    /// `[d, e, f]`.
    pub y: [f32; 3],
}

impl CameraMotion {
    /// A camera that did not move.
    pub const NONE: Self = Self { x: [1.0, 0.0, 0.0], y: [0.0, 1.0, 0.0] };
}

/// A frame as a tracker sees it.
#[derive(Clone, Copy, Debug)]
pub struct FrameInput<'a> {
    /// Its number; it grows from frame to frame, and may jump.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// Width of the frame in pixels; 0 when it is not known.
    pub width: u32,
    /// Height of the frame in pixels; 0 when it is not known.
    pub height: u32,
    /// What was detected.
    pub detections: &'a [Detection],
    /// The appearance of each detection, where it was asked for; or empty.
    pub features: &'a [Option<Arc<[f32]>>],
    /// How the camera moved since the frame before, where it was asked for.
    pub motion: Option<CameraMotion>,
}

/// What a tracker wants to know of a frame before it takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// The indexes of the detections whose appearance decides something, ascending.
    pub appearance: Vec<u32>,
    /// Whether the camera's motion is used.
    pub camera_motion: bool,
    /// Pairs of tracks that may be one object; [`Tracker::linked`] takes the answer.
    pub links: Vec<TrackPair>,
}

/// A track went from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The track.
    pub track: TrackId,
    /// Its state until now; `None` when it begins.
    pub from: Option<TrackState>,
    /// Its state from now on; `None` when there never was such a track.
    pub to: Option<TrackState>,
}

/// What was said of earlier frames and is now known better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Correction {
    /// A detection without a track belongs to this one.
    Adopt {
        /// The earlier frame.
        frame_number: i64,
        /// The index of the detection in that frame.
        detection: u32,
        /// The track.
        track: TrackId,
    },
    /// A track that was not seen in a frame between two where it was: its box there is
    /// interpolated. A later one of the same frame and track takes the place of the earlier.
    Fill {
        /// The earlier frame.
        frame_number: i64,
        /// That frame's event time, microseconds since the Unix epoch.
        ts_micros: i64,
        /// The track.
        track: TrackId,
        /// The track's class.
        class_id: u32,
        /// The box, in pixels of the frame.
        bbox: BBox,
        /// The confidence, interpolated too (0..=1).
        confidence: f32,
    },
    /// The track was noise: its detections belong to no track.
    Discard {
        /// The track.
        track: TrackId,
        /// The first frame it was seen in.
        first_frame: i64,
        /// The last frame it was seen in.
        last_frame: i64,
    },
    /// Two tracks were one object: the detections and filled boxes of `from` are those of `into`.
    Merge {
        /// The track that is no more.
        from: TrackId,
        /// The track that it continues.
        into: TrackId,
        /// The first frame `from` was seen in.
        first_frame: i64,
        /// The last frame `from` was seen in.
        last_frame: i64,
    },
}

/// What a tracker makes of a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// The track of each detection, in the order of the detections.
    pub tracks: Vec<Option<TrackId>>,
    /// With `track_smoothing`: the box of each detection as the motion model sees it, in the order
    /// of the detections; else empty.
    pub boxes: Vec<BBox>,
    /// State changes, in the order in which they happened.
    pub changes: Vec<StateChange>,
    /// What is corrected in earlier frames, in the order in which it is to be done, after the
    /// tracks of this frame are noted.
    pub corrections: Vec<Correction>,
}

impl Assignment {
    /// Forgets what it holds and keeps the room.
    pub fn clear(&mut self) {
        self.tracks.clear();
        self.boxes.clear();
        self.changes.clear();
        self.corrections.clear();
    }
}

/// A tracker of one source.
///
/// The same frames give the same assignments: ties are broken by track number and the order of
/// the detections.
///
/// A detection has the id of a track that has begun, or none. A candidate that was seen once has
/// no id; when it is seen again a track begins, and the first sighting is adopted.
pub trait Tracker {
    /// Its name in SQL.
    fn name(&self) -> &'static str;

    /// What it wants to know of the frame beyond its detections. The frame's own features and
    /// motion are not there yet.
    fn needs(&mut self, frame: &FrameInput<'_>) -> Needs {
        let _ = frame;
        Needs::default()
    }

    /// How likely each pair of the last [`Needs::links`] is one object (0..=1), in order. Comes
    /// before the frame that was asked for; not at all when nobody could tell.
    fn linked(&mut self, probabilities: &[f32]) {
        let _ = probabilities;
    }

    /// Takes the next frame, and writes what becomes of it into `out`, which is cleared first.
    /// Detections of a frame that is not after the one before belong to no track.
    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment);

    /// No frame comes after this: every track ends. `out` is cleared first.
    fn finish_into(&mut self, out: &mut Assignment);

    /// Takes the next frame.
    fn update(&mut self, frame: &FrameInput<'_>) -> Assignment {
        let mut out = Assignment::default();
        self.update_into(frame, &mut out);
        out
    }

    /// No frame comes after this: every track ends.
    fn finish(&mut self) -> Assignment {
        let mut out = Assignment::default();
        self.finish_into(&mut out);
        out
    }
}

/// The tracker that follows nothing (`tracker = 'none'`).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTracker;

impl Tracker for NoTracker {
    fn name(&self) -> &'static str {
        "none"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        out.clear();
        out.tracks.resize(frame.detections.len(), None);
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        out.clear();
    }
}
