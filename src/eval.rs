//! How good a tracker is: MOTChallenge files go in, HOTA, MOTA and IDF1 come out, as TrackEval
//! computes them.

mod clear;
pub mod detect;
mod hota;
mod identity;
pub mod mot;
mod replay;
mod sequence;
#[cfg(test)]
mod tests;

pub use self::clear::ClearCounts;
pub use self::hota::HotaCounts;
pub use self::identity::IdentityCounts;
pub use self::replay::{Replay, replay};
use self::sequence::Sequence;

/// What one or more sequences are worth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// HOTA, DetA, AssA.
    pub hota: HotaCounts,
    /// MOTA, false alarms, misses, switches.
    pub clear: ClearCounts,
    /// IDF1.
    pub identity: IdentityCounts,
}

impl Scores {
    /// Of results against the ground truth of a sequence.
    pub fn of(truth: &mot::Frames, results: &mot::Frames) -> Self {
        let sequence = Sequence::new(truth, results);
        Self {
            hota: HotaCounts::of(&sequence),
            clear: ClearCounts::of(&sequence),
            identity: IdentityCounts::of(&sequence),
        }
    }

    /// Adds those of another sequence.
    pub fn add(&mut self, other: &Self) {
        self.hota.add(&other.hota);
        self.clear.add(&other.clear);
        self.identity.add(&other.identity);
    }
}
