//! What is said of a frame is the same whatever else runs, and whatever ran before.

use anyhow::{Result, ensure};

use crate::server::vigil;

#[test]
fn captions_do_not_depend_on_what_else_is_captioned() -> Result<()> {
    let Some(video) = vigil_test_data::file("data/video/bikes.mp4") else { return Ok(()) };
    let Some(_) = vigil_test_data::model("caption-standin") else { return Ok(()) };
    let create = |name: &str, interval: &str| {
        format!(
            "CREATE SOURCE {name} FROM '{}' WITH (detector = 'none', embedder = 'none', fps = 10, \
             num_beams = 1, keyframe_interval = '{interval}');",
            video.display()
        )
    };
    // Two at once that share the captioner, and a third one after them.
    let script = [
        create("other", "300 ms"),
        create("first", "200 ms"),
        "WAIT FOR SOURCE other; WAIT FOR SOURCE first;".to_owned(),
        create("second", "200 ms"),
        "WAIT FOR SOURCE second;".to_owned(),
        "SELECT source, frame_number, scene FROM captions ORDER BY source, frame_number".to_owned(),
    ]
    .concat();
    let home = tempfile::tempdir()?;
    let output = vigil(home.path())
        .args(["sql", "--format", "csv", "--models"])
        .arg(vigil_test_data::models())
        .arg(&script)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let of = |source: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(source)?.strip_prefix(',')).collect()
    };
    ensure!(of("first").len() >= 40, "{text}");
    assert_eq!(of("first"), of("second"));
    Ok(())
}
