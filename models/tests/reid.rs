//! Re-identification on real people, compared with what a Python reference found
//! (`models/export/reference_reid.py`).
//!
//! Models and photos are in the folder that `VIGIL_SHARED` names, else in `shared` beside the
//! repository; without them the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use common::{cosine, fixture, photo, service, shared};
use serde::Deserialize;
use vigil_models::{BBox, Image, ModelError};

#[derive(Deserialize)]
struct Picture {
    image: String,
    boxes: Vec<(f32, f32, f32, f32)>,
    vectors: Vec<Vec<f32>>,
}

#[test]
fn appearances_are_the_references() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let reid = service.reid("osnet-x0.25").unwrap();
    assert_eq!((&**reid.id(), reid.dimensions()), ("osnet-x0.25:1", 512));
    let mut compared = 0;
    for Picture { image, boxes, vectors } in fixture::<Vec<Picture>>("appearances.json") {
        let boxes: Vec<BBox> =
            boxes.iter().map(|&(x1, y1, x2, y2)| BBox::new(x1, y1, x2, y2)).collect();
        let photo = photo(&shared.join("data").join(&image));
        let found = reid.appearance(Arc::clone(&photo), &boxes).unwrap();
        assert_eq!(found.len(), boxes.len());
        for (one, reference) in found.iter().zip(&vectors) {
            assert!((cosine(one, one).sqrt() - 1.0).abs() < 1e-6);
            let likeness = cosine(one, reference);
            assert!(likeness >= 0.999, "{likeness} in {image}");
            compared += 1;
        }
        let alone = reid.appearance(photo, &boxes[1..2]).unwrap();
        assert!(cosine(&alone[0], &found[1]) > 0.99999, "a batch changes nothing");
    }
    assert!(compared >= 12, "the reference has people to compare: {compared}");
}

#[test]
fn boxes_without_pixels_are_refused_and_none_at_all_is_fine() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let reid = service.reid("osnet-x0.25").unwrap();
    let grey = Arc::new(Image::new(8, 6, vec![128; 8 * 6 * 3]).unwrap());
    assert!(reid.appearance(Arc::clone(&grey), &[]).unwrap().is_empty());
    let inside = BBox::new(0.0, 0.0, 8.0, 6.0);
    let outside = BBox::new(8.0, 0.0, 9.0, 6.0);
    let error = reid.appearance(Arc::clone(&grey), &[inside, outside]).unwrap_err();
    assert!(matches!(error, ModelError::BadImage { .. }), "{error:?}");
    // More boxes than one run takes.
    assert_eq!(reid.appearance(grey, &[inside; 70]).unwrap().len(), 70);
}

#[test]
fn another_tasks_model_is_refused() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let wrong = service.reid("yolov8n").err();
    assert!(matches!(wrong, Some(ModelError::WrongTask { .. })), "{wrong:?}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("osnet-x0.25")).unwrap();
    let graph = shared.join("models/all-minilm-l6-v2-int8/model.onnx");
    std::fs::copy(graph, folder.path().join("osnet-x0.25/model.onnx")).unwrap();
    let error = common::service(folder.path(), 1).reid("osnet-x0.25").err().unwrap();
    assert!(matches!(error, ModelError::WrongTensors { .. }), "{error:?}");
}

#[test]
fn pictures_of_any_size_are_taken_and_damaged_files_are_not() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let reid = service.reid("osnet-x0.25").unwrap();
    for (width, height) in [(1, 1), (8000, 6000), (4000, 1), (1, 700)] {
        let grey = common::grey(width, height);
        let all = BBox::new(0.0, 0.0, width as f32, height as f32);
        let vector = reid.appearance(grey, &[all]).unwrap().remove(0);
        assert!((cosine(&vector, &vector).sqrt() - 1.0).abs() < 1e-6, "{width}x{height}");
    }
    let graph = std::fs::read(shared.join("models/osnet-x0.25/model.onnx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("osnet-x0.25")).unwrap();
    let copy = folder.path().join("osnet-x0.25/model.onnx");
    std::fs::write(&copy, &graph[..graph.len() / 2]).unwrap();
    let error = common::service(folder.path(), 1).reid("osnet-x0.25").err().unwrap();
    assert!(matches!(error, ModelError::BadFile { .. }), "{error:?}");

    // The same graph with a number in it that is NaN: an error, never a vector.
    let mut graph = graph;
    let epsilon = 1e-5_f32.to_le_bytes();
    let at = graph.windows(4).position(|window| window == epsilon);
    let at = at.expect("a normalisation's epsilon");
    graph[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&copy, graph).unwrap();
    let service = common::service(folder.path(), 1);
    let all = BBox::new(0.0, 0.0, 8.0, 6.0);
    let error = service.reid("osnet-x0.25").unwrap().appearance(common::grey(8, 6), &[all]);
    let error = error.unwrap_err();
    assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("NaN")), "{error:?}");
}
