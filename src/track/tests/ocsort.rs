//! What makes OC-SORT what it is: what was observed counts for more than what was predicted.

use vigil_models::Detection;

use super::scenes::{Watched, frame, person, tracker};
use crate::track::{TrackId, TrackOptions, Tracker};

/// A tracker that has seen a person go where `left` says, and the number of the next frame.
fn after(options: &TrackOptions, left: &[f32]) -> (Box<dyn Tracker>, i64) {
    let mut tracker = tracker("ocsort", options);
    let mut number = 0;
    for x in left {
        tracker.update(&frame(number, &[person(*x, 50.0, 0.9)]));
        number += 1;
    }
    (tracker, number)
}

/// Which of two boxes continues the track, whatever their order.
fn taken(options: &TrackOptions, left: &[f32], two: [Detection; 2]) -> usize {
    let [first, second] = [two, [two[1], two[0]]].map(|two| {
        let (mut tracker, number) = after(options, left);
        let made = tracker.update(&frame(number, &two));
        made.tracks.iter().position(|track| *track == Some(TrackId(1))).expect("one is taken")
    });
    assert_eq!(first, 1 - second, "the order of detections decides nothing");
    first
}

/// Of two boxes that overlap the track equally, one lies ahead of it and one behind.
#[test]
fn momentum_decides_between_boxes_that_are_equally_near() {
    let way: Vec<f32> = (0..12_u8).map(|n| 100.0 + 2.0 * f32::from(n)).collect();
    // It is expected at 124; what is behind is a little nearer.
    let two = [person(135.0, 50.0, 0.9), person(115.0, 50.0, 0.9)];
    for (inertia, expected) in [(0.2, 0), (0.0, 1)] {
        let options = TrackOptions { inertia, ..TrackOptions::default() };
        assert_eq!(taken(&options, &way, two), expected, "inertia {inertia}");
    }
}

/// The last observation jumps back: over one frame the track goes back, over three it goes on.
#[test]
fn the_direction_is_that_of_the_last_delta_t_frames() {
    let mut way: Vec<f32> = (0..12_u8).map(|n| 100.0 + 3.0 * f32::from(n)).collect();
    way.push(131.0);
    let two = [person(144.0, 50.0, 0.9), person(122.0, 50.0, 0.9)];
    for (delta_t, expected) in [(3, 0), (1, 1)] {
        let options = TrackOptions { delta_t, inertia: 0.4, ..TrackOptions::default() };
        assert_eq!(taken(&options, &way, two), expected, "delta_t {delta_t}");
    }
}

/// It stops while it is not seen, so that its prediction runs ahead; it stands where it was last
/// observed, which counts for `delta_t` frames.
#[test]
fn a_track_is_found_again_by_its_last_observation() {
    let way: Vec<f32> = (0..12_u8).map(|n| 20.0 + 15.0 * f32::from(n)).collect();
    for (delta_t, missed, is_found) in [(3, 2, true), (3, 3, false), (2, 2, false), (4, 3, true)] {
        let options = TrackOptions { delta_t, ..TrackOptions::default() };
        let (mut tracker, number) = after(&options, &way);
        for number in number..number + missed {
            tracker.update(&frame(number, &[]));
        }
        let made = tracker.update(&frame(number + missed, &[person(185.0, 50.0, 0.9)]));
        let found = made.tracks[0] == Some(TrackId(1));
        assert_eq!(found, is_found, "delta_t {delta_t}, missed {missed}");
    }
}

/// It goes by four pixels a frame, is not seen in six frames in which it nearly stops, and is
/// seen once; then it is not seen again for ten. The filter went the way between the observations
/// again, and so does not expect it far ahead.
#[test]
fn after_a_gap_the_filter_goes_the_way_again_between_the_observations() {
    let at = |n: u8| match n {
        0..10 => Some(100.0 + 4.0 * f32::from(n)),
        16 => Some(143.0),
        27 => Some(154.0),
        _ => None,
    };
    let frames: Vec<Vec<Detection>> =
        (0..28).map(|n| at(n).map(|x| person(x, 50.0, 0.9)).into_iter().collect()).collect();
    let options = TrackOptions { track_smoothing: true, ..TrackOptions::default() };
    let watched = Watched::new(tracker("ocsort", &options).as_mut(), &frames);
    assert_eq!(watched.made[16].tracks, [Some(TrackId(1))]);
    assert_eq!(watched.made[27].tracks, [Some(TrackId(1))]);
    // The box of frame 16 as the filter sees it: the way ends at the observation.
    let shown = watched.made[16].boxes[0].x1;
    assert!((shown - 143.0).abs() < 1.0, "{shown}");
}
