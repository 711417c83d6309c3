//! What the options of the trackers change.

use vigil_models::{BBox, Detection};

use super::scenes::{BY_MOTION, Watched, frame, person, tracker};
use crate::track::{AssociationMethod, FrameInput, TrackId, TrackOptions};

use AssociationMethod::{Diou, Euclidean, Giou, Iou};

/// A tracker that has seen a person stand still for ten frames.
fn stood_still(name: &str, options: &TrackOptions) -> Box<dyn crate::track::Tracker> {
    let mut tracker = tracker(name, options);
    for number in 0..10 {
        tracker.update(&frame(number, &[person(100.0, 50.0, 0.9)]));
    }
    tracker
}

/// Of two boxes one overlaps more, and the other, which is smaller, has the same centre.
#[test]
fn the_association_method_decides_what_is_nearest() {
    let shifted = person(106.0, 65.0, 0.9);
    let centred = Detection { bbox: BBox::new(100.0, 72.5, 140.0, 127.5), ..shifted };
    for name in BY_MOTION {
        for (method, takes_shifted) in
            [(Iou, true), (Giou, false), (Diou, false), (Euclidean, false)]
        {
            let options = TrackOptions { association_method: method, ..TrackOptions::default() };
            let mut tracker = stood_still(name, &options);
            let made = tracker.update(&frame(10, &[shifted, centred]));
            let mut expected = [Some(TrackId(1)), None];
            if !takes_shifted {
                expected.reverse();
            }
            assert_eq!(made.tracks, expected, "{name}, {method:?}");
        }
    }
}

#[test]
fn by_distance_boxes_that_do_not_overlap_are_one_object() {
    // Sixty pixels a frame, which is one and a half of the box's width.
    let frames: Vec<_> =
        (0..10_u8).map(|n| vec![person(10.0 + 60.0 * f32::from(n), 50.0, 0.9)]).collect();
    for name in BY_MOTION {
        for (method, expected) in [(Iou, 0), (Euclidean, 1)] {
            let options = TrackOptions { association_method: method, ..TrackOptions::default() };
            let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
            assert_eq!(watched.tracks(), expected, "{name}, {method:?}");
        }
    }
}

#[test]
fn without_a_kalman_filter_a_track_is_looked_for_where_it_was() {
    // It goes faster by a pixel a frame, up to thirty, and then its boxes hardly overlap.
    let at = |n: u8| 10.0 + f32::from(n) * f32::from(n) / 2.0;
    let frames: Vec<_> = (0..31_u8).map(|n| vec![person(at(n), 50.0, 0.9)]).collect();
    for kalman_filter in [true, false] {
        let options = TrackOptions { kalman_filter, ..TrackOptions::default() };
        let watched = Watched::new(tracker("bytetrack", &options).as_mut(), &frames);
        let last = watched.made[30].tracks[0];
        assert_eq!(last == Some(TrackId(1)), kalman_filter, "{last:?}");
    }
}

#[test]
fn a_nearer_box_of_another_class_is_taken_where_classes_do_not_matter() {
    let same = person(113.0, 50.0, 0.9);
    let other = Detection { class_id: 7, ..person(103.0, 50.0, 0.9) };
    for name in BY_MOTION {
        for class_agnostic in [false, true] {
            let options = TrackOptions { class_agnostic, ..TrackOptions::default() };
            let made = stood_still(name, &options).update(&frame(10, &[same, other]));
            let taken = made.tracks.iter().position(Option::is_some);
            assert_eq!(taken, Some(usize::from(class_agnostic)), "{name}");
        }
    }
}

/// Something larger stands before a track for longer than the buffer.
#[test]
fn a_hidden_track_is_waited_for() {
    let frames: Vec<_> = (0..40_u8)
        .map(|n| {
            let mut before = person(60.0, 20.0, 0.9);
            before.bbox.x2 += 60.0;
            before.bbox.y2 += 60.0;
            let walker = person(10.0 + 3.0 * f32::from(n), 50.0, 0.9);
            if (20..35).contains(&n) { vec![before] } else { vec![before, walker] }
        })
        .collect();
    for name in BY_MOTION {
        for occlusion_handling in [false, true] {
            let options =
                TrackOptions { occlusion_handling, track_buffer: 10, ..TrackOptions::default() };
            let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
            let before = watched.made[19].tracks[1];
            assert!(before.is_some(), "{name}");
            let expected = before.filter(|_| occlusion_handling);
            assert_eq!(watched.made[35].tracks[1], expected, "{name}");
        }
    }
}

/// Likeness times confidence is .25 · .9, so that the pair costs .775.
#[test]
fn match_thresh_is_the_highest_cost_of_bytetracks_first_association() {
    for (match_thresh, is_taken) in [(0.8, true), (0.78, true), (0.77, false), (0.5, false)] {
        let options = TrackOptions { match_thresh, ..TrackOptions::default() };
        let mut tracker = stood_still("bytetrack", &options);
        let made = tracker.update(&frame(10, &[person(124.0, 50.0, 0.9)]));
        let expected = Some(TrackId(1)).filter(|_| is_taken);
        assert_eq!(made.tracks, [expected], "match_thresh {match_thresh}");
    }
}

#[test]
fn without_appearances_none_is_asked_for() {
    for name in ["deepsort", "strongsort"] {
        for appearance_embedding in [true, false] {
            let options = TrackOptions { appearance_embedding, ..TrackOptions::default() };
            let mut tracker = tracker(name, &options);
            let needs = tracker.needs(&frame(0, &[person(100.0, 50.0, 0.9)]));
            assert_eq!(needs.appearance.len(), usize::from(appearance_embedding), "{name}");
        }
    }
}

/// A box is looked at when it is new, when several may be meant, and now and then.
#[test]
fn appearances_are_asked_for_where_identity_is_in_doubt() {
    for name in ["deepsort", "strongsort"] {
        let mut tracker = tracker(name, &TrackOptions::default());
        let asked = |number: i64, found: &[Detection], tracker: &mut dyn crate::track::Tracker| {
            let input = frame(number, found);
            let needs = tracker.needs(&input).appearance;
            let mut features = vec![None; found.len()];
            for index in &needs {
                features[*index as usize] = Some([1.0, 0.0].into());
            }
            tracker.update(&FrameInput { features: &features, ..input });
            needs
        };
        let alone = [person(100.0, 50.0, 0.9), person(400.0, 50.0, 0.9)];
        let counts: Vec<usize> =
            (0..30).map(|number| asked(number, &alone, tracker.as_mut()).len()).collect();
        assert_eq!(counts[0], 2, "{name}: both are new");
        let later: usize = counts[2..].iter().sum();
        assert!((2..=8).contains(&later), "{name}: {counts:?}");
        let near = [person(100.0, 50.0, 0.9), person(112.0, 50.0, 0.9), alone[1]];
        let needs = asked(30, &near, tracker.as_mut());
        assert!(needs.starts_with(&[0, 1]), "{name}: which of the two it is: {needs:?}");
    }
}

/// Thirty frames of the buffer are one second, however many frames that is.
#[test]
fn the_buffer_is_scaled_by_the_real_frame_rate() {
    let cases = [
        (10, 9, true),
        (10, 12, false),
        (30, 29, true),
        (30, 32, false),
        (60, 59, true),
        (60, 63, false),
    ];
    for name in BY_MOTION {
        for (rate, missed, is_found) in cases {
            let mut tracker = tracker(name, &TrackOptions::default());
            let one = [person(100.0, 50.0, 0.9)];
            let at = |number: i64, detections| FrameInput {
                ts_micros: number * 1_000_000 / rate,
                ..frame(number, detections)
            };
            for number in 0..10 {
                tracker.update(&at(number, &one));
            }
            for number in 10..10 + missed {
                tracker.update(&at(number, &[]));
            }
            let made = tracker.update(&at(10 + missed, &one));
            assert_eq!(made.tracks[0].is_some(), is_found, "{name}: {missed} at {rate} a second");
        }
    }
}

/// Of a video only every fifth frame is looked at, so that numbers grow by five.
#[test]
fn a_sampled_video_is_followed_like_another() {
    let walk = |n: u8| person(100.0 + 6.0 * f32::from(n), 50.0, 0.9);
    let frames: Vec<_> =
        (0..30).map(|n| if n == 15 { Vec::new() } else { vec![walk(n)] }).collect();
    let crossing: Vec<_> =
        (0..61_u8).map(|n| vec![walk(n), person(460.0 - 6.0 * f32::from(n), 50.0, 0.9)]).collect();
    for name in BY_MOTION {
        let mut one = tracker(name, &TrackOptions::default());
        let watched = Watched::sampled(one.as_mut(), &frames, 5);
        assert_eq!(watched.tracks(), 1, "{name}");
        assert_eq!(watched.at(75).len(), 1, "{name}: the frame in which it was missed is filled");
        let mut two = tracker(name, &TrackOptions::default());
        let watched = Watched::sampled(two.as_mut(), &crossing, 5);
        let of = |number: i64| watched.at(number).iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!((watched.tracks(), of(0).len()), (2, 2), "{name}");
        let walker = |number: i64, x: f64| {
            let found = watched.at(number);
            found.iter().find(|(_, left)| (left - x).abs() < 1.0).map(|(id, _)| *id)
        };
        assert_eq!(walker(0, 100.0), walker(300, 460.0), "{name}: each keeps its number");
    }
}
