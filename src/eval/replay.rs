//! What the tables would hold: frames are given to a tracker, and its corrections are done.

use std::collections::BTreeMap;

use vigil_models::{BBox, Detection};

use super::mot::{Frames, Labelled};
use crate::track::{Assignment, Correction, FrameInput, TrackId, Tracker};

/// Frames without detections that are given one by one: at 30 frames a second more than five minutes,
/// where numbers of frames are times in disguise it ends in bounded time.
const MOST_EMPTY_FRAMES: usize = 10_000;

/// Detections and filled boxes with their tracks, as corrected up to now.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    frames: BTreeMap<i64, Rows>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    detections: Vec<(Option<TrackId>, BBox, f32)>,
    filled: BTreeMap<TrackId, (BBox, f32)>,
}

impl Replay {
    /// Takes what a tracker made of a frame.
    pub fn frame(&mut self, number: i64, detections: &[Detection], made: &Assignment) {
        let rows = detections.iter().enumerate().map(|(index, detection)| {
            let track = made.tracks.get(index).copied().flatten();
            let bbox = made.boxes.get(index).copied().unwrap_or(detection.bbox);
            (track, bbox, detection.confidence)
        });
        self.frames.entry(number).or_default().detections.extend(rows);
        self.correct(&made.corrections);
    }

    /// Does the corrections.
    pub fn correct(&mut self, corrections: &[Correction]) {
        for correction in corrections {
            match *correction {
                Correction::Adopt { frame_number, detection, track } => {
                    let rows = self.frames.entry(frame_number).or_default();
                    if let Some(row) = rows.detections.get_mut(detection as usize) {
                        row.0 = Some(track);
                    }
                }
                Correction::Fill { frame_number, track, bbox, confidence, .. } => {
                    let rows = self.frames.entry(frame_number).or_default();
                    rows.filled.insert(track, (bbox, confidence));
                }
                Correction::Discard { track, first_frame, last_frame } => {
                    for rows in
                        self.frames.range_mut(first_frame..=last_frame).map(|(_, rows)| rows)
                    {
                        rows.filled.remove(&track);
                        for row in rows.detections.iter_mut().filter(|row| row.0 == Some(track)) {
                            row.0 = None;
                        }
                    }
                }
                Correction::Merge { from, into, first_frame, last_frame } => {
                    for rows in
                        self.frames.range_mut(first_frame..=last_frame).map(|(_, rows)| rows)
                    {
                        if let Some(filled) = rows.filled.remove(&from) {
                            rows.filled.insert(into, filled);
                        }
                        for row in rows.detections.iter_mut().filter(|row| row.0 == Some(from)) {
                            row.0 = Some(into);
                        }
                    }
                }
            }
        }
    }

    /// Every box with a track, in the numbers that a file of results has.
    pub fn results(&self) -> Frames {
        let mut frames = Frames::new();
        for (number, rows) in &self.frames {
            let detected = rows.detections.iter().filter_map(|(track, bbox, confidence)| {
                track.map(|track| labelled(track, bbox, *confidence))
            });
            let filled = rows.filled.iter();
            let filled = filled.map(|(track, (bbox, sure))| labelled(*track, bbox, *sure));
            let mut all: Vec<Labelled> = detected.chain(filled).collect();
            all.sort_by_key(|labelled| labelled.id);
            if !all.is_empty() {
                frames.insert(*number, all);
            }
        }
        frames
    }
}

/// A box as a file of results has it: pixels with two decimals.
fn labelled(track: TrackId, bbox: &BBox, confidence: f32) -> Labelled {
    let cents = |pixels: f32| (f64::from(pixels) * 100.0).round() / 100.0;
    let ltwh = [bbox.x1, bbox.y1, bbox.x2 - bbox.x1, bbox.y2 - bbox.y1].map(cents);
    Labelled { id: track.0, ltwh, confidence: f64::from(confidence) }
}

/// Gives the frames from the first to the last to a tracker, at a frame rate. Of a stretch without
/// detections of more than [`MOST_EMPTY_FRAMES`] the rest is left out, a pause to the tracker.
pub fn replay(
    detections: &BTreeMap<i64, Vec<Detection>>,
    tracker: &mut dyn Tracker,
    frame_rate: f64,
) -> Replay {
    let mut replay = Replay::default();
    let mut made = Assignment::default();
    let mut give = |number: i64, found: &[Detection]| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "microseconds of a video"
        )]
        let ts_micros = (number as f64 * 1e6 / frame_rate).round() as i64;
        let frame = FrameInput {
            frame_number: number,
            ts_micros,
            width: 0,
            height: 0,
            detections: found,
            features: &[],
            motion: None,
        };
        tracker.update_into(&frame, &mut made);
        replay.frame(number, found, &made);
    };
    let mut next = 1;
    for (number, found) in detections {
        let empty = next.min(*number)..*number;
        for number in empty.take(MOST_EMPTY_FRAMES) {
            give(number, &[]);
        }
        give(*number, found);
        next = number.saturating_add(1);
    }
    tracker.finish_into(&mut made);
    replay.correct(&made.corrections);
    replay
}
