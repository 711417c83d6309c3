//! Detectors on real photos, compared with what Python references found
//! (`models/export/reference_detect.py`, `tiny_detr.py`, `tiny_dfine.py`, `tiny_rfdetr.py`), and what
//! they refuse.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{fixture, grey, photo, service, shared};
use vigil_models::backend::{Device, SessionOptions};
use vigil_models::{
    BBox, DetectOptions, Detection, DetectorHandle, Image, ModelError, OpenOptions, Registry,
};

/// Class, confidence, x1, y1, x2, y2, as the reference writes them.
type Row = (u32, f32, f32, f32, f32, f32);

fn detection((class_id, confidence, x1, y1, x2, y2): Row) -> Detection {
    Detection { class_id, confidence, bbox: BBox::new(x1, y1, x2, y2) }
}

/// Of the boxes of `of` above 0.3, how many have a partner in `among`, and how many there are.
fn paired(of: &[Detection], among: &[Detection], iou: f32, confidence: f32) -> (usize, usize) {
    let sure: Vec<_> = of.iter().filter(|one| one.confidence > 0.3).collect();
    let has_partner = |one: &&&Detection| {
        among.iter().any(|other| {
            other.class_id == one.class_id
                && (other.confidence - one.confidence).abs() <= confidence
                && other.bbox.iou(&one.bbox) >= iou
        })
    };
    (sure.iter().filter(has_partner).count(), sure.len())
}

/// The share of boxes on which a detector and the reference of that name agree, both ways, on the
/// photos of `data`, and how many boxes there are.
fn agreement(
    detector: &DetectorHandle,
    reference: &str,
    data: &Path,
    options: &DetectOptions,
    (iou, confidence): (f32, f32),
) -> (f32, usize) {
    let reference: Reference = fixture(&format!("detections/{reference}.json"));
    agreement_with(reference, |name| photo(&data.join(name)), detector, options, (iou, confidence))
}

/// What a reference found, by picture.
type Reference = BTreeMap<String, Vec<Row>>;

/// As [`agreement`], on the `picture` of each name.
fn agreement_with(
    reference: Reference,
    picture: impl Fn(&str) -> Arc<Image>,
    detector: &DetectorHandle,
    options: &DetectOptions,
    (iou, confidence): (f32, f32),
) -> (f32, usize) {
    let (mut good, mut all) = (0, 0);
    for (name, rows) in reference {
        let expected: Vec<Detection> = rows.into_iter().map(detection).collect();
        let found = detector.detect(picture(&name), options.clone()).unwrap();
        for (of, among) in [(&expected, &found), (&found, &expected)] {
            let (paired, of) = paired(of, among, iou, confidence);
            if paired < of {
                eprintln!("{name}: reference {expected:?}, found {found:?}");
            }
            (good, all) = (good + paired, all + of);
        }
    }
    eprintln!("{good} of {all} boxes agree");
    (good as f32 / all as f32, all)
}

/// The thresholds of the reference.
fn as_the_reference(rect: bool) -> DetectOptions {
    DetectOptions { confidence_threshold: 0.25, rect, ..DetectOptions::default() }
}

/// Pairs have an IoU and a difference in confidence of this at least and at most.
const CLOSE: (f32, f32) = (0.95, 0.02);

#[test]
fn yolov8_finds_what_the_reference_finds() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n").unwrap();
    let options = as_the_reference(false);
    let (share, boxes) = agreement(&detector, "yolov8n", &shared.join("data"), &options, CLOSE);
    assert!(share >= 0.99 && boxes > 1000, "{share} of {boxes}");
}

#[test]
fn yolov8_with_the_least_padding_finds_what_the_reference_finds() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n").unwrap();
    let (options, data) = (as_the_reference(true), shared.join("data"));
    let (share, boxes) = agreement(&detector, "yolov8n-rect", &data, &options, CLOSE);
    assert!(share >= 0.99 && boxes > 1000, "{share} of {boxes}");
}

#[test]
fn yolov8_in_int8_finds_what_the_reference_finds() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n-int8").unwrap();
    let (options, data) = (as_the_reference(false), shared.join("data"));
    // The reference's pixels are another JPEG decoder's. This graph rounds its activations to 255
    // steps of their largest value: in the reference itself, a step in a hundredth of the pixels
    // takes a fifth of the boxes out of the limits that hold when pixels are equal (below).
    let (share, boxes) = agreement(&detector, "yolov8n-int8", &data, &options, (0.85, 0.1));
    assert!(share >= 0.95 && boxes > 1000, "{share} of {boxes}");
}

/// The same graph, the same library and the same pixels on both sides: the reference runs now, on
/// pictures that our decoder read.
#[test]
fn yolov8_in_int8_finds_what_the_reference_finds_in_the_same_pixels() {
    let Some(shared) = shared() else { return };
    let model = "yolov8n-int8";
    let data = shared.join("data");
    let names = fixture::<Reference>(&format!("detections/{model}.json")).into_keys();
    let photos: BTreeMap<String, Arc<Image>> = (0..)
        .zip(names)
        .map(|(at, name)| (format!("{at:03}.ppm"), photo(&data.join(name))))
        .collect();
    let Some(reference) = reference_now(&shared, model, &photos) else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector(model).unwrap();
    let picture = |name: &str| Arc::clone(&photos[name]);
    let (share, boxes) =
        agreement_with(reference, picture, &detector, &as_the_reference(false), CLOSE);
    assert!(share >= 0.99 && boxes > 1000, "{share} of {boxes}");
}

/// What `models/export/reference_detect.py` finds in these pictures; `None`, with a word about it,
/// where its libraries are not there.
fn reference_now(
    shared: &Path,
    model: &str,
    pictures: &BTreeMap<String, Arc<Image>>,
) -> Option<Reference> {
    let root = vigil_test_data::top_level();
    let python = root.join(".venv/bin/python");
    let imports = ["-c", "import cv2, numpy, onnxruntime"];
    if !Command::new(&python).args(imports).output().is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {} has no cv2, numpy and onnxruntime", python.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, picture) in pictures {
        let mut file = format!("P6\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
        file.extend_from_slice(picture.rgb());
        std::fs::write(folder.path().join(name), file).unwrap();
    }
    let script = root.join("models/export/reference_detect.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(shared).args(["--model", model, "--pictures"]).arg(folder.path());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn yolox_finds_what_the_reference_finds() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolox-nano").unwrap();
    let (options, data) = (as_the_reference(true), shared.join("data"));
    let (share, boxes) = agreement(&detector, "yolox-nano", &data, &options, CLOSE);
    assert!(share >= 0.99 && boxes > 900, "{share} of {boxes}");
}

/// The SSD is made on the user's machine, so it is looked for where `vigil models pull` puts it.
#[test]
fn the_ssd_finds_what_the_reference_finds() {
    let Some(shared) = shared() else { return };
    let beside = vigil_test_data::top_level().join(".vigil/models");
    let models = std::env::var_os("VIGIL_MODELS").map_or(beside, PathBuf::from);
    if !models.join("ssd-mobilenet-v2/model.onnx").is_file() {
        eprintln!("skipped: no ssd-mobilenet-v2 in {} (vigil models pull it)", models.display());
        return;
    }
    let service = service(&models, 1);
    let detector = service.detector("ssd-mobilenet-v2").unwrap();
    let (options, data) = (as_the_reference(true), shared.join("data"));
    let (share, boxes) = agreement(&detector, "ssd-mobilenet-v2", &data, &options, CLOSE);
    assert!(share >= 0.97 && boxes > 20, "{share} of {boxes}");
}

/// A picture of waves, as the reference draws it.
fn waves(width: u32, height: u32) -> Arc<Image> {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let wave = (x * x * 3 + x * y * 5 + y * y * 7) / 64;
            rgb.extend((0..3).map(|channel| (wave + x * (channel + 1) + channel * 61) as u8));
        }
    }
    Arc::new(Image::new(width, height, rgb).unwrap())
}

/// A file below `tests/fixtures`.
fn fixture_file(name: &str) -> PathBuf {
    vigil_test_data::top_level().join("models/tests/fixtures").join(name)
}

#[test]
fn rt_detr_finds_what_transformers_finds() {
    let text =
        "family = \"detr\"\nlabels = [\"a\", \"b\", \"c\", \"d\", \"e\"]\ninput = [128, 128]";
    let folder = custom(text, &fixture_file("tiny-detr/model.onnx"));
    let service = service(folder.path(), 1);
    let detector = service.detector("custom").unwrap();
    let options = DetectOptions { confidence_threshold: 0.0, ..DetectOptions::default() };
    let reference: Reference = fixture("tiny-detr/detections.json");
    let (good, all) = agreement_on_waves(reference, &detector, &options, (0.99, 0.001));
    assert!(all > 100 && good * 100 >= all * 99, "{good} of {all}");
}

/// The two forms in which D-FINE is exported: with logits, and with the best already chosen.
#[test]
fn d_fine_finds_what_transformers_finds_in_both_forms() {
    let labels = "family = \"detr\"\nlabels = [\"a\", \"b\", \"c\", \"d\", \"e\"]";
    let options = DetectOptions { confidence_threshold: 0.0, ..DetectOptions::default() };
    for graph in ["model.onnx", "own.onnx"] {
        let text = format!("{labels}\ninput = [128, 128]");
        let folder = custom(&text, &fixture_file(&format!("tiny-dfine/{graph}")));
        let service = service(folder.path(), 1);
        let detector = service.detector("custom").unwrap();
        let reference: Reference = fixture("tiny-dfine/detections.json");
        let (good, all) = agreement_on_waves(reference, &detector, &options, (0.95, 0.005));
        assert!(all == 80 && good * 100 >= all * 99, "{graph}: {good} of {all}");
    }
}

/// Pictures of different sizes in one run of the form that is told sizes.
#[test]
fn d_fine_that_chooses_by_itself_takes_batches() {
    let text =
        "family = \"detr\"\nlabels = [\"a\", \"b\", \"c\", \"d\", \"e\"]\ninput = [128, 128]";
    let folder = custom(text, &fixture_file("tiny-dfine/own.onnx"));
    let registry = Registry::open(folder.path()).unwrap();
    let entry = registry.entry("custom").unwrap();
    let session = SessionOptions { intra_threads: 1, ..SessionOptions::default() };
    let mut detector = vigil_models::open_detector(&registry, entry, session).unwrap();
    let options = DetectOptions { confidence_threshold: 0.5, ..DetectOptions::default() };
    let pictures = [(200, 150), (640, 360), (97, 301)].map(|(width, height)| waves(width, height));
    let asked: Vec<_> = pictures.iter().map(|picture| (&**picture, &options)).collect();
    let together = detector.detect(&asked).unwrap();
    assert_eq!(together.len(), pictures.len());
    for (one, among) in asked.iter().zip(&together) {
        let alone = detector.detect(&[*one]).unwrap().concat();
        let (same, all) = paired(&alone, among, 0.99, 0.001);
        assert!(all > 10 && same == all, "{same} of {all}");
    }
}

/// The package scales in floats and we in bytes, as `OpenCV` does: half a step of a byte moves the
/// boxes of a network with random weights a little.
#[test]
fn rf_detr_finds_what_its_package_finds() {
    let others: Vec<String> = (0..90).map(|class| format!("\"{class}\"")).collect();
    for (labels, reference) in [
        ("\"coco91-id\"".to_owned(), "detections"),
        (format!("[{}]", others.join(", ")), "background"),
    ] {
        let text = format!("family = \"detr\"\nlabels = {labels}\ninput = [128, 128]");
        let folder = custom(&text, &fixture_file("tiny-rfdetr/model.onnx"));
        let service = service(folder.path(), 1);
        let detector = service.detector("custom").unwrap();
        let options = DetectOptions { confidence_threshold: 0.0, ..DetectOptions::default() };
        let rows: Reference = fixture(&format!("tiny-rfdetr/{reference}.json"));
        let (good, all) = agreement_on_waves(rows, &detector, &options, (0.95, 0.005));
        assert!(all > 100 && good * 100 >= all * 99, "{reference}: {good} of {all}");
    }
}

/// Two labels for a graph of five classes are told when it finds another one, as its outputs do not
/// say how many there are.
#[test]
fn classes_that_have_no_label_are_an_error() {
    let text = "family = \"detr\"\nlabels = [\"a\", \"b\"]\ninput = [128, 128]";
    let folder = custom(text, &fixture_file("tiny-dfine/own.onnx"));
    let service = service(folder.path(), 1);
    let detector = service.detector("custom").unwrap();
    let error = detector.detect(waves(200, 150), DetectOptions::default()).unwrap_err();
    assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
    let detail = error.detail().unwrap_or_default();
    assert!(detail.contains("the run gave class ") && detail.contains("2 labels"), "{detail}");
}

/// How many boxes that a reference found in waves of some sizes (`200x120`) a detector finds, too,
/// and how many there are.
fn agreement_on_waves(
    reference: Reference,
    detector: &DetectorHandle,
    options: &DetectOptions,
    (iou, confidence): (f32, f32),
) -> (usize, usize) {
    let (mut good, mut all) = (0, 0);
    for (size, rows) in reference {
        let (width, height) = size.split_once('x').unwrap();
        let picture = waves(width.parse().unwrap(), height.parse().unwrap());
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let mut expected: Vec<Detection> = rows.into_iter().map(detection).collect();
        for one in &mut expected {
            // Not every reference clips.
            one.bbox = one.bbox.clipped(width, height);
        }
        let found = detector.detect(picture, options.clone()).unwrap();
        let (paired, of) = paired(&expected, &found, iou, confidence);
        eprintln!("{size}: {paired} of {of}, {} found", found.len());
        (good, all) = (good + paired, all + of);
    }
    (good, all)
}

/// Ultralytics' own network and predictor. Its way back to the picture takes the border before
/// rounding, so that boxes may lie a pixel of the input beside ours.
#[test]
fn yolov8_of_any_size_finds_what_ultralytics_finds() {
    let text = "family = \"yolov8\"\nlabels = [\"a\", \"b\", \"c\"]";
    let folder = custom(text, &fixture_file("tiny-ultralytics/model.onnx"));
    let service = service(folder.path(), 1);
    let detector = service.detector("custom").unwrap();
    let options = DetectOptions {
        confidence_threshold: 0.3,
        image_size: Some(128),
        ..DetectOptions::default()
    };
    let reference: Reference = fixture("tiny-ultralytics/detections.json");
    let (good, all) = agreement_on_waves(reference, &detector, &options, (0.95, 0.001));
    assert!(all > 100 && good == all, "{good} of {all}");
}

/// What a graph of `models/export/tiny_yolo.py` finds in some pictures.
fn tiny_yolo(graph: &str, more: &str, half: bool) -> Result<Vec<Vec<Detection>>, ModelError> {
    let text = format!("family = \"yolov8\"\nlabels = [\"a\", \"b\"]{more}");
    let folder = custom(&text, &fixture_file(&format!("tiny-yolo/{graph}")));
    let service = service(folder.path(), 3);
    let open = OpenOptions { half_precision: half, ..OpenOptions::default() };
    let detector = service.detector_with("custom", open)?;
    let options = DetectOptions { confidence_threshold: 0.3, ..DetectOptions::default() };
    [(64, 64), (100, 40), (30, 90)]
        .map(|(width, height)| detector.detect(waves(width, height), options.clone()))
        .into_iter()
        .collect()
}

#[test]
fn float16_and_fixed_batches_find_what_float32_finds() {
    let full = tiny_yolo("model.onnx", "", false).unwrap();
    assert!(full.iter().map(Vec::len).sum::<usize>() > 5, "{full:?}");
    assert_eq!(tiny_yolo("batch2.onnx", "", false).unwrap(), full);
    let half = tiny_yolo("half.onnx", "", true).unwrap();
    let (of, among) = (full.concat(), half.concat());
    let (same, all) = paired(&of, &among, 0.9, 0.01);
    assert!(same * 10 >= all * 9, "{same} of {all}");
}

#[test]
fn a_number_that_is_none_is_an_error() {
    let error = tiny_yolo("nan.onnx", "", false).unwrap_err();
    assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("is no number")), "{error:?}");
}

#[test]
fn test_time_augmentation_finds_the_same_things() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let detector = service.detector("yolov8n").unwrap();
    let bus = photo(&shared.join("data/photos/bus.jpg"));
    let plain = DetectOptions::default();
    let found = detector.detect(Arc::clone(&bus), plain.clone()).unwrap();
    let augmented = DetectOptions { augment: true, ..plain };
    let merged = detector.detect(bus, augmented.clone()).unwrap();
    assert!(found.len() >= 4, "{found:?}");
    let (same, of) = paired(&found, &merged, 0.85, 0.2);
    assert_eq!(same, of, "plain {found:?}, augmented {merged:?}");
    assert_ne!(found, merged, "the other views say something, too");
    for (i, one) in merged.iter().enumerate() {
        for other in &merged[i + 1..] {
            let overlap = one.bbox.iou(&other.bbox);
            assert!(one.class_id != other.class_id || overlap <= augmented.iou_threshold + 0.01);
        }
    }
}

#[test]
fn what_a_models_files_cannot_do_is_refused_before_the_first_frame() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let refused = |model: &str, options: DetectOptions, batch_size| {
        let detector = service.detector(model).unwrap();
        let error = detector.prepare((1920, 1080), options, batch_size).unwrap_err();
        assert_eq!(error.sqlstate(), "22023", "{error:?}");
        format!("{error}. {}", error.detail().unwrap_or_default())
    };
    let size = |image_size| DetectOptions { image_size: Some(image_size), ..Default::default() };
    let said = refused("yolov8n", size(320), 1);
    assert!(said.starts_with("model \"yolov8n\" cannot take image_size = 320."), "{said}");
    for known in ["640x640 (model.onnx)", "640x480 (", "640x384 (model-384x640.onnx)"] {
        assert!(said.contains(known), "{said}");
    }
    let said = refused("yolox-nano", size(640), 1);
    assert!(said.contains("416x416 (model.onnx)"), "{said}");
    let said = refused("yolov8n-int8", DetectOptions::default(), 4);
    assert!(said.contains("batch_size = 4") && said.contains("takes 1"), "{said}");
    let half = OpenOptions { half_precision: true, ..OpenOptions::default() };
    for model in ["yolov8n", "yolov8n-int8"] {
        let error = service.detector_with(model, half).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("model \"{model}\" cannot take half_precision = true")
        );
        assert!(error.detail().is_some_and(|detail| detail.contains("model.onnx")), "{error:?}");
    }
    for (picture, options) in [
        ((1920, 1080), DetectOptions::default()),
        ((1920, 1080), size(640)),
        ((100, 100), DetectOptions { rect: false, ..size(640) }),
    ] {
        service.detector("yolov8n").unwrap().prepare(picture, options, 4).unwrap();
    }
    let loaded = service.loaded();
    assert!(loaded.iter().all(|model| model.runs == 0), "preparing is no run: {loaded:?}");
    assert!(loaded.iter().all(|model| model.runs_on.is_some()), "{loaded:?}");
}

#[test]
fn pictures_of_any_size_are_taken() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    for model in ["yolov8n", "yolox-nano"] {
        let detector = service.detector(model).unwrap();
        for (width, height) in [(1, 1), (8000, 6000), (4000, 1), (1, 700)] {
            let low = DetectOptions { confidence_threshold: 0.01, ..DetectOptions::default() };
            for found in detector.detect(grey(width, height), low).unwrap() {
                let bbox = found.bbox.clipped(width as f32, height as f32);
                assert_eq!(bbox, found.bbox, "{model} {width}x{height}");
            }
        }
    }
}

#[test]
fn one_model_on_two_devices_has_two_sessions() {
    let Some(shared) = shared() else { return };
    let service = service(&shared.join("models"), 1);
    let cpu = OpenOptions { device: Device::Cpu, half_precision: false };
    let named = service.detector_with("yolox-nano", cpu).unwrap();
    let auto = service.detector("yolox-nano").unwrap();
    assert_eq!(named.runs_on().to_string(), "cpu (as asked)");
    assert_ne!(auto.runs_on().device, Device::Auto);
    assert_eq!(service.loaded().len(), 2);
}

/// A registry's folder with one model of which the manifest says `text`, with the graph `from`.
fn custom(text: &str, from: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[[model]]\nname = \"custom\"\nversion = \"1\"\ntask = \"detector\"\nlicence = \"none\"\n\
         {text}\n[[model.file]]\nname = \"model.onnx\"\n"
    );
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    std::fs::create_dir(folder.path().join("custom")).unwrap();
    std::fs::copy(from, folder.path().join("custom/model.onnx")).unwrap();
    folder
}

fn refusal(text: &str, from: &Path) -> String {
    let folder = custom(text, from);
    let error = service(folder.path(), 1).detector("custom").err().expect("it is refused");
    assert!(matches!(error, ModelError::WrongTensors { .. }), "{error:?}");
    error.detail().unwrap_or_default().to_owned()
}

#[test]
fn a_graph_of_another_family_or_other_classes_is_refused_with_what_was_found() {
    let Some(shared) = shared() else { return };
    let (yolov8, yolox) =
        (shared.join("models/yolov8n/model.onnx"), shared.join("models/yolox-nano/model.onnx"));
    let said = refusal("family = \"yolov8\"\nlabels = [\"cat\", \"dog\"]", &yolov8);
    assert!(said.contains("\"output0\" float32[?x6x?] was expected"), "{said}");
    assert!(said.contains("found \"output0\" float32[?x84x8400]"), "{said}");
    let said = refusal("family = \"yolox\"\nlabels = \"coco80\"", &yolov8);
    assert!(said.contains("\"output\" float32[?x?x85] was expected"), "{said}");
    let said = refusal("family = \"detr\"\nlabels = \"coco80\"", &yolox);
    assert!(said.contains("\"pred_boxes\" float32[?x?x4] was expected"), "{said}");
    let embedder = shared.join("models/all-minilm-l6-v2-int8/model.onnx");
    let said = refusal("family = \"yolov8\"\nlabels = \"coco80\"", &embedder);
    assert!(said.contains("\"last_hidden_state\""), "{said}");
}

#[test]
fn a_graph_of_another_size_than_the_manifest_says_is_refused() {
    let Some(shared) = shared() else { return };
    let wide = shared.join("models/yolov8n/model-384x640.onnx");
    let family = "family = \"yolov8\"\nlabels = \"coco80\"";
    let said = refusal(&format!("{family}\ninput = [640, 640]"), &wide);
    assert!(said.contains("640x640") && said.contains("[?x3x384x640]"), "{said}");
    let folder = custom(&format!("{family}\ninput = [640, 384]"), &wide);
    let service = service(folder.path(), 1);
    let detector = service.detector("custom").unwrap();
    detector.prepare((640, 360), DetectOptions::default(), 1).unwrap();
}
