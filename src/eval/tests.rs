//! The metrics against TrackEval's numbers for the same files, which `benches/track_reference.py
//! fixture` wrote, to four decimals.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::Scores;
use super::mot::{self, Frames};

/// Ground truth made into results by the rule of the script: boxes left out and moved, identities
/// switched, false alarms.
fn spoilt(truth: &Frames) -> Frames {
    let mut text = String::new();
    for (frame, labelled) in truth {
        for object in labelled {
            let (id, [left, top, width, height]) = (object.id, object.ltwh);
            if (frame * 31 + id * 17) % 10 == 0 {
                continue;
            }
            let track = id + 1000 * ((frame / 15 + id) % 3);
            let steps = i32::try_from((frame * 7 + id * 13) % 11 - 5).unwrap();
            let left = left + f64::from(steps) * width / 20.0;
            let size = format!("{top:.2},{width:.2},{height:.2},1,-1,-1,-1");
            writeln!(text, "{frame},{track},{left:.2},{size}").unwrap();
            if (frame * id) % 13 == 0 {
                let left = left + 3.0 * width;
                writeln!(text, "{frame},{},{left:.2},{size}", id + 9000).unwrap();
            }
        }
    }
    mot::parse_lines(Path::new("spoilt"), &text).unwrap()
}

#[test]
fn scores_are_trackevals_to_four_decimals() {
    let expected: BTreeMap<String, BTreeMap<String, f64>> =
        serde_json::from_str(include_str!("tests/trackeval.json")).unwrap();
    assert_eq!(expected.len(), 13, "twelve sequences with ground truth, and all together");
    let Some(sequences) = vigil_test_data::folder("data/mot") else { return };
    let mut combined = Scores::default();
    for (name, expected) in expected.iter().filter(|(name, _)| *name != "combined") {
        let truth = mot::read(&sequences.join(name).join("gt.txt")).unwrap();
        let scores = Scores::of(&truth, &spoilt(&truth));
        combined.add(&scores);
        compare(name, &scores, expected);
    }
    compare("combined", &combined, &expected["combined"]);
}

fn compare(name: &str, scores: &Scores, expected: &BTreeMap<String, f64>) {
    let count = |count: usize| f64::from(u32::try_from(count).unwrap());
    let found = [
        ("hota", scores.hota.hota()),
        ("deta", scores.hota.deta()),
        ("assa", scores.hota.assa()),
        ("mota", scores.clear.mota()),
        ("idf1", scores.identity.idf1()),
        ("idsw", count(scores.clear.switches)),
        ("fp", count(scores.clear.false_alarms)),
        ("fn", count(scores.clear.misses)),
    ];
    for (metric, found) in found {
        let expected = expected[metric];
        assert!((found - expected).abs() < 5e-5, "{name}, {metric}: {found}, not {expected}");
    }
}

#[test]
fn lines_that_are_none_are_told_with_their_number() {
    let read = |text| mot::parse_lines(Path::new("det.txt"), text);
    assert_eq!(read("").unwrap().len(), 0);
    assert_eq!(read("1,-1,2,3,4,5,0.5\n\n3,1,2,3,4,5").unwrap().len(), 2);
    let wrong = [
        ("1,2,3", "invalid line 1 in \"det.txt\": 3 numbers are too few; there are at least 6"),
        ("1,1,2,3,4,5\nx,1,2,3,4,5", "invalid line 2 in \"det.txt\": \"x\" is no number"),
        ("1.5,1,2,3,4,5", "invalid line 1 in \"det.txt\": the frame 1.5 is no whole number"),
    ];
    for (text, expected) in wrong {
        assert_eq!(read(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn scores_that_are_no_confidences_are_refused() {
    let frames = mot::parse_lines(Path::new("det.txt"), "1,-1,2,3,4,5,7.5").unwrap();
    assert!(mot::detections(&frames[&1], mot::Scores::Confidence).is_err());
    let found = mot::detections(&frames[&1], mot::Scores::Sigmoid).unwrap();
    assert!((found[0].confidence - 0.999_447).abs() < 1e-6);
}

/// Where times are used as numbers of frames, a pause is not gone through one by one.
#[test]
fn a_pause_of_a_trillion_frames_ends() {
    let text: String = [1_i64, 1_000_000_000_000]
        .iter()
        .flat_map(|start| (0..10).map(move |n| format!("{},-1,10,20,40,100,0.9\n", start + n)))
        .collect();
    let frames = mot::parse_lines(Path::new("det.txt"), &text).unwrap();
    let detections = frames
        .iter()
        .map(|(number, of)| (*number, mot::detections(of, mot::Scores::Confidence).unwrap()))
        .collect();
    for kind in crate::track::all().iter().filter(|kind| kind.name() != "none") {
        let mut tracker = kind.tracker(&crate::track::TrackOptions::default());
        let results = super::replay(&detections, tracker.as_mut(), 30.0).results();
        let of = |number| results[&number].iter().map(|labelled| labelled.id).collect::<Vec<_>>();
        assert_eq!((of(10), of(1_000_000_000_009)), (vec![1], vec![2]), "{}", kind.name());
    }
}
