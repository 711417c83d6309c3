//! What no detector should give, and some do: a right answer, and never a panic.

use vigil_models::{BBox, Detection};

use super::scenes::{BY_MOTION, Watched, frame, person, tracker};
use crate::track::{FrameInput, TrackId, TrackOptions};

fn all() -> impl Iterator<Item = &'static str> {
    crate::track::all().iter().map(|kind| kind.name)
}

#[test]
fn what_is_no_box_or_no_confidence_belongs_to_no_track() {
    let odd = |x1: f32, y1: f32, x2: f32, y2: f32, confidence: f32| Detection {
        class_id: 0,
        confidence,
        bbox: BBox::new(x1, y1, x2, y2),
    };
    let odd = [
        odd(f32::NAN, 0.0, 10.0, 10.0, 0.9),
        odd(0.0, 0.0, f32::INFINITY, 10.0, 0.9),
        odd(50.0, 50.0, 50.0, 90.0, 0.9),
        odd(90.0, 50.0, 50.0, 90.0, 0.9),
        odd(700.0, 50.0, 740.0, 90.0, 0.9),
        odd(-90.0, 50.0, -50.0, 90.0, 0.9),
        odd(50.0, 50.0, 90.0, 90.0, f32::NAN),
        odd(150.0, 50.0, 190.0, 90.0, 1.5),
        odd(250.0, 50.0, 290.0, 90.0, -0.5),
        odd(f32::MIN, f32::MIN, f32::MAX, f32::MAX, 0.9),
    ];
    let mut with_person = odd.to_vec();
    with_person.push(person(300.0, 200.0, 0.9));
    let frames = vec![with_person; 10];
    for name in all().filter(|name| *name != "none") {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        assert_eq!(watched.tracks(), 1, "{name}");
        for made in &watched.made[..10] {
            assert!(made.tracks[..odd.len()].iter().all(Option::is_none), "{name}: {made:?}");
        }
        assert_eq!(watched.at(9), [(1, 300.0)], "{name}");
    }
}

#[test]
fn ten_thousand_boxes_in_a_frame_are_followed_up_to_the_limit() {
    let crowd: Vec<Detection> = (0..10_000_u16)
        .map(|number| {
            let (x, y) = (f32::from(number % 100) * 6.0, f32::from(number / 100) * 4.0);
            person(x, y, 0.9)
        })
        .collect();
    for name in all().filter(|name| *name != "none") {
        let mut tracker = tracker(name, &TrackOptions::default());
        for number in 0..3 {
            let input = frame(number, &crowd);
            let needs = tracker.needs(&input).appearance.len();
            assert!(needs <= crowd.len(), "{name}");
            let followed = tracker.update(&input).tracks.iter().flatten().count();
            // What was seen once has no number but in the guide's tracker.
            assert_eq!(followed, if number == 0 && name != "iou" { 0 } else { 100 }, "{name}");
        }
    }
}

#[test]
fn a_gap_of_an_hour_ends_every_track() {
    for name in BY_MOTION {
        let mut tracker = tracker(name, &TrackOptions::default());
        let one = [person(10.0, 50.0, 0.9)];
        for number in 0..10 {
            tracker.update(&frame(number, &one));
        }
        let mut late = frame(10, &one);
        late.ts_micros += 3_600_000_000;
        let made = tracker.update(&late);
        assert_eq!(made.tracks, [None], "{name}");
        assert_eq!(made.changes.len(), 1, "{name}");
        assert!(made.corrections.is_empty(), "{name}: nobody knows what happened in the gap");
        // What comes after it is another, also for a tracker that links tracks.
        for number in 11..40 {
            let mut late = frame(number, &one);
            late.ts_micros += 3_600_000_000;
            let made = tracker.update(&late);
            assert_eq!(made.tracks, [Some(TrackId(2))], "{name}");
        }
    }
}

#[test]
fn frames_out_of_order_change_nothing() {
    for name in all().filter(|name| *name != "none") {
        let one = [person(10.0, 50.0, 0.9)];
        let mut tracker = tracker(name, &TrackOptions::default());
        for number in 0..10 {
            tracker.update(&frame(number, &one));
            for earlier in [number, number - 1, i64::MIN] {
                let again = tracker.update(&frame(earlier, &one));
                assert_eq!((again.tracks, again.changes.len()), (vec![None], 0), "{name}");
            }
        }
        assert_eq!(tracker.update(&frame(10, &one)).tracks, [Some(TrackId(1))], "{name}");
    }
}

/// Without a frame rate all frames have the same time; then a frame lasts as long as one should.
#[test]
fn a_frame_rate_of_zero_is_thirty() {
    for name in BY_MOTION {
        for (missed, is_found) in [(25, true), (60, false)] {
            let mut tracker = tracker(name, &TrackOptions::default());
            let one = [person(10.0, 50.0, 0.9)];
            let still = |number| FrameInput { ts_micros: 0, ..frame(number, &one) };
            for number in 0..10 {
                tracker.update(&still(number));
            }
            for number in 10..10 + missed {
                tracker.update(&FrameInput { detections: &[], ..still(number) });
            }
            let made = tracker.update(&still(10 + missed));
            assert_eq!(made.tracks[0].is_some(), is_found, "{name}, {missed} frames");
        }
    }
}

#[test]
fn numbers_at_the_ends_overflow_nothing() {
    for name in all() {
        let mut tracker = tracker(name, &TrackOptions::default());
        let one = [person(10.0, 50.0, 0.9)];
        let ends = [(i64::MIN, i64::MIN), (0, i64::MAX), (1, 0), (i64::MAX, i64::MAX)];
        for (number, ts_micros) in ends {
            let made = tracker.update(&FrameInput { ts_micros, ..frame(number, &one) });
            assert_eq!(made.tracks.len(), 1, "{name}");
        }
        tracker.finish();
    }
}
