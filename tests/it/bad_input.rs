//! Bad input of any kind: each is an error with a SQLSTATE and a hint where there is something to
//! do; the server stays up, the binary exits with a status that is not zero.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::server::{Server, vigil};

/// Runs the binary, which must fail, and gives what it said.
fn failing(home: &Path, arguments: &[&str]) -> Result<String> {
    let output = vigil(home).args(arguments).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(
        output.status.code().is_some_and(|code| code != 0),
        "{arguments:?} did not fail: {said}"
    );
    Ok(said)
}

/// Checks that an error has a SQLSTATE and says something.
#[track_caller]
fn expect(said: &str, sqlstate: &str, words: &[&str]) {
    assert!(said.contains(sqlstate), "no {sqlstate} in: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn files_that_are_no_videos() -> Result<()> {
    let mut server = Server::start()?;
    let home = server.home.path().to_owned();
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = home.join(name);
        fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let create = |path: &str| {
        format!(
            "CREATE SOURCE bad FROM '{path}' WITH (detector = 'none', captioner = 'none', embedder = 'none')"
        )
    };

    let missing = home.join("missing.mp4").display().to_string();
    expect(&server.error(&create(&missing))?, "58P01", &["missing.mp4"]);
    expect(&server.error(&create(&home.display().to_string()))?, "42809", &["directory"]);
    let text = file("text.mp4", b"this is no video\n")?;
    expect(&server.error(&create(&text))?, "22P03", &["text.mp4"]);
    let empty = file("empty.mp4", b"")?;
    expect(&server.error(&create(&empty))?, "22P03", &["empty"]);
    expect(&server.error(&create("rtsp://127.0.0.1/stream"))?, "0A000", &["rtsp"]);
    expect(&server.error(&create("file://"))?, "ERROR:", &[]);

    if let Some(video) = vigil_test_data::file("data/video/bikes.mp4") {
        // An MP4 without its end has no index; nothing of it can be read.
        let bytes = fs::read(&video)?;
        let half = file("half.mp4", &bytes[..bytes.len() / 2])?;
        let said =
            server.error(&format!("{}; WAIT FOR SOURCE bad TIMEOUT '1 minute'", create(&half)))?;
        expect(&said, "22P03", &["half.mp4"]);
    }
    if let Some(video) = vigil_test_data::file("data/video/vtest.avi") {
        // An AVI without its end has its first frames; what is missing is a row of source_errors.
        let bytes = fs::read(&video)?;
        let half = file("half.avi", &bytes[..bytes.len() / 2])?;
        server.values(&format!("{}; WAIT FOR SOURCE bad TIMEOUT '2 minutes'", create(&half)))?;
        let frames: i64 = server.values("SELECT count(*) FROM frames")?.parse()?;
        assert!((300..500).contains(&frames), "{frames} frames in half of 795");
        server.values("DROP SOURCE bad")?;
    }
    assert_eq!(server.values("SELECT count(*) FROM vigil_catalog.sources")?, "0");
    assert!(server.is_up()?);
    Ok(())
}

#[test]
fn a_broken_packet_is_a_row_and_decoding_goes_on() -> Result<()> {
    let Some(video) = vigil_test_data::file("data/video/bangkok-traffic.mp4") else {
        return Ok(());
    };
    let server = Server::start()?;
    let mut bytes = fs::read(video)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xA5);
    let path = server.home.path().join("broken.mp4");
    fs::write(&path, bytes)?;
    server.values(&format!(
        "CREATE SOURCE broken FROM '{}' WITH (detector = 'none', captioner = 'none', embedder = 'none');
         WAIT FOR SOURCE broken TIMEOUT '2 minutes'",
        path.display()
    ))?;
    let errors: i64 = server
        .values("SELECT count(*) FROM vigil_catalog.source_errors WHERE source = 'broken' AND stage = 'decode'")?
        .parse()?;
    let last: i64 = server.values("SELECT max(frame_number) FROM frames")?.parse()?;
    assert!(errors > 0, "nothing was told of 20,000 broken bytes");
    assert!(last > 400, "decoding stopped at frame {last} of 462");
    Ok(())
}

#[test]
fn options_and_names_that_are_wrong() -> Result<()> {
    let mut server = Server::start()?;
    let create = |options: &str| {
        format!(
            "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 5) WITH (captioner = 'none', embedder = 'none', {options})"
        )
    };
    expect(&server.error(&create("tracker = 'magic'"))?, "22023", &["tracker", "HINT:"]);
    expect(&server.error(&create("fps = -1"))?, "22023", &["fps", "HINT:"]);
    expect(&server.error(&create("trakcer = 'iou'"))?, "22023", &["Perhaps you meant \"tracker\""]);
    expect(
        &server.error(&create("detector = 'yolo8n'"))?,
        "42704",
        &["Perhaps you meant \"yolov8n\""],
    );
    server.values(&create("tracker = 'iou'"))?;
    expect(&server.error(&create("tracker = 'iou'"))?, "42710", &["already exists", "HINT:"]);
    expect(&server.error("SELEC 1")?, "42601", &["LINE 1"]);
    expect(&server.error("SELECT * FROM nowhere")?, "42P01", &["nowhere"]);
    assert!(server.is_up()?);
    Ok(())
}

#[test]
fn models_that_are_none() -> Result<()> {
    let home = tempfile::tempdir()?;
    let models = home.path().join("models");
    let sql = |detector: &str| {
        format!(
            "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 5) WITH (detector = '{detector}', captioner = 'none', embedder = 'none')"
        )
    };
    let run = |detector: &str| {
        let models = models.display().to_string();
        failing(home.path(), &["sql", "--models", &models, &sql(detector)])
    };
    fs::create_dir_all(models.join("text"))?;
    fs::write(models.join("text/model.onnx"), "this is no graph\n")?;
    let mut manifest = entry("text", "this is no graph\n".len());
    if let Some(embedder) = vigil_test_data::file("models/osnet-x0.25/model.onnx") {
        fs::create_dir_all(models.join("other"))?;
        let bytes = fs::copy(embedder, models.join("other/model.onnx"))?;
        manifest.push_str(&entry("other", usize::try_from(bytes)?));
    }
    fs::write(models.join("manifest.toml"), manifest)?;

    expect(&run("yolov8n")?, "58P01", &["vigil models pull yolov8n"]);
    expect(&run("text")?, "XX001", &["text"]);
    if models.join("other").exists() {
        // It has another output than a detector of this family.
        expect(&run("other")?, "XX001", &["output0", "found"]);
    }
    Ok(())
}

/// A detector of the family `yolov8` without a sum, so that only its graph can tell what it is.
fn entry(name: &str, bytes: usize) -> String {
    format!(
        r#"
[[model]]
name = "{name}"
version = "1"
task = "detector"
family = "yolov8"
description = "A test's model."
licence = "Apache-2.0"
input = [640, 640]
labels = "coco80"

[[model.file]]
name = "model.onnx"
bytes = {bytes}
"#
    )
}

#[test]
fn a_server_that_cannot_start() -> Result<()> {
    let home = tempfile::tempdir()?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let said = failing(home.path(), &["serve", "--listen", &address, "--data", "data"])?;
    expect(&said, "address already in use", &[&address, "HINT:"]);

    // /sys is a folder in which nobody may make one, not even root.
    let said = failing(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", "/sys/vigil"])?;
    expect(&said, "42501", &["/sys/vigil", "permission denied", "HINT:"]);
    let file = home.path().join("file");
    fs::write(&file, "")?;
    let inside = file.join("data").display().to_string();
    let said = failing(home.path(), &["serve", "--listen", "127.0.0.1:0", "--data", &inside])?;
    expect(&said, "58030", &["not a directory"]);
    let said = failing(home.path(), &["serve", "--data", "gopher://nowhere/at/all"])?;
    expect(&said, "22023", &["gopher"]);
    Ok(())
}

/// Key frames that are kept belong to who keeps them: neither another process nor a statement that
/// fails takes them away.
#[test]
fn kept_pictures_stay_where_nothing_comes_in_their_place() -> Result<()> {
    let home = tempfile::tempdir()?;
    let script = "CREATE SOURCE boxes FROM LOAD GENERATOR MOVING_BOXES (frames = 3) \
         WITH (captioner = 'none', embedder = 'none'); WAIT FOR SOURCE boxes";
    let made = vigil(home.path()).args(["sql", "--data", "kept", script]).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kept = home.path().join("kept/keyframes/boxes/000000000.jpg");
    assert!(kept.is_file());
    let wrong = "CREATE SOURCE boxes FROM 'nowhere.mp4'";
    expect(&failing(home.path(), &["sql", "--data", "kept", wrong])?, "58P01", &["nowhere.mp4"]);
    assert!(kept.is_file(), "a statement that fails removes nothing");

    let server = Server::start()?;
    let data = server.home.path().join("data").display().to_string();
    let said = failing(home.path(), &["sql", "--data", &data, "SELECT 1"])?;
    expect(&said, "55006", &["is in use", "HINT"]);
    // What a server has is no matter of this process's environment.
    let asked = vigil(home.path())
        .args(["sql", "--url", &server.url(), "SELECT 41 + 1"])
        .envs([("VIGIL_DATA", "elsewhere"), ("VIGIL_MODELS", "nowhere")])
        .output()?;
    assert!(String::from_utf8_lossy(&asked.stdout).contains("42"), "{asked:?}");
    Ok(())
}

#[test]
fn a_script_stops_at_its_first_error_unless_told_otherwise() -> Result<()> {
    let home = tempfile::tempdir()?;
    let script = home.path().join("script.sql");
    fs::write(&script, "SELECT 1 AS one;\nSELECT * FROM nowhere;\nSELECT 2 AS two;\n")?;
    let script = script.display().to_string();
    let stops = vigil(home.path()).args(["run", &script, "--format", "csv"]).output()?;
    assert!(!stops.status.success());
    assert_eq!(String::from_utf8(stops.stdout)?.trim(), "one\n1");
    expect(&String::from_utf8(stops.stderr)?, "42P01", &["nowhere"]);
    let goes_on =
        vigil(home.path()).args(["run", &script, "--format", "csv", "--keep-going"]).output()?;
    let answers = String::from_utf8(goes_on.stdout)?;
    assert!(answers.contains("one\n1") && answers.contains("two\n2"), "{answers}");

    let said = failing(home.path(), &["run", "nowhere.sql"])?;
    expect(&said, "nowhere.sql", &[]);
    let code = vigil(home.path()).args(["run", "--format", "xml", &script]).output()?.status.code();
    assert_eq!(code.context("killed")?, 2);
    Ok(())
}
