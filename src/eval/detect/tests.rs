//! The figures are pycocotools', on boxes that `models/export/reference_map.py` drew and measured.

use serde::Deserialize;

use super::*;

/// Class, then for detections the confidence, then x1, y1, x2, y2.
type Truth = (u32, f32, f32, f32, f32);
type Found = (u32, f32, f32, f32, f32, f32);

#[derive(Deserialize)]
struct Case {
    pictures: Vec<(Vec<Truth>, Vec<Found>)>,
    map50: f64,
    map50_95: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("pycocotools.json")).unwrap()
}

fn picture((truths, found): &(Vec<Truth>, Vec<Found>)) -> Picture {
    Picture {
        truths: truths
            .iter()
            .map(|&(id, x1, y1, x2, y2)| (id, BBox::new(x1, y1, x2, y2)))
            .collect(),
        found: found
            .iter()
            .map(|&(class_id, confidence, x1, y1, x2, y2)| Detection {
                class_id,
                confidence,
                bbox: BBox::new(x1, y1, x2, y2),
            })
            .collect(),
    }
}

#[test]
fn the_figures_are_pycocotools() {
    let cases = cases();
    assert!(cases.len() >= 3);
    for (index, case) in cases.iter().enumerate() {
        let pictures: Vec<Picture> = case.pictures.iter().map(picture).collect();
        let figures = average_precision(&pictures);
        assert!((figures.map50 - case.map50).abs() < 1e-4, "case {index}: {figures:?}");
        assert!((figures.map50_95 - case.map50_95).abs() < 1e-4, "case {index}: {figures:?}");
        assert!(case.map50 > 0.1 && case.map50 < 0.99, "case {index} tells nothing");
    }
}

#[test]
fn what_is_found_where_nothing_is_true_does_not_count() {
    assert_eq!(average_precision(&[]), AveragePrecision::default());
    let bbox = BBox::new(0.0, 0.0, 10.0, 10.0);
    let found = vec![Detection { class_id: 1, confidence: 0.9, bbox }];
    let nothing = Picture { truths: Vec::new(), found: found.clone() };
    assert_eq!(average_precision(&[nothing]), AveragePrecision::default());
    let perfect = Picture { truths: vec![(1, bbox)], found };
    let figures = average_precision(&[perfect]);
    assert!((figures.map50 - 1.0).abs() < 1e-12 && (figures.map50_95 - 1.0).abs() < 1e-12);
}
