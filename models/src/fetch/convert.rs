//! A conversion: one of the crate's own Python scripts makes the file from one of a package.
//!
//! Each script takes `--input FILE --output FILE --cache FOLDER`, makes its own environment with
//! pinned versions below the cache folder, checks the inputs and outputs of what it made, and
//! exits non-zero with a last line that says what went wrong. What it makes need not have the
//! same bytes on every machine; therefore its original is what the manifest has the sha256 of.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Job, process};
use crate::manifest::PypiFile;
use crate::registry::sha256_of;

/// The scripts of `models/export/` that a manifest may name, with their text: the binary needs no
/// checkout beside it.
const SCRIPTS: &[(&str, &str)] = &[
    ("ssd_mobilenet.py", include_str!("../../export/ssd_mobilenet.py")),
    ("minilm.py", include_str!("../../export/minilm.py")),
    ("blip.py", include_str!("../../export/blip.py")),
    ("blip2.py", include_str!("../../export/blip2.py")),
    ("sentences.py", include_str!("../../export/sentences.py")),
    ("cross_encoder.py", include_str!("../../export/cross_encoder.py")),
    ("yolov8.py", include_str!("../../export/yolov8.py")),
    ("detr.py", include_str!("../../export/detr.py")),
];

/// What scripts import, written beside each.
const COMMON: (&str, &str) = ("environment.py", include_str!("../../export/environment.py"));

/// The text of a script.
pub(crate) fn script(name: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Writes a script and what it imports into a folder; gives the script's path.
pub(super) fn write_script(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let text = script(name).ok_or_else(|| format!("there is no script {name}"))?;
    for (name, text) in [(name, text), COMMON] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(folder.join(name))
}

/// Makes the job's file from `origin`, whose sha256 must be `origin_sha256`.
pub(super) fn fetch(
    job: &mut Job<'_, '_>,
    name: &str,
    origin: &PypiFile,
    origin_sha256: &str,
) -> Result<u64, String> {
    let original = job.packages.path(origin, job.options, job.listener)?;
    let found = sha256_of(&original).map_err(|error| format!("{}: {error}", origin.path))?;
    if found != origin_sha256 {
        let path = &origin.path;
        return Err(format!("the sha256 of {path} is {found}, the manifest says {origin_sha256}"));
    }
    let folder = tempfile::Builder::new()
        .prefix("vigil-convert-")
        .tempdir()
        .map_err(|error| format!("no temporary folder: {error}"))?;
    let script = write_script(folder.path(), name)?;
    let part = job.part()?;
    let mut python = Command::new(&job.options.python);
    python.arg(&script).arg("--input").arg(&original).arg("--output").arg(part.part_path());
    python.arg("--cache").arg(&job.options.cache);
    process::run(python, job.listener)?;
    part.finish(job.file)
}
