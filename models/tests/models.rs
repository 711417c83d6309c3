//! Real models on real photos, compared with what Python references found (`models/export/`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;

use common::{fixture, grey, photo, service, shared};

use serde::Deserialize;
use vigil_models::backend::{Device, Session, SessionOptions};
use vigil_models::{BBox, CaptionOptions, DetectOptions, ModelError, Registry};

#[test]
fn a_batch_finds_what_single_pictures_find() {
    let Some(shared) = shared() else { return };
    let photos = ["photos/bus.jpg", "photos/zidane.jpg", "coco/images/000000000009.jpg"]
        .map(|name| photo(&shared.join("data").join(name)));
    let options = SessionOptions { intra_threads: 1, ..SessionOptions::default() };
    for model in ["yolov8n", "yolov8n-int8"] {
        let registry = Registry::open(&shared.join("models")).unwrap();
        let entry = registry.entry(model).unwrap();
        let mut detector = vigil_models::open_detector(&registry, entry, options).unwrap();
        let detect = DetectOptions::default();
        let requests = [(&*photos[0], &detect), (&*photos[1], &detect), (&*photos[2], &detect)];
        let together = detector.detect(&requests).unwrap();
        for (request, together) in requests.iter().zip(together) {
            let alone = detector.detect(&[*request]).unwrap().remove(0);
            assert_eq!(alone.len(), together.len());
            for (a, b) in alone.iter().zip(&together) {
                assert_eq!(a.class_id, b.class_id);
                assert!((a.confidence - b.confidence).abs() < 1e-3, "{a:?} {b:?}");
                assert!(a.bbox.iou(&b.bbox) > 0.999, "{a:?} {b:?}");
            }
        }
        assert!(detector.detect(&[]).unwrap().is_empty());
    }
}

#[test]
fn thresholds_classes_and_limits_hold_and_boxes_stay_inside() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n:1").unwrap();
    assert_eq!((&**detector.id(), detector.labels().len()), ("yolov8n:1", 80));
    let bus = photo(&shared.join("data/photos/bus.jpg"));
    let all = DetectOptions { confidence_threshold: 0.001, ..DetectOptions::default() };
    let found = detector.detect(Arc::clone(&bus), all.clone()).unwrap();
    assert!(found.len() > 20 && found.len() <= 300, "{}", found.len());
    assert!(found.is_sorted_by(|a, b| a.confidence >= b.confidence));
    let frame = BBox::new(0.0, 0.0, bus.width() as f32, bus.height() as f32);
    for detection in &found {
        let bbox = detection.bbox;
        assert!(bbox.area() > 0.0 && bbox.clipped(frame.x2, frame.y2) == bbox, "{bbox:?}");
    }
    let buses = DetectOptions { classes: Some([5].into()), ..all.clone() };
    let buses = detector.detect(Arc::clone(&bus), buses).unwrap();
    assert!(!buses.is_empty() && buses.iter().all(|detection| detection.class_id == 5));
    let three = DetectOptions { max_detections: 3, ..all };
    assert_eq!(detector.detect(bus, three).unwrap(), found[..3]);
    let loaded = service.loaded();
    assert_eq!((loaded.len(), loaded[0].runs, loaded[0].items), (1, 3, 3));
    assert!(loaded[0].total >= loaded[0].last && !loaded[0].last.is_zero());
}

#[test]
fn pictures_of_any_size_are_taken() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n").unwrap();
    let captioner = service.captioner("caption-standin").unwrap();
    for (width, height) in [(1, 1), (4000, 3000), (4000, 1), (1, 700)] {
        let image = grey(width, height);
        detector.detect(Arc::clone(&image), DetectOptions::default()).unwrap();
        captioner.caption(image, CaptionOptions::default()).unwrap();
    }
}

#[derive(Deserialize)]
struct Caption {
    image: String,
    beams: usize,
    text: String,
}

/// The texts are the references' tokens put together, so that equal texts are equal tokens.
#[test]
fn captions_are_the_references() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let captioner = service.captioner("caption-standin").unwrap();
    for Caption { image, beams, text } in fixture::<Vec<Caption>>("captions.json") {
        let options = CaptionOptions { num_beams: beams, ..CaptionOptions::default() };
        let caption = captioner.caption(photo(&shared.join("data").join(&image)), options);
        assert_eq!(caption.unwrap(), text, "{image} with {beams} beams");
    }
}

#[test]
fn a_caption_is_no_longer_than_asked_and_never_empty() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let captioner = service.captioner("caption-standin").unwrap();
    let bus = photo(&shared.join("data/photos/bus.jpg"));
    let short = CaptionOptions { max_length: 4, num_beams: 3, ..CaptionOptions::default() };
    let words = captioner.caption(Arc::clone(&bus), short).unwrap();
    assert!(words.split(' ').count() <= 3, "{words}");
    let none = CaptionOptions { max_length: 1, ..CaptionOptions::default() };
    let empty = captioner.caption(bus, none);
    assert!(matches!(empty, Err(ModelError::Run { .. })), "{empty:?}");
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    vector: Vec<f32>,
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_are_the_references_alone_and_together() {
    let Some(shared) = shared() else { return };
    let sentences: Vec<Sentence> = fixture("embeddings.json");
    let service = service(&shared.join("models"), 1);
    let embedder = service.embedder("all-minilm-l6-v2-int8").unwrap();
    assert_eq!(embedder.dimensions(), 384);
    let texts: Vec<&str> = sentences.iter().map(|sentence| &*sentence.text).collect();
    let together = embedder.embed(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (sentence, vector) in sentences.iter().zip(&together) {
        let alone = embedder.embed(&[&sentence.text]).unwrap().remove(0);
        for vector in [vector, &alone] {
            assert_eq!(vector.len(), 384);
            let norm = cosine(vector, vector).sqrt();
            assert!((norm - 1.0).abs() < 1e-6);
            let likeness = cosine(vector, &sentence.vector);
            assert!(likeness >= 0.9999, "{likeness} for {:?}", sentence.text);
        }
    }
    assert!(embedder.embed(&[]).unwrap().is_empty());
}

#[test]
fn many_texts_keep_their_order() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let embedder = service.embedder("all-minilm-l6-v2-int8").unwrap();
    let texts: Vec<String> = (0..40).map(|i| format!("number {}", "and ".repeat(i % 7))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts).unwrap();
    for i in 7..40 {
        assert!(cosine(&vectors[i], &vectors[i % 7]) > 0.9999, "{i}");
    }
    assert!(cosine(&vectors[0], &vectors[6]) < 0.99);
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    // The model has a graph for each of three shapes.
    let graphs = ["model.onnx", "model-480x640.onnx", "model-384x640.onnx"]
        .map(|file| folder.path().join("yolov8n").join(file));
    std::fs::create_dir(folder.path().join("yolov8n")).unwrap();
    let service = service(folder.path(), 1);
    let refused = || service.detector("yolov8n").err().expect("it is refused");

    assert!(matches!(refused(), ModelError::MissingFiles { .. }), "{:?}", refused());
    let real = std::fs::read(shared.join("models/yolov8n/model.onnx")).unwrap();
    for bytes in [&b""[..], b"not a model at all\n", &real[..real.len() / 2], &real[..20]] {
        for graph in &graphs {
            std::fs::write(graph, bytes).unwrap();
        }
        let error = refused();
        assert!(matches!(error, ModelError::BadFile { .. }), "{error:?}");
        assert_eq!(error.sqlstate(), "XX001");
        assert!(!error.detail().unwrap_or_default().contains('\n'), "{error:?}");
    }
    for graph in &graphs {
        std::fs::copy(shared.join("models/all-minilm-l6-v2-int8/model.onnx"), graph).unwrap();
    }
    let error = refused();
    assert!(matches!(error, ModelError::WrongTensors { .. }), "{error:?}");
    let detail = error.detail().unwrap_or_default();
    assert!(detail.contains("\"output0\"") && detail.contains("\"last_hidden_state\""), "{detail}");

    // What is put right is loaded: no failure is remembered.
    for graph in &graphs {
        let file = graph.file_name().unwrap();
        std::fs::copy(shared.join("models/yolov8n").join(file), graph).unwrap();
    }
    assert_eq!(service.detector("yolov8n").unwrap().labels()[0], "person");
}

#[test]
fn a_detector_with_other_classes_than_its_labels_is_refused() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let manifest = r#"
        [[model]]
        name = "two"
        version = "1"
        task = "detector"
        family = "yolov8"
        description = "a detector of two classes"
        licence = "none"
        labels = ["cat", "dog"]
        [[model.file]]
        name = "model.onnx"
    "#;
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    std::fs::create_dir(folder.path().join("two")).unwrap();
    let graph = shared.join("models/yolov8n/model.onnx");
    std::fs::copy(graph, folder.path().join("two/model.onnx")).unwrap();
    let error = service(folder.path(), 1).detector("two").err().expect("it is refused");
    assert!(matches!(error, ModelError::WrongTensors { .. }), "{error:?}");
}

#[test]
fn a_session_says_what_it_takes_and_refuses_other_tensors() {
    let Some(shared) = shared() else { return };
    let path = shared.join("models/yolov8n/model.onnx");
    let mut session = Session::open(
        "yolov8n",
        &path,
        SessionOptions { intra_threads: 1, ..SessionOptions::default() },
    )
    .unwrap();
    assert_eq!(session.inputs()[0].to_string(), "\"images\" float32[?x3x640x640]");
    assert_eq!(session.outputs()[0].to_string(), "\"output0\" float32[?x84x8400]");
    use vigil_models::backend::Input;
    for (shape, length) in [([1, 3, 64, 64], 3 * 64 * 64), ([1, 3, 640, 640], 7)] {
        let data = vec![0.0; length];
        let result = session.run(&[Input::f32("images", &shape, &data)]).err();
        assert!(matches!(result, Some(ModelError::Run { .. })), "{result:?}");
    }
    assert!(session.run(&[Input::f32("pictures", &[1], &[0.0])]).is_err());
}

#[test]
fn the_device_is_the_best_there_is_or_the_one_asked_for() {
    let Some(shared) = shared() else { return };
    let path = shared.join("models/yolov8n-int8/model.onnx");
    let open = |device| {
        Session::open(
            "test",
            &path,
            SessionOptions { intra_threads: 1, device, ..SessionOptions::default() },
        )
    };
    let cpu = open(Device::Cpu).unwrap();
    assert_eq!(cpu.runs_on().to_string(), "cpu (as asked)");
    let auto = open(Device::Auto).unwrap();
    let taken = auto.runs_on();
    assert!(!taken.reason.is_empty() && taken.device != Device::Auto, "{taken}");
    match open(Device::Cuda) {
        Ok(cuda) => assert_eq!((cuda.runs_on().device, taken.device), (Device::Cuda, Device::Cuda)),
        Err(error) => {
            assert_eq!(taken.device, Device::Cpu, "{taken}");
            assert!(matches!(error, ModelError::NoDevice { device: "cuda", .. }), "{error:?}");
            assert!(error.hint().is_some_and(|hint| hint.contains("device = 'cpu'")));
        }
    }
}
