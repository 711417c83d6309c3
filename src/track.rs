//! Tracking: detections of successive frames go in, identities come out.
//!
//! [`Tracker`] is what a tracker does, one file each beside this one; `operator` feeds it frame by
//! frame in order; `summary` and `tracks` keep the table `tracks` with differential dataflow from
//! what the tracker assigned.

mod iou;
mod operator;
mod summary;
#[cfg(test)]
mod tests;
mod tracks;

use std::fmt;

use serde::{Deserialize, Serialize};
use vigil_models::Detection;

pub use self::iou::{IouOptions, IouTracker};
pub use self::operator::{TrackOutputs, TrackedFrame, track};
pub use self::summary::{Position, Sighting, TrackSummary};
pub use self::tracks::{TrackFact, tracks};

/// The number of a track in its source, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub i64);

/// Where a track is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrackState {
    /// Seen too few times to be sure of it.
    Tentative,
    /// Seen often enough, and in the last frame.
    Active,
    /// Not seen in the last frame, still looked for.
    Lost,
    /// Given up, or the source has ended.
    Ended,
}

impl TrackState {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Active => "active",
            Self::Lost => "lost",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for TrackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A track went from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The track.
    pub track: TrackId,
    /// Its state until now; `None` when it begins.
    pub from: Option<TrackState>,
    /// Its state from now on.
    pub to: TrackState,
}

/// What a tracker makes of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The track of each detection, in the order of the detections.
    pub tracks: Vec<Option<TrackId>>,
    /// State changes, by track.
    pub changes: Vec<StateChange>,
}

/// A tracker of one source.
///
/// The same frames give the same assignments: ties are broken by track number and the order of
/// the detections.
pub trait Tracker {
    /// Its name in SQL.
    fn name(&self) -> &'static str;

    /// Takes the detections of the next frame.
    fn update(&mut self, detections: &[Detection]) -> Assignment;

    /// No frame comes after this: every track ends.
    fn finish(&mut self) -> Vec<StateChange>;
}

/// The tracker that follows nothing (`tracker = 'none'`).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTracker;

impl Tracker for NoTracker {
    fn name(&self) -> &'static str {
        "none"
    }

    fn update(&mut self, detections: &[Detection]) -> Assignment {
        Assignment { tracks: vec![None; detections.len()], changes: Vec::new() }
    }

    fn finish(&mut self) -> Vec<StateChange> {
        Vec::new()
    }
}
