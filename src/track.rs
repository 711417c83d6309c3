//! Tracking: detections of successive frames go in, identities come out.
//!
//! [`Tracker`] is what a tracker does, one file each beside this one; `operator` feeds it frame by
//! frame in order; `summary` and `tracks` keep the table `tracks` with differential dataflow from
//! what the tracker assigned.

mod appearance;
mod assignment;
mod association;
mod bytetrack;
mod camera;
mod classes;
mod deepsort;
mod input;
mod iou;
mod kalman;
mod kept;
mod life;
mod look;
mod memory;
mod ocsort;
mod operator;
mod options;
mod pace;
mod registry;
#[cfg(test)]
mod replay_tests;
mod similarity;
mod smooth;
mod strongsort;
mod summary;
#[cfg(test)]
mod tests;
mod tracker;
mod tracks;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::assignment::{Assigner, Pair};
pub use self::bytetrack::ByteTracker;
pub use self::camera::CameraEstimator;
pub use self::deepsort::DeepSort;
pub use self::iou::{IouOptions, IouTracker};
pub use self::kept::KeptAppearance;
pub use self::look::{Appearance, AppearanceReply, Linking, Look, Looker, MotionEstimator};
pub use self::ocsort::OcSort;
pub use self::operator::{TrackOutputs, TrackedFrame, track};
pub use self::options::{AssociationMethod, TrackOptions};
pub use self::registry::{TrackerKind, all};
pub use self::strongsort::StrongSort;
pub use self::summary::{Position, Sighting, TrackSummary};
pub use self::tracker::{
    Assignment, CameraMotion, Correction, FrameInput, Needs, NoTracker, StateChange, Tracker,
};
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
