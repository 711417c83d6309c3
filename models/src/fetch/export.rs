//! An export: one of the crate's own Python scripts makes all files of a model from a checkpoint of
//! Hugging Face transformers, which it loads from the hub.
//!
//! Each script takes `--checkpoint NAME --output FOLDER --precision NAME --cache FOLDER`, makes its
//! own environment with pinned versions below the cache folder where Python lacks the libraries,
//! compares what it made with torch, and exits non-zero with a last line that says what went wrong.
//! It runs once for a model, with the first file that is missing; the others are taken from the same
//! folder until the pull ends.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::convert::write_script;
use super::{Job, Listener, PullOptions, process, shown};

/// What an export needs to know.
#[derive(Clone, Copy)]
pub(super) struct Export<'a> {
    /// The script's name below `models/export/`.
    pub(super) script: &'a str,
    /// The checkpoint's name on the hub.
    pub(super) checkpoint: &'a str,
    /// The weights' precision.
    pub(super) precision: &'a str,
}

/// The folder of the model that this pull has exported last, by the model's name.
#[derive(Default)]
pub(super) struct Exports {
    last: Option<(String, Result<tempfile::TempDir, String>)>,
}

impl Exports {
    /// Whether this model is the one that was exported last.
    pub(super) fn has_run_for(&self, model: &str) -> bool {
        self.last.as_ref().is_some_and(|(name, _)| name == model)
    }

    fn folder(
        &mut self,
        model: &str,
        export: Export<'_>,
        options: &PullOptions,
        listener: &mut Listener<'_>,
    ) -> Result<PathBuf, String> {
        if self.last.as_ref().is_none_or(|(name, _)| name != model) {
            self.last = Some((model.to_owned(), run(export, options, listener)));
        }
        match &self.last {
            Some((_, Ok(folder))) => Ok(folder.path().join("model")),
            Some((_, Err(reason))) => Err(reason.clone()),
            None => Err("nothing was exported".into()),
        }
    }
}

/// Runs the script; the files lie in the folder `model` of the result.
fn run(
    export: Export<'_>,
    options: &PullOptions,
    listener: &mut Listener<'_>,
) -> Result<tempfile::TempDir, String> {
    let Export { script, checkpoint, precision } = export;
    is_python(&options.python).map_err(|reason| {
        format!(
            "{reason}; install Python 3.10 to 3.12 with venv and pull again, or run \
             \"python {script} --checkpoint {checkpoint} --precision {precision} --output FOLDER\" \
             of models/export on another machine and name the folder above FOLDER in VIGIL_MODEL_MIRROR"
        )
    })?;
    let folder = tempfile::Builder::new()
        .prefix("vigil-export-")
        .tempdir()
        .map_err(|error| format!("no temporary folder: {error}"))?;
    let path = write_script(folder.path(), script)?;
    let mut python = Command::new(&options.python);
    python.arg(&path).args(["--checkpoint", checkpoint, "--precision", precision]);
    python.arg("--output").arg(folder.path().join("model"));
    python.arg("--cache").arg(&options.cache);
    process::run(python, listener)?;
    Ok(folder)
}

/// Says why a program is no Python that can be run.
fn is_python(python: &Path) -> Result<(), String> {
    let status = Command::new(python)
        .args(["-c", "import venv"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{} has no module venv", shown(python))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("there is no Python ({})", shown(python)))
        }
        Err(error) => Err(format!("{} could not be run: {error}", shown(python))),
    }
}

/// Takes the job's file from what the script made.
pub(super) fn fetch(job: &mut Job<'_, '_>, export: Export<'_>) -> Result<u64, String> {
    let folder = job.exports.folder(&job.entry.name, export, job.options, job.listener)?;
    let path = folder.join(&job.file.name);
    let mut made = File::open(&path).map_err(|error| format!("{}: {error}", shown(&path)))?;
    let total = made.metadata().ok().map(|found| found.len());
    let mut part = job.part()?;
    part.copy(&mut made, job.file, total, job.listener)?;
    part.finish(job.file)
}
