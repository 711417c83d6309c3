//! Which appearances are kept: what a tracker asked for goes in; the first of each track and then
//! one a second come out, as rows of `embeddings`.
//!
//! Nothing is looked at for this alone, so a tracker that asks for no appearances keeps none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Assignment, Correction, FrameInput, TrackId, TrackState};

/// What a track looked like in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAppearance {
    /// The frame.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// The track.
    pub track: TrackId,
    /// The L2-normalised vector of its box.
    pub vector: Arc<[f32]>,
}

/// A track's next appearance is kept after so long, microseconds of event time.
const EVERY_MICROS: i64 = 1_000_000;
/// So many appearances of boxes without a track are remembered, until a track adopts them.
const UNCLAIMED: usize = 256;

/// The index of a detection in its frame, and what it looked like there.
#[derive(Debug)]
struct Unclaimed {
    frame_number: i64,
    ts_micros: i64,
    detection: usize,
    vector: Arc<[f32]>,
}

/// The memory of one source.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// When the appearance of each living track was last kept.
    kept: BTreeMap<TrackId, i64>,
    /// Oldest first.
    unclaimed: VecDeque<Unclaimed>,
}

impl Keeper {
    /// What is kept of a frame, whose tracks are `assignment`, and of earlier ones that are adopted.
    pub(super) fn keep(
        &mut self,
        frame: &FrameInput<'_>,
        assignment: &Assignment,
    ) -> Vec<KeptAppearance> {
        let mut kept = Vec::new();
        for correction in &assignment.corrections {
            if let Correction::Adopt { frame_number, detection, track } = *correction
                && let Some(found) = self.claim(frame_number, detection as usize)
                && self.is_due(track, found.ts_micros)
            {
                let Unclaimed { frame_number, ts_micros, vector, .. } = found;
                kept.push(KeptAppearance { frame_number, ts_micros, track, vector });
            }
        }
        let (frame_number, ts_micros) = (frame.frame_number, frame.ts_micros);
        let looked_at = frame.features.iter().zip(&assignment.tracks).enumerate();
        for (detection, (feature, track)) in looked_at {
            let Some(vector) = feature.clone() else { continue };
            match *track {
                Some(track) if self.is_due(track, ts_micros) => {
                    kept.push(KeptAppearance { frame_number, ts_micros, track, vector });
                }
                Some(_) => {}
                None => {
                    if self.unclaimed.len() == UNCLAIMED {
                        self.unclaimed.pop_front();
                    }
                    let unclaimed = Unclaimed { frame_number, ts_micros, detection, vector };
                    self.unclaimed.push_back(unclaimed);
                }
            }
        }
        for change in &assignment.changes {
            if matches!(change.to, None | Some(TrackState::Ended)) {
                self.kept.remove(&change.track);
            }
        }
        kept
    }

    fn claim(&mut self, frame_number: i64, detection: usize) -> Option<Unclaimed> {
        let is_it =
            |one: &Unclaimed| (one.frame_number, one.detection) == (frame_number, detection);
        let at = self.unclaimed.iter().position(is_it)?;
        self.unclaimed.remove(at)
    }

    /// Whether a track's appearance at this time is kept; then it is the last one.
    fn is_due(&mut self, track: TrackId, ts_micros: i64) -> bool {
        let last = self.kept.get(&track);
        let is_due = last.is_none_or(|last| ts_micros.saturating_sub(*last) >= EVERY_MICROS);
        if is_due {
            self.kept.insert(track, ts_micros);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::StateChange;

    fn look(value: f32) -> Option<Arc<[f32]>> {
        Some(Arc::from([value]))
    }

    fn keep(
        keeper: &mut Keeper,
        frame_number: i64,
        features: &[Option<Arc<[f32]>>],
        assignment: &Assignment,
    ) -> Vec<(i64, i64, f32)> {
        let frame = FrameInput {
            frame_number,
            ts_micros: frame_number * 400_000,
            width: 0,
            height: 0,
            detections: &[],
            features,
            motion: None,
        };
        let kept = keeper.keep(&frame, assignment);
        kept.iter().map(|kept| (kept.frame_number, kept.track.0, kept.vector[0])).collect()
    }

    fn tracks(tracks: &[Option<i64>]) -> Assignment {
        let tracks = tracks.iter().map(|track| track.map(TrackId)).collect();
        Assignment { tracks, ..Assignment::default() }
    }

    #[test]
    fn a_track_is_kept_first_and_then_once_a_second() {
        let mut keeper = Keeper::default();
        let both = tracks(&[Some(1), Some(2)]);
        assert_eq!(
            keep(&mut keeper, 0, &[look(0.1), look(0.2)], &both),
            [(0, 1, 0.1), (0, 2, 0.2)]
        );
        // 400 ms later it is too early, and after 800 ms nothing was looked at.
        assert!(keep(&mut keeper, 1, &[look(0.3), None], &both).is_empty());
        assert!(keep(&mut keeper, 2, &[None, None], &both).is_empty());
        assert_eq!(keep(&mut keeper, 3, &[look(0.4), None], &both), [(3, 1, 0.4)]);
        assert!(keep(&mut keeper, 4, &[], &both).is_empty(), "no answer of the network");
    }

    #[test]
    fn the_first_sighting_is_kept_when_a_track_adopts_it() {
        let mut keeper = Keeper::default();
        assert!(keep(&mut keeper, 0, &[None, look(0.5)], &tracks(&[None, None])).is_empty());
        let mut begun = tracks(&[None, Some(7)]);
        let track = TrackId(7);
        let adopt = Correction::Adopt { frame_number: 0, detection: 1, track };
        begun.corrections = vec![adopt];
        assert_eq!(keep(&mut keeper, 1, &[None, None], &begun), [(0, 7, 0.5)]);
        assert!(keep(&mut keeper, 1, &[None, None], &begun).is_empty(), "it is adopted once");
    }

    #[test]
    fn what_is_remembered_does_not_grow() {
        let mut keeper = Keeper::default();
        for frame in 0..1000 {
            let mut assignment = tracks(&[Some(frame), None]);
            let (from, to) = (Some(TrackState::Active), Some(TrackState::Ended));
            assignment.changes = vec![StateChange { track: TrackId(frame), from, to }];
            keep(&mut keeper, frame, &[look(0.1), look(0.2)], &assignment);
        }
        assert!(keeper.kept.is_empty());
        assert_eq!(keeper.unclaimed.len(), UNCLAIMED);
    }
}
