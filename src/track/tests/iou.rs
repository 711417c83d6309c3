//! The tracker `iou` on small scenes.

use vigil_models::{BBox, Detection};

use crate::track::{
    Assignment, Correction, FrameInput, IouOptions, IouTracker, StateChange, TrackId, TrackState,
    Tracker,
};

/// A tracker and the frames that it has seen.
struct Video {
    tracker: IouTracker,
    frames: i64,
}

impl Video {
    fn new(options: IouOptions) -> Self {
        Self { tracker: IouTracker::new(options), frames: 0 }
    }

    /// The next frame, 1/25 second after the one before.
    fn see(&mut self, detections: &[Detection]) -> Assignment {
        self.frames += 1;
        self.see_at(self.frames * 40_000, detections)
    }

    fn see_at(&mut self, ts_micros: i64, detections: &[Detection]) -> Assignment {
        self.tracker.update(&FrameInput {
            frame_number: self.frames,
            ts_micros,
            width: 640,
            height: 480,
            detections,
            features: &[],
            motion: None,
        })
    }
}

fn found(class_id: u32, confidence: f32, x: f32) -> Detection {
    Detection { class_id, confidence, bbox: BBox::new(x, 0.0, x + 10.0, 10.0) }
}

fn ids(assignment: &Assignment) -> Vec<Option<i64>> {
    assignment.tracks.iter().map(|track| track.map(|track| track.0)).collect()
}

#[test]
fn overlap_and_class_decide() {
    let mut video = Video::new(IouOptions::default());
    assert_eq!(ids(&video.see(&[found(0, 0.9, 0.0), found(2, 0.9, 100.0)])), [Some(1), Some(2)]);
    // The second overlaps track 1 but has another class: it begins a track.
    let next = video.see(&[found(0, 0.9, 2.0), found(2, 0.9, 2.0), found(2, 0.9, 101.0)]);
    assert_eq!(ids(&next), [Some(1), Some(3), Some(2)]);
}

#[test]
fn the_highest_overlap_wins_and_ties_go_to_the_older_track() {
    let mut video = Video::new(IouOptions::default());
    video.see(&[found(0, 0.9, 0.0), found(0, 0.9, 4.0)]);
    assert_eq!(ids(&video.see(&[found(0, 0.9, 4.0), found(0, 0.9, 0.0)])), [Some(2), Some(1)]);
    // Both tracks overlap the one detection equally.
    let mut video = Video::new(IouOptions::default());
    video.see(&[found(0, 0.9, 0.0), found(0, 0.9, 4.0)]);
    assert_eq!(ids(&video.see(&[found(0, 0.9, 2.0)])), [Some(1)]);
}

#[test]
fn confidence_decides_who_begins_and_who_continues() {
    let mut video = Video::new(IouOptions::default());
    assert_eq!(ids(&video.see(&[found(0, 0.4, 0.0)])), [None]);
    assert_eq!(ids(&video.see(&[found(0, 0.6, 0.0)])), [Some(1)]);
    assert_eq!(ids(&video.see(&[found(0, 0.35, 0.0)])), [Some(1)]);
    assert_eq!(ids(&video.see(&[found(0, 0.2, 0.0)])), [None]);
}

#[test]
fn a_track_lives_through_thirty_missed_frames_and_no_more() {
    for (missed, expected) in [(30, 1), (31, 2)] {
        let mut video = Video::new(IouOptions::default());
        video.see(&[found(0, 0.9, 0.0)]);
        for _ in 0..missed {
            video.see(&[]);
        }
        assert_eq!(ids(&video.see(&[found(0, 0.9, 0.0)])), [Some(expected)]);
    }
}

#[test]
fn a_track_goes_from_tentative_to_ended() {
    let mut video = Video::new(IouOptions { max_missed_frames: 1, ..Default::default() });
    let mut states = Vec::new();
    for frame in 0..9 {
        let detections = if frame < 6 { vec![found(0, 0.9, 0.0)] } else { Vec::new() };
        states.extend(video.see(&detections).changes.iter().map(|change| change.to));
    }
    use TrackState::{Active, Ended, Lost, Tentative};
    assert_eq!(states, [Tentative, Active, Lost, Ended].map(Some));
    assert_eq!(video.tracker.finish().changes, []);
}

#[test]
fn a_track_that_is_too_short_was_noise() {
    for (detections, is_noise) in [(4, true), (5, false)] {
        let mut video = Video::new(IouOptions { max_missed_frames: 3, ..Default::default() });
        for _ in 0..detections {
            video.see(&[found(0, 0.9, 0.0)]);
        }
        for _ in 0..3 {
            let made = video.see(&[]);
            assert_eq!(made.corrections, []);
            assert!(made.changes.iter().all(|change| change.to == Some(TrackState::Lost)));
        }
        let made = video.see(&[]);
        let [change] = made.changes[..] else { panic!("{made:?}") };
        let track = TrackId(1);
        if is_noise {
            let from = Some(TrackState::Tentative);
            assert_eq!(change, StateChange { track, from, to: None });
            let discard = Correction::Discard { track, first_frame: 1, last_frame: 4 };
            assert_eq!(made.corrections, [discard]);
        } else {
            assert_eq!((change.to, made.corrections.len()), (Some(TrackState::Ended), 0));
        }
    }
    let mut video = Video::new(IouOptions::default());
    video.see(&[found(0, 0.9, 0.0)]);
    assert_eq!(video.tracker.finish().corrections.len(), 1, "the end of the video ends it too");
}

#[test]
fn the_track_that_was_lost_longest_makes_room() {
    let mut video = Video::new(IouOptions { max_tracks: 2, ..Default::default() });
    let [a, b, c] = [0.0, 100.0, 200.0].map(|x| found(0, 0.9, x));
    assert_eq!(ids(&video.see(&[a, b, c])), [Some(1), Some(2), None], "no room for a third");
    assert_eq!(ids(&video.see(&[b, c])), [Some(2), Some(3)], "the first was missed");
    assert_eq!(ids(&video.see(&[a, c])), [Some(4), Some(3)], "the second was missed");
}

#[test]
fn a_pause_that_is_longer_than_the_missed_frames_ends_every_track() {
    // Thirty-one frames of 1/25 second, and an hour.
    for (pause_micros, expected) in [(31 * 40_000, 1), (32 * 40_000, 2), (3_600_000_000, 2)] {
        let mut video = Video::new(IouOptions::default());
        for _ in 0..10 {
            video.see(&[found(0, 0.9, 0.0)]);
        }
        let last = video.frames * 40_000;
        video.frames += 1;
        let made = video.see_at(last + pause_micros, &[found(0, 0.9, 0.0)]);
        assert_eq!(ids(&made), [Some(expected)], "{pause_micros}");
    }
}
