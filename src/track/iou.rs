//! The guide's tracker: a detection belongs to the track of its class whose last box it overlaps
//! most.
//!
//! Pairs of a track and a detection of equal class with IoU at or above the threshold are taken
//! greedily, highest IoU first; ties go to the older track, then to the more confident detection.
//! A detection that stays alone begins a track if it is confident enough. A track that was missed
//! in more frames in a row than allowed ends, and so do all tracks when the video stands still for
//! longer than such frames take; one that ends before it is long enough was noise. There is no
//! motion model.

use std::collections::BTreeMap;

use vigil_models::BBox;

use super::input::is_box_in;
use super::pace::Pace;
use super::{Assignment, Correction, FrameInput, StateChange, TrackId, TrackState, Tracker};

/// Options of the tracker, with the guide's values as defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IouOptions {
    /// Least IoU between a track's last box and a detection (0..=1).
    pub iou_threshold: f32,
    /// A track that was missed in more frames in a row ends.
    pub max_missed_frames: u32,
    /// Detections below this confidence belong to no track (0..=1).
    pub min_confidence: f32,
    /// Detections below this confidence begin no track (0..=1).
    pub new_track_confidence: f32,
    /// Detections after which a track is no longer tentative.
    pub min_track_length: u32,
    /// At most so many tracks at a time; the one that was lost longest makes room.
    pub max_tracks: usize,
}

impl Default for IouOptions {
    fn default() -> Self {
        Self {
            iou_threshold: 0.3,
            max_missed_frames: 30,
            min_confidence: 0.3,
            new_track_confidence: 0.5,
            min_track_length: 5,
            max_tracks: 100,
        }
    }
}

#[derive(Clone, Debug)]
struct Track {
    class_id: u32,
    last_box: BBox,
    detections: u32,
    missed: u32,
    first_frame: i64,
    last_frame: i64,
    state: TrackState,
}

/// The tracker's state: its living tracks.
#[derive(Clone, Debug)]
pub struct IouTracker {
    options: IouOptions,
    tracks: BTreeMap<TrackId, Track>,
    pace: Pace,
    next_id: i64,
}

impl IouTracker {
    /// A tracker that has seen nothing.
    pub fn new(options: IouOptions) -> Self {
        Self { options, tracks: BTreeMap::new(), pace: Pace::default(), next_id: 1 }
    }

    /// The track of each detection by greedy matching.
    fn matched(&self, frame: &FrameInput<'_>, assigned: &mut [Option<TrackId>]) {
        let detections = frame.detections;
        let mut pairs = Vec::new();
        for (&id, track) in &self.tracks {
            for (index, detection) in detections.iter().enumerate() {
                if detection.class_id == track.class_id
                    && is_box_in(detection, frame)
                    && detection.confidence >= self.options.min_confidence
                {
                    let iou = track.last_box.iou(&detection.bbox);
                    if iou >= self.options.iou_threshold && iou > 0.0 {
                        pairs.push((iou, id, index));
                    }
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));

        let mut taken = std::collections::BTreeSet::new();
        for (_, id, index) in pairs {
            if assigned[index].is_none() && taken.insert(id) {
                assigned[index] = Some(id);
            }
        }
    }

    /// Whether one more track fits; the one that was lost longest ends where none does.
    fn make_room(&mut self, out: &mut Assignment) -> bool {
        if self.tracks.len() < self.options.max_tracks {
            return true;
        }
        let lost = self.tracks.iter().filter(|(_, track)| track.missed > 0);
        let Some(id) = lost.min_by_key(|(id, track)| (track.last_frame, **id)).map(|(id, _)| *id)
        else {
            return false;
        };
        if let Some(track) = self.tracks.remove(&id) {
            end(id, &track, out);
        }
        true
    }

    fn end_all(&mut self, out: &mut Assignment) {
        for (id, track) in std::mem::take(&mut self.tracks) {
            end(id, &track, out);
        }
    }
}

/// A track is given up: it ends, or was noise.
fn end(track: TrackId, of: &Track, out: &mut Assignment) {
    let from = Some(of.state);
    if of.state == TrackState::Tentative {
        out.changes.push(StateChange { track, from, to: None });
        let (first_frame, last_frame) = (of.first_frame, of.last_frame);
        out.corrections.push(Correction::Discard { track, first_frame, last_frame });
    } else {
        out.changes.push(StateChange { track, from, to: Some(TrackState::Ended) });
    }
}

impl Tracker for IouTracker {
    fn name(&self) -> &'static str {
        "iou"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        let detections = frame.detections;
        let options = self.options;
        out.clear();
        out.tracks.resize(detections.len(), None);
        let Some(step) = self.pace.turn_to(frame.frame_number, frame.ts_micros) else { return };
        // So late that every track would have been missed too often; half a frame more, however
        // the times were rounded.
        let usual = self.pace.interval_micros();
        let longest = usual.saturating_mul(i64::from(options.max_missed_frames) + 1);
        if usual > 0 && step.micros > longest.saturating_add(usual / 2) {
            self.end_all(out);
        }
        self.matched(frame, &mut out.tracks);
        let seen: BTreeMap<TrackId, usize> =
            out.tracks.iter().enumerate().filter_map(|(index, id)| Some(((*id)?, index))).collect();

        let mut over = Vec::new();
        for (&id, track) in &mut self.tracks {
            let to = if let Some(&index) = seen.get(&id) {
                track.last_box = detections[index].bbox;
                track.last_frame = frame.frame_number;
                track.detections += 1;
                track.missed = 0;
                state_when_seen(track.detections, &options)
            } else {
                track.missed += 1;
                if track.missed > options.max_missed_frames {
                    over.push(id);
                }
                // What was never sure cannot be lost.
                if track.state == TrackState::Tentative { track.state } else { TrackState::Lost }
            };
            let is_over = over.last() == Some(&id);
            if to != track.state && !is_over {
                out.changes.push(StateChange { track: id, from: Some(track.state), to: Some(to) });
                track.state = to;
            }
        }
        for id in over {
            if let Some(track) = self.tracks.remove(&id) {
                end(id, &track, out);
            }
        }

        for (index, detection) in detections.iter().enumerate() {
            if out.tracks[index].is_some()
                || detection.confidence < options.new_track_confidence
                || !is_box_in(detection, frame)
            {
                continue;
            }
            if !self.make_room(out) {
                break;
            }
            let id = TrackId(self.next_id);
            self.next_id += 1;
            let state = state_when_seen(1, &options);
            self.tracks.insert(
                id,
                Track {
                    class_id: detection.class_id,
                    last_box: detection.bbox,
                    detections: 1,
                    missed: 0,
                    first_frame: frame.frame_number,
                    last_frame: frame.frame_number,
                    state,
                },
            );
            out.tracks[index] = Some(id);
            out.changes.push(StateChange { track: id, from: None, to: Some(state) });
        }
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        out.clear();
        self.end_all(out);
    }
}

fn state_when_seen(detections: u32, options: &IouOptions) -> TrackState {
    if detections >= options.min_track_length { TrackState::Active } else { TrackState::Tentative }
}
