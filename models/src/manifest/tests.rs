//! The built-in manifest is sound, and what cannot be true is refused by name.

use super::*;

const DIGEST: &str = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6";

/// A manifest with one model of which some text is replaced.
fn with(from: &str, to: &str) -> String {
    let text = format!(
        r#"
[[model]]
name = "tiny"
version = "1"
task = "detector"
family = "yolov8"
licence = "MIT"
input = [640, 480]
labels = ["cat", "dog"]
[[model.file]]
name = "model.onnx"
sha256 = "{DIGEST}"
bytes = 7
[[model.source]]
kind = "mirror"
[[model.source]]
kind = "url"
file = "model.onnx"
url = "https://example.org/model.onnx"
untested = true
"#
    );
    assert!(text.contains(from), "the manifest of the test has no {from}");
    text.replacen(from, to, 1)
}

/// What `parse` says about the manifest in which `from` is replaced by `to`.
fn refusal(from: &str, to: &str) -> String {
    match parse("here", &with(from, to)) {
        Err(ModelError::Manifest { detail }) => detail,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_model_is_read_with_all_its_parts() {
    let entries = parse("here", &with("MIT", "MIT")).unwrap();
    let [entry] = entries.as_slice() else { panic!("one model, got {entries:?}") };
    assert_eq!(entry.id(), "tiny:1");
    assert_eq!((entry.task, entry.family.as_str()), (Task::Detector, "yolov8"));
    assert_eq!(entry.input, Some((640, 480)));
    assert_eq!(entry.labels.as_ref(), ["cat", "dog"]);
    assert_eq!(entry.size_bytes(), 7);
    let sources: Vec<_> = entry.sources_of("model.onnx").collect();
    assert_eq!(sources.len(), 2);
    assert!(!sources[0].untested() && sources[1].untested());
    assert_eq!(sources[1].to_string(), "https://example.org/model.onnx");
}

#[test]
fn the_built_in_manifest_has_a_model_for_each_task_of_the_pipeline() {
    let entries = parse("built in", include_str!("../../manifest.toml")).unwrap();
    for task in [Task::Detector, Task::Captioner, Task::Embedder] {
        assert!(entries.iter().any(|entry| entry.task == task), "no {task}");
    }
    for entry in &entries {
        for file in &entry.files {
            let id = entry.id();
            assert!(entry.sources_of(&file.name).count() > 0, "{id}: no source of {}", file.name);
            assert_eq!(file.sha256.is_some(), file.bytes.is_some(), "{id}: {}", file.name);
        }
    }
}

#[test]
fn two_models_of_a_name_are_refused() {
    let text = with("MIT", "MIT") + &with("version = \"1\"", "version = \"2\"");
    let error = parse("here", &text).unwrap_err();
    assert_eq!(error.detail(), Some("here: model \"tiny\" is listed twice"));
    assert_eq!(error.sqlstate(), "F0000");
}

#[test]
fn unknown_words_are_refused_with_the_known_ones() {
    assert_eq!(
        refusal("task = \"detector\"", "task = \"detecter\""),
        "here: model \"tiny\": unknown task \"detecter\"; \
         the tasks are detector, reid, linker, captioner, embedder, reranker"
    );
    assert_eq!(
        refusal("yolov8", "yolov9000"),
        "here: model \"tiny\": unknown family \"yolov9000\"; \
         the families are yolov8, yolox, detr, ssd, osnet, blip, blip2, minilm, mpnet, cross-encoder, \
         aflink"
    );
    assert_eq!(
        refusal("family = \"yolov8\"", "family = \"blip\""),
        "here: model \"tiny\": family \"blip\" is a captioner, not a detector"
    );
    assert_eq!(
        refusal("labels = [\"cat\", \"dog\"]", "labels = \"coco\""),
        "here: model \"tiny\": unknown label set \"coco\"; the sets are coco80, coco91, coco91-id"
    );
    let detail = refusal("licence", "license");
    assert!(detail.starts_with("here: line 7: ") && detail.contains("`license`"), "{detail}");
    assert!(!detail.contains('\n'), "{detail}");
}

#[test]
fn a_digest_that_is_none_is_refused() {
    let why = "here: model \"tiny\": the sha256 of \"model.onnx\" is not 64 lower-case hex digits";
    assert_eq!(refusal(DIGEST, "abc"), why);
    assert_eq!(refusal(DIGEST, &DIGEST.to_uppercase()), why);
    assert_eq!(refusal(DIGEST, &DIGEST.replace('8', "g")), why);
}

#[test]
fn a_file_that_nothing_could_verify_is_refused() {
    let line = format!("sha256 = \"{DIGEST}\"");
    assert_eq!(
        refusal(&line, ""),
        "here: model \"tiny\": file \"model.onnx\" has a source but no sha256 to verify it"
    );
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["../tiny", "a/b", "", ".hidden", "-rf", "a b", "tiny:1"] {
        let detail = refusal("name = \"tiny\"", &format!("name = \"{name}\""));
        assert!(detail.contains("letters, digits"), "{detail}");
    }
    let detail = refusal("name = \"model.onnx\"", "name = \"../model.onnx\"");
    assert!(detail.contains("letters, digits"), "{detail}");
}

#[test]
fn sources_are_checked() {
    assert_eq!(
        refusal("file = \"model.onnx\"", "file = \"weights.onnx\""),
        "here: model \"tiny\": a source gives \"weights.onnx\", which is no file of the model"
    );
    assert_eq!(
        refusal("https://", "ftp://"),
        "here: model \"tiny\": \"ftp://example.org/model.onnx\" is not an http or https address"
    );
    let url = "kind = \"url\"\nfile = \"model.onnx\"\nurl = \"https://example.org/model.onnx\"\nuntested = true";
    let package = "kind = \"pypi\"\nfile = \"model.onnx\"\npackage = \"p\"\nversion = \"1\"\n";
    let detail = refusal(url, &format!("{package}path = \"../../etc/passwd\""));
    assert!(detail.ends_with("\"../../etc/passwd\" is not a path inside a package"), "{detail}");
    let script = format!("path = \"a.pb\"\nsha256 = \"{DIGEST}\"\nscript = \"rm.py\"");
    let detail = refusal(url, &format!("{package}{script}").replace("pypi", "convert"));
    assert!(detail.ends_with("there is no script \"rm.py\" in models/export"), "{detail}");
}

#[test]
fn a_model_without_files_or_labels_is_refused() {
    assert!(refusal("[\"cat\", \"dog\"]", "[]").ends_with("a detector needs labels"));
    let text = with("MIT", "MIT");
    let (head, _) = text.split_once("[[model.file]]").unwrap();
    let error = parse("here", head).unwrap_err();
    assert_eq!(error.detail(), Some("here: model \"tiny\": no [[model.file]]"));
    assert!(refusal("[640, 480]", "[640, 0]").ends_with("a side of zero pixels"));
}
