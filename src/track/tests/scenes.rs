//! Scenes for the tests of trackers: frames of boxes, and the real sequences.

use std::collections::BTreeMap;

use vigil_models::{BBox, Detection};

use crate::eval::{Replay, mot};
use crate::track::{
    Assignment, FrameInput, TrackId, TrackOptions, TrackState, Tracker, TrackerKind,
};

/// The trackers that keep tracks as they do, here without pictures.
pub(super) const BY_MOTION: [&str; 4] = ["bytetrack", "ocsort", "deepsort", "strongsort"];

/// A tracker by name.
pub(super) fn tracker(name: &str, options: &TrackOptions) -> Box<dyn Tracker> {
    TrackerKind::from_name(name).expect("a tracker").tracker(options)
}

/// A person of 40 × 100 pixels whose left upper corner is at `(x, y)`.
pub(super) fn person(x: f32, y: f32, confidence: f32) -> Detection {
    Detection { class_id: 0, confidence, bbox: BBox::new(x, y, x + 40.0, y + 100.0) }
}

/// A frame of a video of 30 frames a second, 640 × 480.
pub(super) fn frame(number: i64, detections: &[Detection]) -> FrameInput<'_> {
    FrameInput {
        frame_number: number,
        ts_micros: number.saturating_mul(33_333),
        width: 640,
        height: 480,
        detections,
        features: &[],
        motion: None,
    }
}

/// What the tables hold after all frames, and the states that the tracks went through.
pub(super) struct Watched {
    pub replay: Replay,
    pub states: BTreeMap<TrackId, Vec<Option<TrackState>>>,
    pub made: Vec<Assignment>,
}

impl Watched {
    /// Gives frames 0, 1, … to a tracker.
    pub fn new(tracker: &mut dyn Tracker, frames: &[Vec<Detection>]) -> Self {
        Self::sampled(tracker, frames, 1)
    }

    /// Gives frames 0, `step`, 2·`step`, … to a tracker.
    pub fn sampled(tracker: &mut dyn Tracker, frames: &[Vec<Detection>], step: usize) -> Self {
        let mut watched =
            Self { replay: Replay::default(), states: BTreeMap::new(), made: Vec::new() };
        for (number, detections) in (0..).step_by(step).zip(frames) {
            let made = tracker.update(&frame(number, detections));
            assert_eq!(made.tracks.len(), detections.len());
            watched.replay.frame(number, detections, &made);
            watched.note(made);
        }
        let made = tracker.finish();
        watched.replay.correct(&made.corrections);
        watched.note(made);
        watched
    }

    fn note(&mut self, made: Assignment) {
        for change in &made.changes {
            let states = self.states.entry(change.track).or_default();
            assert_eq!(change.from, states.last().copied().flatten(), "{change:?}");
            states.push(change.to);
        }
        self.made.push(made);
    }

    /// The tracks of a frame with the left edges of their boxes, by track.
    pub fn at(&self, number: i64) -> Vec<(i64, f64)> {
        let results = self.replay.results();
        let of_frame = results.get(&number).into_iter().flatten();
        of_frame.map(|labelled| (labelled.id, labelled.ltwh[0])).collect()
    }

    /// The number of different tracks that are left at the end.
    pub fn tracks(&self) -> usize {
        let last =
            |states: &&Vec<Option<TrackState>>| states.last() == Some(&Some(TrackState::Ended));
        self.states.values().filter(last).count()
    }
}

/// The detections of a real sequence by frame, from 1 on, or nothing where there is no test data.
pub(super) fn real(name: &str, scores: mot::Scores) -> Option<BTreeMap<i64, Vec<Detection>>> {
    let file = vigil_test_data::file(&format!("data/mot/{name}/det.txt"))?;
    Some(mot::read_detections(&file, scores).expect("detections"))
}

/// The boxes of each track with their frames, without its number: which boxes are one object's.
pub(super) fn partition(frames: &mot::Frames) -> Vec<Vec<(i64, [u64; 4])>> {
    let mut tracks: BTreeMap<i64, Vec<(i64, [u64; 4])>> = BTreeMap::new();
    for (number, of) in frames {
        for labelled in of {
            let boxes = tracks.entry(labelled.id).or_default();
            boxes.push((*number, labelled.ltwh.map(f64::to_bits)));
        }
    }
    let mut tracks: Vec<_> = tracks.into_values().collect();
    tracks.sort_unstable();
    tracks
}
