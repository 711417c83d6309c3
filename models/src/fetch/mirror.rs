//! The mirror folder: `<mirror>/<model>/<file>`, copied.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use super::{Job, recorded_digest, shown};
use crate::registry::sha256_of;

/// Copies the job's file from the mirror at `folder`.
pub(super) fn fetch(job: &mut Job<'_, '_>, folder: &Path) -> Result<u64, String> {
    if !folder.is_dir() {
        return Err(format!("there is no folder {}", shown(folder)));
    }
    let path = folder.join(&job.entry.name).join(&job.file.name);
    let mut original = File::open(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no file {}", shown(&path)),
        _ => format!("{}: {error}", shown(&path)),
    })?;
    let total = original.metadata().ok().map(|found| found.len());
    let mut part = job.part()?;
    part.copy(&mut original, job.file, total, job.listener)?;
    // What somebody's script made has its sha256 beside it, where they have kept that.
    if let (None, Some(recorded)) = (&job.file.sha256, recorded_digest(&path)) {
        let found = sha256_of(part.part_path())
            .map_err(|error| format!("{}: {error}", shown(part.part_path())))?;
        if found != recorded {
            return Err(format!("its sha256 is {found}, the record beside it says {recorded}"));
        }
    }
    part.finish(job.file)
}
