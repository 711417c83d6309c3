//! The trackers by name. A new one is a file beside this and a line in [`all`].

use super::bytetrack::ByteTracker;
use super::deepsort::DeepSort;
use super::iou::IouTracker;
use super::ocsort::OcSort;
use super::options::TrackOptions;
use super::strongsort::StrongSort;
use super::tracker::{NoTracker, Tracker};

/// A tracker that can be chosen.
#[derive(Clone, Copy)]
pub struct TrackerKind {
    /// Its name in SQL.
    pub name: &'static str,
    /// Whether it asks what boxes look like.
    pub asks_appearance: bool,
    make: fn(&TrackOptions) -> Box<dyn Tracker>,
}

/// Every tracker.
pub fn all() -> &'static [TrackerKind] {
    ALL
}

const ALL: &[TrackerKind] = &[
    TrackerKind::IOU,
    TrackerKind {
        name: "bytetrack",
        asks_appearance: false,
        make: |options| Box::new(ByteTracker::new(options)),
    },
    TrackerKind {
        name: "ocsort",
        asks_appearance: false,
        make: |options| Box::new(OcSort::new(options)),
    },
    TrackerKind {
        name: "deepsort",
        asks_appearance: true,
        make: |options| Box::new(DeepSort::new(options)),
    },
    TrackerKind {
        name: "strongsort",
        asks_appearance: true,
        make: |options| Box::new(StrongSort::new(options)),
    },
    TrackerKind::NONE,
];

impl TrackerKind {
    /// The guide's tracker.
    pub const IOU: Self = Self {
        name: "iou",
        asks_appearance: false,
        make: |options| Box::new(IouTracker::new(options.iou())),
    };
    /// Detections stay without tracks.
    pub const NONE: Self =
        Self { name: "none", asks_appearance: false, make: |_| Box::new(NoTracker) };

    /// The tracker of that name, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// A tracker that has seen nothing.
    pub fn tracker(&self, options: &TrackOptions) -> Box<dyn Tracker> {
        (self.make)(options)
    }

    /// Its name in SQL.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl std::fmt::Debug for TrackerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for TrackerKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TrackerKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_trackers() {
        let mut names: Vec<_> = all().iter().map(|kind| kind.name).collect();
        for kind in all() {
            assert_eq!(kind.tracker(&TrackOptions::default()).name(), kind.name);
            assert_eq!(TrackerKind::from_name(&kind.name.to_uppercase()), Some(*kind));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }
}
