//! The guide's tracker: a detection belongs to the track of its class whose last box it overlaps
//! most.
//!
//! Pairs of a track and a detection of equal class with IoU at or above the threshold are taken
//! greedily, highest IoU first; ties go to the older track, then to the more confident detection.
//! A detection that stays alone begins a track if it is confident enough. A track that was missed
//! in more frames in a row than allowed ends. There is no motion model.

use std::collections::BTreeMap;

use vigil_models::BBox;

use super::input::is_box_in;
use super::{Assignment, FrameInput, StateChange, TrackId, TrackState, Tracker};

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
}

impl Default for IouOptions {
    fn default() -> Self {
        Self {
            iou_threshold: 0.3,
            max_missed_frames: 30,
            min_confidence: 0.3,
            new_track_confidence: 0.5,
            min_track_length: 5,
        }
    }
}

#[derive(Clone, Debug)]
struct Track {
    class_id: u32,
    last_box: BBox,
    detections: u32,
    missed: u32,
    state: TrackState,
}

/// The tracker's state: its living tracks.
#[derive(Clone, Debug)]
pub struct IouTracker {
    options: IouOptions,
    tracks: BTreeMap<TrackId, Track>,
    next_id: i64,
}

impl IouTracker {
    /// A tracker that has seen nothing.
    pub fn new(options: IouOptions) -> Self {
        Self { options, tracks: BTreeMap::new(), next_id: 1 }
    }

    /// The track of each detection by greedy matching.
    fn matched(&self, frame: &FrameInput<'_>) -> Vec<Option<TrackId>> {
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

        let mut assigned: Vec<Option<TrackId>> = vec![None; detections.len()];
        let mut taken = std::collections::BTreeSet::new();
        for (_, id, index) in pairs {
            if assigned[index].is_none() && taken.insert(id) {
                assigned[index] = Some(id);
            }
        }
        assigned
    }
}

impl Tracker for IouTracker {
    fn name(&self) -> &'static str {
        "iou"
    }

    fn update_into(&mut self, frame: &FrameInput<'_>, out: &mut Assignment) {
        let detections = frame.detections;
        let options = self.options;
        let mut tracks = self.matched(frame);
        let seen: BTreeMap<TrackId, usize> =
            tracks.iter().enumerate().filter_map(|(index, id)| id.map(|id| (id, index))).collect();

        out.clear();
        let changes = &mut out.changes;
        let mut ended = Vec::new();
        for (&id, track) in &mut self.tracks {
            let to = if let Some(&index) = seen.get(&id) {
                track.last_box = detections[index].bbox;
                track.detections += 1;
                track.missed = 0;
                state_when_seen(track.detections, &options)
            } else {
                track.missed += 1;
                if track.missed > options.max_missed_frames {
                    ended.push(id);
                    TrackState::Ended
                } else {
                    TrackState::Lost
                }
            };
            if to != track.state {
                changes.push(StateChange { track: id, from: Some(track.state), to: Some(to) });
                track.state = to;
            }
        }
        for id in ended {
            self.tracks.remove(&id);
        }

        for (index, detection) in detections.iter().enumerate() {
            if tracks[index].is_none()
                && detection.confidence >= options.new_track_confidence
                && is_box_in(detection, frame)
            {
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
                        state,
                    },
                );
                tracks[index] = Some(id);
                changes.push(StateChange { track: id, from: None, to: Some(state) });
            }
        }
        out.tracks = tracks;
    }

    fn finish_into(&mut self, out: &mut Assignment) {
        out.clear();
        out.changes.extend(std::mem::take(&mut self.tracks).into_iter().map(|(track, last)| {
            StateChange { track, from: Some(last.state), to: Some(TrackState::Ended) }
        }));
    }
}

fn state_when_seen(detections: u32, options: &IouOptions) -> TrackState {
    if detections >= options.min_track_length { TrackState::Active } else { TrackState::Tentative }
}
