//! Which frames are key frames: the first, the one in which a new track has lasted long enough,
//! the one in which other classes are to be seen than in the last key frame, and one after a
//! while at the latest.

use std::collections::{BTreeMap, BTreeSet};

use crate::track::{TrackId, TrackState, TrackedFrame};

/// When a frame becomes a key frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyframeOptions {
    /// The first frame is one.
    pub first: bool,
    /// A frame in which a track reaches so many detections is one; `None`: never.
    pub track_frames: Option<u32>,
    /// A frame with another set of classes than the last key frame is one.
    pub class_change: bool,
    /// A frame so long after the last key frame is one, microseconds of event time.
    pub interval_micros: i64,
    /// Detections below this confidence do not count (0..=1).
    pub confidence_threshold: f32,
}

/// The policy of one source, and what it remembers.
#[derive(Clone, Debug)]
pub struct KeyframePolicy {
    options: KeyframeOptions,
    last_ts_micros: Option<i64>,
    last_classes: BTreeSet<u32>,
    /// Detections of the tracks that have not lasted long enough yet.
    young: BTreeMap<TrackId, u32>,
    grown: BTreeSet<TrackId>,
}

impl KeyframePolicy {
    /// A policy that has seen nothing.
    pub fn new(options: KeyframeOptions) -> Self {
        Self {
            options,
            last_ts_micros: None,
            last_classes: BTreeSet::new(),
            young: BTreeMap::new(),
            grown: BTreeSet::new(),
        }
    }

    /// Looks at the next frame and says whether it is a key frame.
    pub fn observe(&mut self, frame: &TrackedFrame) -> bool {
        let is_first = self.last_ts_micros.is_none();
        let since = *self.last_ts_micros.get_or_insert(frame.ts_micros);
        let classes = self.classes(frame);

        let reasons = [
            is_first && self.options.first,
            self.has_grown_track(frame),
            self.options.class_change
                && !is_first
                && classes.as_ref().is_some_and(|classes| *classes != self.last_classes),
            frame.ts_micros.saturating_sub(since) >= self.options.interval_micros && !is_first,
        ];
        let is_keyframe = reasons.contains(&true);
        // Without a key frame at the start, changes are told from what the first frame shows.
        if is_keyframe || is_first {
            self.last_ts_micros = Some(frame.ts_micros);
            if let Some(classes) = classes {
                self.last_classes = classes;
            }
        }
        is_keyframe
    }

    /// The classes to be seen; `None` when nobody looked.
    fn classes(&self, frame: &TrackedFrame) -> Option<BTreeSet<u32>> {
        let detections = frame.detections.as_deref()?;
        let counted = detections
            .iter()
            .filter(|found| found.confidence >= self.options.confidence_threshold)
            .map(|found| found.class_id);
        Some(counted.collect())
    }

    fn has_grown_track(&mut self, frame: &TrackedFrame) -> bool {
        let Some(track_frames) = self.options.track_frames else { return false };
        let mut has_grown = false;
        for track in frame.tracks.iter().flatten() {
            if self.grown.contains(track) {
                continue;
            }
            let seen = self.young.entry(*track).or_default();
            *seen += 1;
            if *seen >= track_frames {
                self.young.remove(track);
                self.grown.insert(*track);
                has_grown = true;
            }
        }
        for change in frame
            .changes
            .iter()
            .filter(|change| matches!(change.to, None | Some(TrackState::Ended)))
        {
            self.young.remove(&change.track);
            self.grown.remove(&change.track);
        }
        has_grown
    }
}
