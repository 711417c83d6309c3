//! The life of a track: states, gaps, noise, room.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::scenes::{BY_MOTION, Watched, frame, person, tracker};
use crate::track::{AssociationMethod, Correction, FrameInput, TrackId, TrackOptions, TrackState};

fn walk(number: u8) -> Vec<vigil_models::Detection> {
    vec![person(10.0 + 3.0 * f32::from(number), 50.0, 0.9)]
}

#[test]
fn a_track_goes_through_its_states() {
    use TrackState::{Active, Ended, Lost, Tentative};
    let frames: Vec<_> =
        (0..30).map(|n| if (10..14).contains(&n) { Vec::new() } else { walk(n) }).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        let states = &watched.states[&TrackId(1)];
        assert_eq!(*states, [Tentative, Active, Lost, Active, Ended].map(Some), "{name}");
    }
}

#[test]
fn a_short_gap_is_filled_on_a_straight_line() {
    let frames: Vec<_> =
        (0..30).map(|n| if (10..13).contains(&n) { Vec::new() } else { walk(n) }).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        for number in 0..30_i32 {
            let at = watched.at(number.into());
            assert_eq!(at.len(), 1, "{name}, frame {number}");
            assert!((at[0].1 - f64::from(10 + 3 * number)).abs() < 0.1, "{name}: {at:?}");
        }
        let without = TrackOptions { track_interpolation: false, ..TrackOptions::default() };
        let watched = Watched::new(tracker(name, &without).as_mut(), &frames);
        assert_eq!(watched.at(11), [], "{name}");
        assert_eq!(watched.tracks(), 1, "{name}");
    }
}

/// In plain view an object that is not detected is mostly not there.
#[test]
fn a_long_gap_is_filled_where_something_hid_the_track() {
    let scene = |is_hidden: bool| -> Vec<_> {
        (0..60_u8)
            .map(|n| {
                let mut found = if (20..32).contains(&n) { Vec::new() } else { walk(n) };
                if is_hidden {
                    // A larger one that stands before the place.
                    let mut before = person(60.0, 20.0, 0.9);
                    before.bbox.x2 += 60.0;
                    before.bbox.y2 += 60.0;
                    found.push(before);
                }
                found
            })
            .collect()
    };
    for name in BY_MOTION {
        for is_hidden in [false, true] {
            let mut tracker = tracker(name, &TrackOptions::default());
            let watched = Watched::new(tracker.as_mut(), &scene(is_hidden));
            // A box may be laid twice: on a line, and later on a curve.
            let corrections = watched.made.iter().flat_map(|made| &made.corrections);
            let fills: BTreeSet<i64> = corrections
                .filter_map(|correction| match correction {
                    Correction::Fill { frame_number, .. } => Some(*frame_number),
                    _ => None,
                })
                .collect();
            assert_eq!(fills.len(), if is_hidden { 12 } else { 0 }, "{name}");
        }
    }
}

#[test]
fn a_track_that_is_seen_too_seldom_was_noise() {
    let frames: Vec<_> = (0..20).map(|n| if n < 4 { walk(n) } else { Vec::new() }).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
        let states = &watched.states[&TrackId(1)];
        assert_eq!(*states, [Some(TrackState::Tentative), None], "{name}");
        assert!((0..20).all(|number| watched.at(number).is_empty()), "{name}");
    }
}

/// A detector whose objects have 0.99 has its noise at 0.75, and another's objects have 0.75.
#[test]
fn noise_is_told_by_what_is_typical() {
    for (sure, expected) in [(0.99, 1), (0.75, 2)] {
        let frames: Vec<_> = (0..40_u8)
            .map(|n| {
                let mut found = vec![person(10.0 + 3.0 * f32::from(n), 50.0, sure)];
                if n >= 20 {
                    found.push(person(400.0, 300.0, 0.75));
                }
                found
            })
            .collect();
        for name in BY_MOTION {
            let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
            assert_eq!(watched.tracks(), expected, "{name}, {sure}");
            let all = TrackOptions { track_evidence: 0.0, ..TrackOptions::default() };
            let watched = Watched::new(tracker(name, &all).as_mut(), &frames);
            assert_eq!(watched.tracks(), 2, "{name}, {sure}");
        }
    }
}

/// A walker that the detector is less sure of than of a parked car beside him, or than of a nearer
/// person: he takes longer to be believed, and all his detections are his track's then.
#[test]
fn an_object_that_is_less_sure_takes_longer_and_is_kept() {
    for (beside, least) in [(2, 285), (0, 285)] {
        let frames: Vec<_> = (0..400_u16)
            .map(|n| {
                let mut parked = person(400.0, 300.0, 0.97);
                parked.class_id = beside;
                let mut found = vec![parked];
                if (50..350).contains(&n) && n != 60 && n != 75 && n != 76 {
                    found.push(person(10.0 + f32::from(n), 50.0, 0.78));
                }
                found
            })
            .collect();
        for name in BY_MOTION {
            let watched = Watched::new(tracker(name, &TrackOptions::default()).as_mut(), &frames);
            assert_eq!(watched.tracks(), 2, "{name}, beside {beside}");
            let seen = (0..400).filter(|number| watched.at(*number).len() == 2).count();
            assert!(seen >= least, "{name}, beside {beside}: {seen} of 300 frames");
        }
    }
}

/// Frames far apart are no pause where all are.
#[test]
fn slow_videos_have_tracks() {
    let still = [person(100.0, 50.0, 0.9)];
    for seconds in [0.2, 1.0, 10.0, 3600.0] {
        for name in BY_MOTION {
            let mut tracker = tracker(name, &TrackOptions::default());
            let mut last = None;
            for number in 0..20_i32 {
                let ts_micros = (f64::from(number) * seconds * 1e6) as i64;
                let input = FrameInput { ts_micros, ..frame(number.into(), &still) };
                last = tracker.update(&input).tracks[0];
            }
            assert_eq!(last, Some(TrackId(1)), "{name}: a frame every {seconds} s");
        }
    }
}

/// Without a buffer a track ends when it is missed, and not before.
#[test]
fn without_a_buffer_a_track_lives_while_it_is_seen() {
    let options = TrackOptions { track_buffer: 0, ..TrackOptions::default() };
    let frames: Vec<_> = (0..40).map(|n| if n == 20 { Vec::new() } else { walk(n) }).collect();
    for name in ["bytetrack", "ocsort", "deepsort"] {
        let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
        let of = |number| watched.at(number).iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!((of(19), of(20), of(21)), (vec![1], vec![], vec![2]), "{name}");
    }
}

#[test]
fn longer_gaps_are_filled_where_that_is_asked_for() {
    let frames: Vec<_> =
        (0..60).map(|n| if (20..32).contains(&n) { Vec::new() } else { walk(n) }).collect();
    for (max_interpolation_gap, expected) in [(11, 0), (12, 12)] {
        let options = TrackOptions { max_interpolation_gap, ..TrackOptions::default() };
        for name in BY_MOTION {
            let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
            let filled = (20..32).filter(|number| !watched.at(*number).is_empty()).count();
            assert_eq!(filled, expected, "{name}, {max_interpolation_gap}");
        }
    }
}

#[test]
fn the_track_that_was_lost_longest_makes_room() {
    let options = TrackOptions { max_tracks: 1, ..TrackOptions::default() };
    let frames: Vec<_> =
        (0..30_u8).map(|n| if n < 10 { walk(n) } else { vec![person(400.0, 50.0, 0.9)] }).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
        assert_eq!(
            (watched.tracks(), watched.at(9)[0].0, watched.at(29)[0].0),
            (2, 1, 2),
            "{name}"
        );
    }
}

#[test]
fn smoothing_shows_boxes_as_the_filter_sees_them() {
    let options = TrackOptions { track_smoothing: true, ..TrackOptions::default() };
    // One box that jumps.
    let jump = |n: u8| vec![person(100.0 + if n == 20 { 12.0 } else { 0.0 }, 50.0, 0.9)];
    let frames: Vec<_> = (0..30).map(jump).collect();
    for name in BY_MOTION {
        let watched = Watched::new(tracker(name, &options).as_mut(), &frames);
        let shown = watched.at(20)[0].1;
        assert!(shown > 100.5 && shown < 112.0, "{name}: {shown}");
    }
}

/// A track that was given up goes on, and the number that it had meanwhile is no more.
#[test]
fn an_object_that_comes_back_on_its_way_is_linked() {
    use TrackState::{Active, Ended, Lost, Tentative};
    let options = TrackOptions { track_buffer: 8, ..TrackOptions::default() };
    let back_at = |x: f32| -> Vec<_> {
        (0..60_u8)
            .map(|n| match n {
                0..20 => walk(n),
                20..40 => Vec::new(),
                _ => vec![person(x + 3.0 * f32::from(n - 40), 50.0, 0.9)],
            })
            .collect()
    };
    // Where it would be, and where it cannot have come from.
    let (on_its_way, elsewhere) = (back_at(130.0), back_at(400.0));
    let watched = Watched::new(tracker("strongsort", &options).as_mut(), &on_its_way);
    assert_eq!(watched.tracks(), 1);
    let states = &watched.states[&TrackId(1)];
    assert_eq!(*states, [Tentative, Active, Lost, Ended, Active, Ended].map(Some));
    assert_eq!(watched.states[&TrackId(2)], [Some(Tentative), Some(Active), None]);
    for number in (0..20).chain(40..60) {
        assert_eq!(watched.at(number).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1]);
    }
    let watched = Watched::new(tracker("strongsort", &options).as_mut(), &elsewhere);
    assert_eq!(watched.tracks(), 2, "elsewhere");
    let watched = Watched::new(tracker("bytetrack", &options).as_mut(), &on_its_way);
    assert_eq!(watched.tracks(), 2, "bytetrack does not link");
}

/// With a network its answer decides, which is asked before the next frame; without one that
/// answers, nothing is linked.
#[test]
fn a_network_tells_which_tracks_are_one_object() {
    let options = TrackOptions { track_buffer: 8, links_by_model: true, ..TrackOptions::default() };
    let merges = |back_at: f32, answer: Option<f32>| {
        let mut tracker = tracker("strongsort", &options);
        let (mut asked, mut merges) = (0, Vec::new());
        for n in 0..60_u8 {
            let found = match n {
                0..20 => walk(n),
                20..40 => Vec::new(),
                _ => vec![person(back_at + 3.0 * f32::from(n - 40), 50.0, 0.9)],
            };
            let input = frame(n.into(), &found);
            let links = tracker.needs(&input).links;
            for pair in &links {
                assert_eq!(pair.earlier.last(), Some(&[19.0, 67.0, 50.0]));
                assert_eq!(pair.later.first(), Some(&[40.0, f64::from(back_at), 50.0]));
                assert_eq!((pair.earlier.len(), pair.later.len()), (20, 10));
            }
            asked += links.len();
            if let Some(answer) = answer.filter(|_| !links.is_empty()) {
                tracker.linked(&vec![answer; links.len()]);
            }
            merges.extend(tracker.update(&input).corrections.into_iter().filter_map(
                |correction| match correction {
                    Correction::Merge { from, into, .. } => Some((n, from.0, into.0)),
                    _ => None,
                },
            ));
        }
        (asked, merges)
    };
    assert_eq!(merges(130.0, Some(0.99)), (1, vec![(50, 2, 1)]));
    assert_eq!(merges(130.0, Some(0.9)), (1, vec![]), "it is not sure enough");
    assert_eq!(merges(130.0, None), (1, vec![]), "nobody tells");
    assert_eq!(merges(400.0, Some(0.99)), (0, vec![]), "too far away to ask");
}

/// Two stand beside each other and change places between two frames: only looks tell them apart.
#[test]
fn with_cosine_looks_decide_against_overlap() {
    let looks: [Arc<[f32]>; 2] = [Arc::from([1.0, 0.0]), Arc::from([0.0, 1.0])];
    for name in ["deepsort", "strongsort"] {
        let options = TrackOptions {
            association_method: AssociationMethod::Cosine,
            ..TrackOptions::default()
        };
        let mut tracker = tracker(name, &options);
        let mut tracks = Vec::new();
        for number in 0..12 {
            let (first, second) = if number < 10 { (100.0, 108.0) } else { (108.0, 100.0) };
            let found = [person(first, 50.0, 0.9), person(second, 50.0, 0.9)];
            let features = looks.clone().map(Some);
            let input = frame(number, &found);
            assert_eq!(tracker.needs(&input).appearance, [0, 1], "{name}: all are asked for");
            tracks = tracker.update(&FrameInput { features: &features, ..input }).tracks;
        }
        assert_eq!(tracks, [Some(TrackId(1)), Some(TrackId(2))], "{name}");
    }
}
