//! What makes DeepSORT and StrongSORT what they are: looks, and what they are weighed against.

use std::sync::Arc;

use vigil_models::{BBox, Detection};

use super::scenes::{frame, person, tracker};
use crate::track::{CameraMotion, FrameInput, TrackId, TrackOptions, Tracker};

/// Looks as a direction in the plane, in degrees: those `a` apart have the distance 1 - cos `a`.
type Look = f32;

/// Two looks of which the distance is this.
fn apart(distance: f32) -> Look {
    (1.0 - distance).acos().to_degrees()
}

/// Gives a frame whose boxes look as told to a tracker; the tracks of the boxes.
fn see(
    tracker: &mut dyn Tracker,
    number: i64,
    found: &[(Detection, Look)],
) -> Vec<Option<TrackId>> {
    let detections: Vec<Detection> = found.iter().map(|(detection, _)| *detection).collect();
    let features: Vec<Option<Arc<[f32]>>> = found
        .iter()
        .map(|(_, look)| Some([look.to_radians().cos(), look.to_radians().sin()].into()))
        .collect();
    tracker.update(&FrameInput { features: &features, ..frame(number, &detections) }).tracks
}

fn at(x: f32) -> Detection {
    person(x, 50.0, 0.9)
}

/// One who stands at 100 with these looks, one a frame, is not seen for ten frames, and then
/// somebody with this look is at `x`: whether it is the same track.
fn is_found(name: &str, options: &TrackOptions, looks: &[Look], x: f32, look: Look) -> bool {
    let mut tracker = tracker(name, options);
    let mut number = 0;
    for look in looks {
        see(tracker.as_mut(), number, &[(at(100.0), *look)]);
        number += 1;
    }
    for _ in 0..10 {
        see(tracker.as_mut(), number, &[]);
        number += 1;
    }
    see(tracker.as_mut(), number, &[(at(x), look)]) == [Some(TrackId(1))]
}

/// Who looks the same and is too far away for the filter is somebody else. After ten frames 45
/// pixels are near enough; there the boxes do not overlap, so that looks alone tell.
#[test]
fn motion_gates_looks() {
    for name in ["deepsort", "strongsort"] {
        let options = TrackOptions::default();
        let found = |x: f32, look: Look| is_found(name, &options, &[0.0; 12], x, look);
        assert!(found(145.0, 0.0), "{name}: near, the same looks");
        assert!(!found(145.0, 90.0), "{name}: near, other looks");
        assert!(!found(250.0, 0.0), "{name}: far, the same looks");
    }
}

#[test]
fn looks_further_apart_than_max_cosine_distance_are_of_others() {
    for name in ["deepsort", "strongsort"] {
        for (distance, max_cosine_distance, expected) in
            [(0.15, 0.2, true), (0.15, 0.1, false), (0.3, 0.2, false), (0.3, 0.4, true)]
        {
            let options = TrackOptions { max_cosine_distance, ..TrackOptions::default() };
            let found = is_found(name, &options, &[0.0; 12], 145.0, apart(distance));
            assert_eq!(found, expected, "{name}: {distance} of {max_cosine_distance}");
        }
    }
}

/// It turned round: as many looks are remembered as the budget has.
#[test]
fn deepsort_remembers_as_many_looks_as_its_budget_has() {
    let turned = [0.0, 0.0, 0.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0];
    for (nn_budget, as_before) in [(100, true), (7, true), (6, false), (1, false)] {
        let options = TrackOptions { nn_budget, ..TrackOptions::default() };
        let found = |look: Look| is_found("deepsort", &options, &turned, 145.0, look);
        assert_eq!(found(0.0), as_before, "a budget of {nn_budget}: as at first");
        assert!(found(90.0), "a budget of {nn_budget}: as at last");
    }
}

/// One of two is not seen for ten frames. Then there is a box that both may be: it looks exactly
/// as that one, and about as the one that was seen in the frame before, which comes first.
#[test]
fn in_the_cascade_the_track_that_was_seen_last_comes_first() {
    for (name, seen_lately) in [("deepsort", true), ("strongsort", false)] {
        let (lost, other) = (0.0, apart(0.15));
        let mut tracker = tracker(name, &TrackOptions::default());
        for number in 0..10 {
            see(tracker.as_mut(), number, &[(at(80.0), lost), (at(130.0), other)]);
        }
        for number in 10..20 {
            let made = see(tracker.as_mut(), number, &[(at(130.0), other)]);
            assert_eq!(made, [Some(TrackId(2))], "{name}, frame {number}");
        }
        let made = see(tracker.as_mut(), 20, &[(at(122.0), lost)]);
        let expected = TrackId(if seen_lately { 2 } else { 1 });
        assert_eq!(made, [Some(expected)], "{name}");
    }
}

/// Who turns round slowly stays who it is; an average that never learns (1) does not know it.
#[test]
fn looks_that_drift_keep_the_identity() {
    let drifting: Vec<Look> = (0..40_u8).map(|n| 2.0 * f32::from(n)).collect();
    for (ema_alpha, expected) in [(0.9, true), (0.5, true), (0.0, true), (1.0, false)] {
        let options = TrackOptions { ema_alpha, ..TrackOptions::default() };
        let found = is_found("strongsort", &options, &drifting, 145.0, 78.0);
        assert_eq!(found, expected, "ema_alpha {ema_alpha}");
    }
}

/// In its last frame it looks like something else, as when something passes before it: the
/// average hardly heeds it, with 0 it is all that is known.
#[test]
fn one_odd_look_changes_an_average_little() {
    let mut looks = vec![0.0; 11];
    looks.push(90.0);
    for (ema_alpha, as_before) in [(0.9, true), (0.0, false)] {
        let options = TrackOptions { ema_alpha, ..TrackOptions::default() };
        let found = |look: Look| is_found("strongsort", &options, &looks, 145.0, look);
        assert_eq!((found(0.0), found(90.0)), (as_before, !as_before), "ema_alpha {ema_alpha}");
    }
}

/// One box looks the same and is 15 pixels away, the other looks a little different and is where
/// the track is expected.
#[test]
fn appearance_weight_says_what_counts_for_more() {
    for (appearance_weight, expected) in [(0.98, 0), (0.0, 1)] {
        let options = TrackOptions { appearance_weight, ..TrackOptions::default() };
        let mut tracker = tracker("strongsort", &options);
        for number in 0..12 {
            see(tracker.as_mut(), number, &[(at(100.0), 0.0)]);
        }
        let two = [(at(115.0), 0.0), (at(100.0), apart(0.15))];
        let made = see(tracker.as_mut(), 12, &two);
        let taken = made.iter().position(|track| *track == Some(TrackId(1)));
        assert_eq!(taken, Some(expected), "appearance_weight {appearance_weight}");
    }
}

/// The picture as the camera shows it after it moved.
fn moved(detection: &Detection, motion: &CameraMotion) -> Detection {
    let CameraMotion { x: [a, b, c], y: [d, e, f] } = *motion;
    let BBox { x1, y1, x2, y2 } = detection.bbox;
    let to = |x: f32, y: f32| (a * x + b * y + c, d * x + e * y + f);
    let ((x1, y1), (x2, y2)) = (to(x1, y1), to(x2, y2));
    Detection { bbox: BBox::new(x1, y1, x2, y2), ..*detection }
}

/// The camera jumps aside, or comes nearer: told so, a tracker keeps its tracks, of which one is
/// not seen in that frame.
#[test]
fn a_jump_of_the_camera_loses_tracks_only_where_it_is_not_told() {
    let aside = CameraMotion { x: [1.0, 0.0, 70.0], y: [0.0, 1.0, -20.0] };
    let nearer = CameraMotion { x: [1.6, 0.0, 40.0], y: [0.0, 1.6, -60.0] };
    let still = [at(60.0), at(200.0), at(330.0)];
    for jump in [aside, nearer] {
        let after = still.map(|detection| moved(&detection, &jump));
        for is_told in [true, false] {
            let mut tracker = tracker("strongsort", &TrackOptions::default());
            let mut give = |number: i64, detections: &[Detection], motion| {
                tracker.update(&FrameInput { motion, ..frame(number, detections) }).tracks
            };
            for number in 0..10 {
                give(number, &still, Some(CameraMotion::NONE).filter(|_| is_told));
            }
            let made = give(10, &after[..2], Some(jump).filter(|_| is_told));
            let kept = |id: i64| Some(TrackId(id)).filter(|_| is_told);
            assert_eq!(made, [kept(1), kept(2)], "{jump:?}");
            let made = give(11, &after, Some(CameraMotion::NONE).filter(|_| is_told));
            assert_eq!(made[2], kept(3), "{jump:?}: the one that was not seen");
        }
    }
}
