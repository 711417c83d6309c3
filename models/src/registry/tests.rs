//! Look-ups, overriding entries, and verdicts on files, in temporary folders.

use std::fs;

use super::*;

/// The sha256 of `four`.
const FOUR: &str = "04efaf080f5a3e74e1c29d1ca6a48569382cbbcd324e8d59d2b83ef21c039f00";

/// A registry of a temporary folder whose manifest adds the model `tiny` with one file.
fn with_tiny(more: &str) -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[model]]\nname = \"tiny\"\nversion = \"3\"\ntask = \"embedder\"\nfamily = \"minilm\"\n\
         licence = \"MIT\"\n[[model.file]]\nname = \"model.onnx\"\n{more}"
    );
    fs::write(folder.path().join("manifest.toml"), text).unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    (folder, registry)
}

fn verdict(registry: &Registry) -> Verdict {
    let mut checks = registry.verify(registry.entry("tiny").unwrap());
    assert_eq!(checks.len(), 1);
    checks.remove(0).verdict
}

fn put(registry: &Registry, file: &str, text: &str) {
    let folder = registry.models_dir().join("tiny");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(file), text).unwrap();
}

#[test]
fn a_folder_that_is_not_there_has_every_model_missing() {
    let registry = Registry::open(Path::new("/nowhere/models")).unwrap();
    assert!(registry.entries().is_sorted_by_key(|entry| &entry.name));
    for entry in registry.entries() {
        assert_eq!(registry.state(entry), ModelState::Missing, "{}", entry.id());
    }
}

#[test]
fn models_are_found_by_name_and_by_name_with_version() {
    let registry = Registry::open(Path::new("/nowhere")).unwrap();
    assert_eq!(registry.entry("yolov8n").unwrap().id(), "yolov8n:1");
    assert_eq!(registry.entry("yolov8n:1").unwrap().id(), "yolov8n:1");
    let detectors: Vec<_> =
        registry.entries_for(Task::Detector).map(|entry| entry.name.as_str()).collect();
    assert!(detectors.is_sorted());
    for named in ["ssd-mobilenet-v2", "yolo11x", "yolov8n", "yolov8n-int8", "yolov8s", "yolox-nano"]
    {
        assert!(detectors.contains(&named), "{named}: {detectors:?}");
    }
}

#[test]
fn an_unknown_name_comes_with_the_nearest() {
    let registry = Registry::open(Path::new("/nowhere")).unwrap();
    let hint = |name: &str| registry.entry(name).unwrap_err().hint().unwrap();
    assert_eq!(hint("yolo8n"), "Perhaps you meant \"yolov8n\".");
    assert_eq!(hint("YOLOv8n"), "Perhaps you meant \"yolov8n\".");
    assert_eq!(hint("yolov8n:2"), "Perhaps you meant \"yolov8n:1\".");
    assert_eq!(hint("ssd-mobilenet"), "Perhaps you meant \"ssd-mobilenet-v2\".");
    assert_eq!(hint("resnet"), "Run \"vigil models list\" to see the known models.");
    let error = registry.entry("resnet").unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.sqlstate()),
        ("model \"resnet\" does not exist", "42704")
    );
}

#[test]
fn the_folders_manifest_adds_and_replaces() {
    let (folder, registry) = with_tiny("");
    assert_eq!(registry.entry("tiny").unwrap().id(), "tiny:3");
    assert!(registry.entry("yolov8n").is_ok(), "the built-in models are still there");

    let path = folder.path().join("manifest.toml");
    let text = fs::read_to_string(&path).unwrap().replace("\"tiny\"", "\"all-minilm-l6-v2-int8\"");
    fs::write(&path, text).unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    let replaced = registry.entry("all-minilm-l6-v2-int8").unwrap();
    assert_eq!((replaced.version.as_str(), replaced.files.len()), ("3", 1));

    fs::write(&path, "[[model]]\nname = 1\n").unwrap();
    let error = Registry::open(folder.path()).unwrap_err();
    assert!(error.detail().unwrap().starts_with(&path.display().to_string()), "{error:?}");
}

#[test]
fn files_are_found_missing_present_and_different() {
    let (_folder, registry) = with_tiny(&format!("sha256 = \"{FOUR}\"\nbytes = 4\n"));
    let entry = registry.entry("tiny").unwrap();
    assert_eq!(verdict(&registry), Verdict::Missing);
    let error = registry.file(entry, "model.onnx").unwrap_err();
    assert_eq!(error.sqlstate(), "58P01");
    assert_eq!(error.hint().unwrap(), "Run \"vigil models pull tiny\" to fetch them.");

    put(&registry, "model.onnx", "four");
    assert_eq!(registry.state(entry), ModelState::Present);
    assert_eq!(verdict(&registry), Verdict::Verified);
    assert!(registry.file(entry, "model.onnx").is_ok());
    assert!(registry.file(entry, "other.onnx").is_err(), "not a file of the model");

    put(&registry, "model.onnx", "five");
    assert_eq!(registry.state(entry), ModelState::Present, "state looks at sizes alone");
    assert!(matches!(verdict(&registry), Verdict::Different { .. }));

    put(&registry, "model.onnx", "fo");
    assert_eq!(registry.state(entry), ModelState::Missing, "a file cut short is not there");
}

#[test]
fn a_model_does_without_an_optional_file() {
    let (_folder, registry) =
        with_tiny("[[model.file]]\nname = \"model.onnx.data\"\noptional = true\n");
    let entry = registry.entry("tiny").unwrap();
    put(&registry, "model.onnx", "four");
    assert_eq!(registry.state(entry), ModelState::Present);
    let verdicts: Vec<_> = registry.verify(entry).into_iter().map(|check| check.verdict).collect();
    assert_eq!(verdicts, [Verdict::Unchecked, Verdict::NotNeeded]);
    assert!(verdicts[1].is_good());
    put(&registry, "model.onnx.data", "weights");
    assert_eq!(registry.size_bytes(entry), 11);
}

#[test]
fn a_file_made_here_is_compared_with_the_record_of_its_making() {
    let (_folder, registry) = with_tiny("");
    put(&registry, "model.onnx", "four");
    assert_eq!(verdict(&registry), Verdict::Unchecked);
    assert_eq!(registry.size_bytes(registry.entry("tiny").unwrap()), 4);
    put(&registry, "model.onnx.sha256", &format!("{FOUR}  model.onnx\n"));
    assert_eq!(verdict(&registry), Verdict::Verified);
    put(&registry, "model.onnx", "five");
    assert!(matches!(verdict(&registry), Verdict::Different { .. }));
}
