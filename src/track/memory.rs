//! What a tracker's answers mean for what was said before: the frames that a correction may reach
//! back to, and which numbers were merged into which track.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vigil_models::Detection;

use super::{Assignment, Correction, Sighting, TrackId};

/// Frames whose detections are remembered, so that one of them can be adopted later. A candidate
/// that nothing confirms for so long has been given up by every tracker.
const FRAMES: usize = 1024;

#[derive(Debug)]
struct Frame {
    frame_number: i64,
    ts_micros: i64,
    detections: Arc<[Detection]>,
}

/// The memory of one source's tracker.
#[derive(Debug, Default)]
pub(super) struct Memory {
    frames: VecDeque<Frame>,
    /// The numbers that were merged into a track, beside its own.
    merged: BTreeMap<TrackId, Vec<TrackId>>,
}

/// What follows from an assignment beside the tracks of its own frame.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Earlier detections that belong to a track now.
    pub adopted: Vec<(TrackId, Sighting)>,
    /// Differences of which track each number stands for.
    pub identities: Vec<((TrackId, TrackId), isize)>,
    /// The corrections that the tables can do.
    pub corrections: Vec<Correction>,
}

impl Memory {
    /// Remembers the detections of a frame.
    pub fn note(&mut self, frame_number: i64, ts_micros: i64, detections: Arc<[Detection]>) {
        if self.frames.len() == FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(Frame { frame_number, ts_micros, detections });
    }

    /// What follows from an assignment.
    pub fn effects(&mut self, assignment: &Assignment) -> Effects {
        let mut effects = Effects::default();
        for change in &assignment.changes {
            if change.from.is_none() && change.to.is_some() {
                effects.identities.push(((change.track, change.track), 1));
            }
        }
        for correction in &assignment.corrections {
            match *correction {
                Correction::Adopt { frame_number, detection, track } => {
                    // What is not adopted here must not be adopted in `detections` either.
                    let Some(sighting) = self.sighting(frame_number, detection) else {
                        tracing::error!(frame_number, detection, "nothing there to adopt");
                        continue;
                    };
                    effects.adopted.push((track, sighting));
                }
                Correction::Discard { track, .. } => self.forget(track, &mut effects),
                Correction::Merge { from, into, .. } => self.merge(from, into, &mut effects),
                Correction::Fill { .. } => {}
            }
            effects.corrections.push(*correction);
        }
        effects
    }

    fn sighting(&self, frame_number: i64, detection: u32) -> Option<Sighting> {
        let at =
            self.frames.binary_search_by_key(&frame_number, |frame| frame.frame_number).ok()?;
        let frame = &self.frames[at];
        let found = frame.detections.get(detection as usize)?;
        Some(Sighting::new(frame_number, frame.ts_micros, found))
    }

    /// The track's own number and those that were merged into it.
    fn numbers(&mut self, track: TrackId) -> Vec<TrackId> {
        let mut numbers = self.merged.remove(&track).unwrap_or_default();
        numbers.push(track);
        numbers
    }

    fn forget(&mut self, track: TrackId, effects: &mut Effects) {
        for number in self.numbers(track) {
            effects.identities.push(((number, track), -1));
        }
    }

    fn merge(&mut self, from: TrackId, into: TrackId, effects: &mut Effects) {
        for number in self.numbers(from) {
            effects.identities.push(((number, from), -1));
            effects.identities.push(((number, into), 1));
            self.merged.entry(into).or_default().push(number);
        }
    }
}
