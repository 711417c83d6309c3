//! Models that users register: what becomes of files, folders and addresses, and what is refused.
//! The models are the tiny ones of `tests/fixtures`, which `models/export/` makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use common::{cosine, fixtures, grey, service};
use sha2::{Digest, Sha256};
use vigil_models::{
    CaptionOptions, DetectOptions, InferenceService, Made, ModelError, ModelOrigin, ModelPlaces,
    NewModel, NewModelOptions, OpenOptions, Task,
};

/// Everywhere but below a folder and on hosts that are named `forbidden.…`.
struct Places {
    forbidden: Option<PathBuf>,
    loopback: bool,
}

impl ModelPlaces for Places {
    fn file(&self, path: &Path) -> Option<PathBuf> {
        let place = path.canonicalize().ok()?;
        let allowed = self.forbidden.as_ref().is_none_or(|folder| !place.starts_with(folder));
        allowed.then_some(place)
    }

    fn url(&self, url: &str) -> bool {
        !url.contains("forbidden.")
    }

    fn address(&self, address: IpAddr) -> bool {
        self.loopback || !address.is_loopback()
    }
}

const ANYWHERE: Places = Places { forbidden: None, loopback: true };

fn create_in(service: &InferenceService, places: Places, new: &NewModel) -> Result<(), ModelError> {
    service.create_model(new, &(Arc::new(places) as Arc<dyn ModelPlaces>))
}

fn create(service: &InferenceService, new: &NewModel) -> Result<(), ModelError> {
    create_in(service, ANYWHERE, new)
}

fn new(name: &str, task: Task, family: &str, from: ModelOrigin) -> NewModel {
    let options = NewModelOptions { family: Some(family.into()), ..NewModelOptions::default() };
    let made = Made { from: format!("{from:?}"), options: vec![("family".into(), family.into())] };
    NewModel { name: name.into(), task, from, options, made }
}

fn path(relative: &str) -> ModelOrigin {
    ModelOrigin::Path(fixtures().join(relative))
}

/// The two classes of the tiny detector.
fn detector(name: &str, file: &str) -> NewModel {
    let mut new = new(name, Task::Detector, "yolov8", path(&format!("tiny-yolo/{file}")));
    new.options.labels = Some("cat, dog".into());
    new
}

/// What is in a folder, but for locks of pulls.
fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn digest(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_registered_model_is_used_and_is_there_after_a_restart() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let mut mine = detector("mine", "model.onnx");
    mine.options.version = "2".into();
    mine.options.sha256 = vec![(None, digest(&fixtures().join("tiny-yolo/model.onnx")))];
    create(&service, &mine).unwrap();
    assert_eq!(listing(models.path()), ["mine"]);
    assert_eq!(listing(&models.path().join("mine")), ["model.onnx", "model.toml"]);
    let entry = service.registry().entry("mine:2").unwrap().clone();
    assert_eq!((entry.made.as_ref(), entry.files.len()), (Some(&mine.made), 1));
    let options = DetectOptions { confidence_threshold: 0.0, ..DetectOptions::default() };
    let found = service.detector("mine").unwrap().detect(grey(64, 48), options.clone()).unwrap();
    drop(service);

    let again = self::service(models.path(), 1);
    assert_eq!(*again.registry().entry("mine").unwrap(), entry);
    let verdicts = again.registry().verify(&entry);
    assert!(verdicts.iter().all(|check| check.verdict.is_good()), "{verdicts:?}");
    let handle = again.detector("mine").unwrap();
    assert_eq!(handle.detect(grey(64, 48), options.clone()).unwrap(), found);

    again.drop_model("mine").unwrap();
    assert!(listing(models.path()).is_empty());
    assert!(matches!(again.detector("mine").err(), Some(ModelError::UnknownModel { .. })));
    let late = handle.detect(grey(64, 48), options);
    assert!(matches!(late, Err(ModelError::Stopping)), "{late:?}");
    // The name is free again.
    create(&again, &detector("mine", "model.onnx")).unwrap();
}

#[test]
fn folders_give_every_file_that_the_family_has() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    create(&service, &new("blip", Task::Captioner, "blip", path("tiny-blip"))).unwrap();
    create(&service, &new("blip2", Task::Captioner, "blip2", path("tiny-blip2"))).unwrap();
    let files = listing(&models.path().join("blip"));
    assert!(files.contains(&"generation_config.json".into()), "{files:?}");
    assert!(!files.contains(&"captions.json".into()), "{files:?}");
    for name in ["blip", "blip2"] {
        let captioner = service.captioner(name).unwrap();
        assert!(!captioner.caption(grey(40, 30), CaptionOptions::default()).unwrap().is_empty());
    }
    let mut sentences = new("sentences", Task::Embedder, "minilm", path("tiny-bpe"));
    sentences.options.max_tokens = Some(24);
    create(&service, &sentences).unwrap();
    let vectors = service.embedder("sentences").unwrap().embed(&["two people"]).unwrap();
    assert!((cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-6);
    let entry = service.registry().entry("sentences").unwrap().clone();
    assert_eq!((entry.max_tokens, entry.files.len()), (Some(24), 3));
    assert!(entry.has_half());
    let half = OpenOptions { half_precision: true, ..OpenOptions::default() };
    let halves = service.embedder_on("sentences", half).unwrap().embed(&["two people"]).unwrap();
    assert!(cosine(&vectors[0], &halves[0]) > 0.9999 && vectors != halves);
    let error = service.captioner_on("blip", half).err().unwrap();
    assert_eq!(error.to_string(), "model \"blip\" cannot take half_precision = true");
}

/// A server that answers the paths in `files` and 404 to all others, until it was asked `requests`
/// times.
fn serve(files: Vec<(&'static str, Vec<u8>)>, requests: usize) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = thread::Builder::new().name("test-http".into()).spawn(move || {
        for _ in 0..requests {
            let (stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream);
            let (mut first, mut line) = (String::new(), String::new());
            request.read_line(&mut first).unwrap();
            while request.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let asked = first.split(' ').nth(1).unwrap();
            let found = files.iter().find(|(path, _)| *path == asked);
            let head = match found {
                Some((_, body)) if body.starts_with(b"http") => {
                    format!("302 Found\r\nLocation: {}", String::from_utf8_lossy(body))
                }
                Some((_, body)) => format!("200 OK\r\nContent-Length: {}", body.len()),
                None => "404 Not Found\r\nContent-Length: 0".into(),
            };
            let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
            let stream = request.get_mut();
            stream.write_all(head.as_bytes()).unwrap();
            // Whoever refuses what comes may have hung up.
            let _ = found.map(|(_, body)| stream.write_all(body));
        }
    });
    (address, thread.unwrap())
}

fn fixture_bytes(file: &str) -> Vec<u8> {
    fs::read(fixtures().join(file)).unwrap()
}

#[test]
fn addresses_give_files_and_folders() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let (server, thread) = serve(
        vec![
            ("/d/mine.onnx", fixture_bytes("tiny-yolo/model.onnx")),
            ("/e/model.onnx", fixture_bytes("tiny-bpe/model.onnx")),
            ("/e/tokenizer.json", fixture_bytes("tiny-bpe/tokenizer.json")),
        ],
        // The detector; the embedder's files, and its float16 graph and weights beside them, which
        // are not there; one that is not there; and a file of another sha256.
        7,
    );
    let mut mine = detector("mine", "model.onnx");
    mine.from = ModelOrigin::Url(format!("{server}/d/mine.onnx"));
    create(&service, &mine).unwrap();
    assert!(service.detector("mine").is_ok());
    let from = ModelOrigin::Url(format!("{server}/e/"));
    let mut sentences = new("sentences", Task::Embedder, "minilm", from);
    sentences.options.max_tokens = Some(24);
    create(&service, &sentences).unwrap();

    let mut gone = detector("gone", "model.onnx");
    gone.from = ModelOrigin::Url(format!("{server}/d/other.onnx"));
    let error = create(&service, &gone).unwrap_err();
    assert_eq!(
        (error.sqlstate(), error.detail()),
        ("58030", Some("The server answered 404 Not Found."))
    );

    let mut wrong = detector("wrong", "model.onnx");
    wrong.from = ModelOrigin::Url(format!("{server}/d/mine.onnx"));
    wrong.options.sha256 = vec![(None, "0".repeat(64))];
    let error = create(&service, &wrong).unwrap_err();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error:?}");
    assert_eq!(error.sqlstate(), "XX001");
    thread.join().unwrap();
    assert_eq!(listing(models.path()), ["mine", "sentences"], "nothing else is left behind");
}

#[test]
fn places_that_are_not_allowed_give_nothing() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let forbidden = fixtures().canonicalize().unwrap();
    let places = || Places { forbidden: Some(forbidden.clone()), loopback: false };
    let error = create_in(&service, places(), &detector("mine", "model.onnx")).unwrap_err();
    assert_eq!(error.sqlstate(), "42501");

    // A link out of the allowed folder is followed before it is judged.
    let inside = tempfile::tempdir().unwrap();
    let link = inside.path().join("tokenizer.json");
    std::os::unix::fs::symlink(fixtures().join("tiny-bpe/tokenizer.json"), &link).unwrap();
    fs::copy(fixtures().join("tiny-bpe/model.onnx"), inside.path().join("model.onnx")).unwrap();
    let from = ModelOrigin::Path(inside.path().to_owned());
    let linked = new("linked", Task::Embedder, "minilm", from);
    let error = create_in(&service, places(), &linked).unwrap_err();
    assert_eq!(error.sqlstate(), "42501", "{error:?}");

    // An address, a name that leads to one, and a redirect to one.
    let mut far = detector("far", "model.onnx");
    far.from = ModelOrigin::Url("http://forbidden.example/model.onnx".into());
    assert_eq!(create_in(&service, places(), &far).unwrap_err().sqlstate(), "42501");
    far.from = ModelOrigin::Url("http://localhost:9/model.onnx".into());
    let error = create_in(&service, places(), &far).unwrap_err();
    assert_eq!(error.sqlstate(), "58030");
    assert!(error.detail().unwrap().contains("may not be asked"), "{error:?}");
    let elsewhere = b"http://forbidden.example/model.onnx".to_vec();
    let (server, thread) = serve(vec![("/model.onnx", elsewhere)], 1);
    far.from = ModelOrigin::Url(format!("{server}/model.onnx"));
    let error = create(&service, &far).unwrap_err();
    assert!(error.detail().unwrap().contains("may not be asked"), "{error:?}");
    thread.join().unwrap();
    assert!(listing(models.path()).is_empty());
}

#[test]
fn what_is_not_of_the_family_is_refused_with_what_was_expected_and_found() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let detail = |new: &NewModel, sqlstate: &str| {
        let error = create(&service, new).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{error:?}");
        error.detail().unwrap_or_default().to_owned()
    };
    let mut three = detector("m", "model.onnx");
    three.options.labels = Some("cat, dog, horse".into());
    let said = detail(&three, "XX001");
    assert!(said.contains("\"output0\" float32[?x7x?] was expected, found"), "{said}");
    let mut yolox = detector("m", "model.onnx");
    yolox.options.family = Some("yolox".into());
    let said = detail(&yolox, "XX001");
    assert!(said.contains("\"output\"") && said.contains("found \"output0\""), "{said}");
    let said = detail(&detector("m", "nan.onnx"), "58000");
    assert!(said.contains("is no number"), "{said}");
    let none = new("m", Task::Detector, "yolov8", path("tiny-yolo/model.onnx"));
    assert!(detail(&none, "22023").contains("A detector needs labels: a set (coco80"));
    let mut other = detector("m", "model.onnx");
    other.options.family = Some("blip".into());
    let said = detail(&other, "22023");
    assert!(
        said.contains("\"blip\" is of type captioner; the families of type detector"),
        "{said}"
    );
    let encoder = new("m", Task::Captioner, "blip", path("tiny-blip/vision_encoder.onnx"));
    assert_eq!(detail(&encoder, "58P01"), "FROM names one file.");
    let half = tempfile::tempdir().unwrap();
    for file in ["vision_encoder.onnx", "vocab.txt", "text_decoder_with_past.onnx"] {
        fs::copy(fixtures().join("tiny-blip").join(file), half.path().join(file)).unwrap();
    }
    let from = ModelOrigin::Path(half.path().to_owned());
    let said = detail(&new("m", Task::Captioner, "blip", from), "58P01");
    assert!(said.contains("cross_attention.onnx"), "{said}");
    // A file that is cut short.
    let cut = half.path().join("cut.onnx");
    let bytes = fixture_bytes("tiny-yolo/model.onnx");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut short = detector("m", "model.onnx");
    short.from = ModelOrigin::Path(cut);
    let error = create(&service, &short).unwrap_err();
    assert_eq!(error.to_string(), "model file \"model.onnx\" is not usable");
    for name in ["", "A", "../m", "none", "ground_truth", ".m", "a b", &"a".repeat(64)] {
        let error = create(&service, &detector(name, "model.onnx")).unwrap_err();
        assert!(matches!(error, ModelError::InvalidName { .. }), "{name}: {error:?}");
    }
    assert!(listing(models.path()).is_empty());
}

#[test]
fn sha256_of_a_folder_name_their_files() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let of = |file: &str| digest(&fixtures().join("tiny-bpe").join(file));
    let with = |sha256: Vec<(Option<String>, String)>| {
        let mut new = new("m", Task::Embedder, "minilm", path("tiny-bpe"));
        new.options.sha256 = sha256;
        new.options.max_tokens = Some(24);
        create(&service, &new)
    };
    let error = with(vec![(None, of("model.onnx"))]).unwrap_err();
    assert_eq!(error.sqlstate(), "22023", "{error:?}");
    let error = with(vec![(Some("other.onnx".into()), of("model.onnx"))]).unwrap_err();
    assert_eq!(error.sqlstate(), "22023", "{error:?}");
    let error = with(vec![(Some("tokenizer.json".into()), of("model.onnx"))]).unwrap_err();
    assert_eq!(error.sqlstate(), "XX001", "{error:?}");
    let both = ["model.onnx", "tokenizer.json"].map(|file| (Some(file.into()), of(file)));
    with(both.to_vec()).unwrap();
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let refused = |new: &NewModel| {
        let error = create(&service, new).unwrap_err();
        assert_eq!(error.sqlstate(), "22023", "{error:?}");
        error.detail().unwrap_or_default().to_owned()
    };
    for (task, family, from) in [
        (Task::Captioner, "blip", "tiny-blip"),
        (Task::Embedder, "minilm", "tiny-bpe"),
        (Task::Reranker, "cross-encoder", "tiny-reranker"),
        (Task::Linker, "aflink", "tiny-aflink/model.onnx"),
    ] {
        let mut labelled = new("m", task, family, path(from));
        labelled.options.labels = Some("cat".into());
        assert_eq!(refused(&labelled), format!("A model of type {task} has no labels."));
        let mut sized = new("m", task, family, path(from));
        sized.options.input = Some((64, 64));
        let said = refused(&sized);
        assert!(said.contains("has no input"), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [("model.onnx", "model.onnx"), ("batch2.onnx", "pairs.onnx")] {
        fs::copy(fixtures().join("tiny-yolo").join(from), folder.path().join(to)).unwrap();
    }
    let mut several = detector("m", "model.onnx");
    several.from = ModelOrigin::Path(folder.path().to_owned());
    several.options.input = Some((64, 64));
    let said = refused(&several);
    assert!(said.contains("several graphs"), "{said}");
    assert!(listing(models.path()).is_empty());
}

/// The graph has 64 positions, its family's limit is 256 tokens.
#[test]
fn an_embedder_that_fails_at_long_texts_is_refused() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    let mut sentences = new("m", Task::Embedder, "minilm", path("tiny-bpe"));
    for limit in [None, Some(9999)] {
        sentences.options.max_tokens = limit;
        let error = create(&service, &sentences).unwrap_err();
        assert_eq!(error.sqlstate(), "22023", "{error:?}");
        assert!(error.detail().unwrap().contains("max_tokens"), "{error:?}");
    }
    assert!(listing(models.path()).is_empty());
    sentences.options.max_tokens = Some(64);
    create(&service, &sentences).unwrap();
}

#[test]
fn names_are_taken_once_and_models_of_the_manifest_stay() {
    let models = tempfile::tempdir().unwrap();
    let service = self::service(models.path(), 1);
    create(&service, &detector("mine", "model.onnx")).unwrap();
    for name in ["mine", "yolov8n"] {
        let error = create(&service, &detector(name, "model.onnx")).unwrap_err();
        assert_eq!((error.sqlstate(), error.hint().is_some()), ("42710", true));
    }
    let error = service.drop_model("yolov8n").unwrap_err();
    assert_eq!((error.sqlstate(), error.hint().is_some()), ("42809", true));
    assert_eq!(service.drop_model("other").unwrap_err().sqlstate(), "42704");
    // A folder that is in the way, such as one that was put there by hand.
    fs::create_dir(models.path().join("theirs")).unwrap();
    let error = create(&service, &detector("theirs", "model.onnx")).unwrap_err();
    assert_eq!(error.sqlstate(), "42710");
}

#[test]
fn a_damaged_record_of_a_model_is_told_with_its_path() {
    let models = tempfile::tempdir().unwrap();
    create(&self::service(models.path(), 1), &detector("mine", "model.onnx")).unwrap();
    let record = models.path().join("mine/model.toml");
    fs::rename(models.path().join("mine"), models.path().join("other")).unwrap();
    let error = vigil_models::Registry::open(models.path()).unwrap_err();
    assert!(error.detail().unwrap().contains("is not of model \"other\""), "{error:?}");
    fs::rename(models.path().join("other"), models.path().join("mine")).unwrap();
    fs::write(&record, "[[model]]\nname = 1\n").unwrap();
    let error = vigil_models::Registry::open(models.path()).unwrap_err();
    assert!(error.detail().unwrap().starts_with(&record.display().to_string()), "{error:?}");
}
