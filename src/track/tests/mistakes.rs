//! Known mistakes of other trackers, each with a test that ours do not make it.

use std::collections::{BTreeMap, BTreeSet};

use super::scenes::{BY_MOTION, Watched, frame, partition, person, real, tracker};
use crate::eval::mot::Scores;
use crate::eval::replay;
use crate::track::{TrackId, TrackOptions, TrackState};

/// Detections from 0.5 up only, as other programs give them to ByteTrack.
#[test]
fn boxes_below_a_half_take_part() {
    let walk = |number: u8| {
        let confidence = if (20..30).contains(&number) { 0.3 } else { 0.9 };
        vec![person(10.0 + 3.0 * f32::from(number), 50.0, confidence)]
    };
    let frames: Vec<_> = (0..50).map(walk).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        for number in 0..50_u8 {
            let is_seen = watched.made[usize::from(number)].tracks[0].is_some();
            assert_eq!(is_seen, number > 0, "{name}, frame {number}");
        }
        assert_eq!(watched.tracks(), 1, "{name}");
    }
}

/// Ultralytics PR 25034: with likeness times confidence in the second association, a box with
/// confidence 0.2 would need a likeness above 1 for the limit of 0.5.
#[test]
fn the_second_association_is_by_likeness_alone() {
    for confidence in [0.11, 0.2, 0.45] {
        let mut tracker = tracker("bytetrack", &TrackOptions::default());
        for number in 0..10 {
            tracker.update(&frame(number, &[person(10.0, 50.0, 0.9)]));
        }
        let made = tracker.update(&frame(10, &[person(14.0, 50.0, confidence)]));
        assert_eq!(made.tracks, [Some(TrackId(1))], "confidence {confidence}");
    }
    // In the first association it does count: of two boxes equally near, the surer is taken.
    let mut tracker = tracker("bytetrack", &TrackOptions::default());
    for number in 0..10 {
        tracker.update(&frame(number, &[person(100.0, 50.0, 0.9)]));
    }
    let two = [person(96.0, 50.0, 0.65), person(104.0, 50.0, 0.95)];
    let made = tracker.update(&frame(10, &two));
    assert_eq!(made.tracks, [None, Some(TrackId(1))]);
}

/// roboflow trackers PR 475: between the threshold of the first association and that of new
/// tracks, detections that continue no track were lost, and so were those that do.
#[test]
fn boxes_between_the_thresholds_continue_tracks() {
    let frames: Vec<_> = (0..20_u8)
        .map(|number| {
            let confidence = if number < 6 { 0.9 } else { 0.65 };
            vec![person(10.0 + 2.0 * f32::from(number), 50.0, confidence)]
        })
        .collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        let seen = watched.made.iter().flat_map(|made| &made.tracks).flatten().count();
        assert_eq!((seen, watched.tracks()), (19, 1), "{name}");
    }
}

/// supervision 2578: what is unconfirmed shared the id -1. Here it has none until it is seen
/// again, and then every id is of a track that has begun.
#[test]
fn what_is_unconfirmed_has_no_id() {
    for name in BY_MOTION {
        let mut tracker = tracker(name, &TrackOptions::default());
        let two = [person(10.0, 50.0, 0.9), person(300.0, 50.0, 0.9)];
        assert_eq!(tracker.update(&frame(0, &two)).tracks, [None, None], "{name}");
        let made = tracker.update(&frame(1, &two));
        assert_eq!(made.tracks, [Some(TrackId(1)), Some(TrackId(2))], "{name}");
        assert_eq!(made.corrections.len(), 2, "{name}: the first sightings are adopted");
    }
    for (name, sequence) in BY_MOTION.iter().flat_map(|name| {
        ["TUD-Campus", "PETS09-S2L1", "ETH-Bahnhof"].map(|sequence| (*name, sequence))
    }) {
        let mut tracker = tracker(name, &TrackOptions::default());
        let mut states: BTreeMap<TrackId, TrackState> = BTreeMap::new();
        let mut begun = 0;
        for (number, detections) in real(sequence, Scores::Confidence).into_iter().flatten() {
            let made = tracker.update(&frame(number, &detections));
            for change in &made.changes {
                assert_eq!(states.get(&change.track).copied(), change.from, "{change:?}");
                begun += i64::from(change.from.is_none());
                match change.to {
                    Some(state) => states.insert(change.track, state),
                    None => states.remove(&change.track),
                };
            }
            let ids: Vec<TrackId> = made.tracks.iter().flatten().copied().collect();
            let unique: BTreeSet<TrackId> = ids.iter().copied().collect();
            assert_eq!(ids.len(), unique.len(), "{name}, {sequence}: an id twice in {number}");
            for id in ids {
                let state = states.get(&id);
                let lives = matches!(state, Some(TrackState::Tentative | TrackState::Active));
                assert!(lives, "{name}, {sequence}, frame {number}: {id:?} is {state:?}");
                assert!((1..=begun).contains(&id.0));
            }
        }
    }
}

#[test]
fn a_class_that_flickers_splits_no_track() {
    let frames: Vec<_> = (0..30_u8)
        .map(|number| {
            let mut found = person(10.0 + 3.0 * f32::from(number), 50.0, 0.9);
            found.class_id = u32::from(number % 4 == 3);
            vec![found]
        })
        .collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        assert_eq!((watched.tracks(), watched.states.len()), (1, 1), "{name}");
        assert!((0..30).all(|number| watched.at(number).len() == 1), "{name}");
    }
}

/// Another class where one of the same class is about as near is another object.
#[test]
fn classes_are_told_apart_where_both_are_there() {
    let frames: Vec<_> = (0..20_u8)
        .map(|number| {
            let x = 100.0 + f32::from(number);
            let mut bicycle = person(x + 6.0, 52.0, 0.9);
            bicycle.class_id = 1;
            vec![person(x, 50.0, 0.9), bicycle]
        })
        .collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        assert_eq!(watched.tracks(), 2, "{name}");
        let ids = |made: &crate::track::Assignment| made.tracks.clone();
        let after = &watched.made[2..20];
        assert!(after.iter().all(|made| ids(made) == ids(&watched.made[1])), "{name}");
    }
}

/// Two persons cross; where their boxes are one, likeness cannot tell them apart. Each keeps its
/// id, whatever the order in which the detector lists them.
#[test]
fn ids_do_not_jump_where_two_cross() {
    let scene = |is_swapped: &dyn Fn(u8) -> bool| -> Vec<_> {
        (0..61_u8)
            .map(|number| {
                let step = 6.0 * f32::from(number);
                let mut two =
                    vec![person(100.0 + step, 50.0, 0.9), person(460.0 - step, 50.0, 0.9)];
                if is_swapped(number) {
                    two.reverse();
                }
                two
            })
            .collect()
    };
    for name in BY_MOTION {
        let mut seen = BTreeSet::new();
        let orders: [&dyn Fn(u8) -> bool; 3] = [&|_| false, &|number| number % 2 == 1, &|_| true];
        for order in orders {
            let mut tracker = tracker(name, &TrackOptions::default());
            let watched = Watched::new(tracker.as_mut(), &scene(order));
            assert_eq!(watched.tracks(), 2, "{name}");
            let (first, last) = (watched.at(0), watched.at(60));
            // Who began on the left is on the right.
            let left = first.iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("two").0;
            let right = last.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("two").0;
            assert_eq!(left, right, "{name}");
            seen.insert(partition(&watched.replay.results()));
        }
        assert_eq!(seen.len(), 1, "{name}: the order of detections decides nothing");
    }
}

/// The order in which a frame's detections come changes nothing, and neither does a second run.
/// Numbers follow the order of detections where two tracks begin at once, and are not compared.
#[test]
fn the_same_frames_give_the_same_tracks() {
    let Some(forward) = real("TUD-Stadtmitte", Scores::Confidence) else { return };
    for name in BY_MOTION {
        let mut backward = forward.clone();
        backward.values_mut().for_each(|detections| detections.reverse());
        let run = |detections| {
            let mut tracker = tracker(name, &TrackOptions::default());
            partition(&replay(detections, tracker.as_mut(), 25.0).results())
        };
        assert_eq!(run(&forward), run(&forward), "{name}");
        assert_eq!(run(&forward), run(&backward), "{name}");
    }
}
