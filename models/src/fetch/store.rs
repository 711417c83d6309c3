//! Putting a file into its place: bytes go in, a verified, synced and renamed file comes out.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Event, Listener, shown};
use crate::manifest::ModelFile;
use crate::registry::sha256_of;

/// How many bytes are read at once; progress is told after each.
const CHUNK: usize = 1 << 18;

/// Holds the folder of the model `name` in `models_dir` against other pulls until the result is
/// dropped, and removes what an interrupted pull left in it.
pub(super) fn lock(
    models_dir: &Path,
    name: &str,
    listener: &mut Listener<'_>,
) -> Result<File, String> {
    let path = models_dir.join(format!(".{name}.lock"));
    let failed = |error: io::Error| format!("{}: {error}.", shown(&path));
    fs::create_dir_all(models_dir).map_err(failed)?;
    let lock = File::create(&path).map_err(failed)?;
    if lock.try_lock().is_err() {
        listener(Event::Waiting);
        lock.lock().map_err(failed)?;
    }
    let folder = fs::read_dir(models_dir.join(name)).into_iter().flatten().flatten();
    let paths = folder.map(|item| item.path());
    for part in paths.filter(|path| path.extension().is_some_and(|kind| kind == "part")) {
        // A part that cannot be removed is overwritten or complained about when its turn comes.
        let _ = fs::remove_file(part);
    }
    Ok(lock)
}

/// A file on its way: it is `<path>.part` until [`Part::finish`], and is removed when dropped
/// before.
pub(super) struct Part {
    path: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl Part {
    /// A part for the file at `path`, whose folder is made when it is not there.
    pub(super) fn create(path: PathBuf) -> Result<Self, String> {
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::create(&part))
            .map_err(|error| format!("{}: {error}", shown(&part)))?;
        Ok(Self { path, part, finished: false })
    }

    /// Where a tool may write the bytes itself.
    pub(super) fn part_path(&self) -> &Path {
        &self.part
    }

    /// Copies everything from `reader`, and says after each piece how many bytes there are. Stops
    /// early when there are more than `file` has, as the rest cannot make it right.
    pub(super) fn copy(
        &mut self,
        reader: &mut dyn Read,
        file: &ModelFile,
        total: Option<u64>,
        listener: &mut Listener<'_>,
    ) -> Result<(), String> {
        let mut out =
            File::create(&self.part).map_err(|error| format!("{}: {error}", shown(&self.part)))?;
        let mut buffer = vec![0; CHUNK];
        let mut bytes = 0;
        loop {
            let read = reader
                .read(&mut buffer)
                .map_err(|error| format!("it broke off after {bytes} bytes: {}", chain(&error)))?;
            if read == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..read])
                .map_err(|error| format!("{}: {error}", shown(&self.part)))?;
            bytes += read as u64;
            if let Some(expected) = file.bytes.filter(|expected| bytes > *expected) {
                return Err(format!("it has more than the {expected} bytes of the manifest"));
            }
            listener(Event::Progress { file: &file.name, bytes, total });
        }
    }

    /// Compares what was written with the manifest, syncs it and gives it its name. A file whose
    /// sha256 the manifest does not know has it recorded beside it, for [`recorded_digest`].
    /// Gives the size in bytes.
    pub(super) fn finish(mut self, file: &ModelFile) -> Result<u64, String> {
        let io_error = |error: io::Error| format!("{}: {error}", shown(&self.part));
        let bytes = fs::metadata(&self.part).map_err(io_error)?.len();
        if let Some(expected) = file.bytes.filter(|expected| *expected != bytes) {
            return Err(format!("it has {bytes} bytes, the manifest says {expected}"));
        }
        let found = sha256_of(&self.part).map_err(io_error)?;
        match &file.sha256 {
            Some(expected) if *expected != found => {
                return Err(format!("its sha256 is {found}, the manifest says {expected}"));
            }
            Some(_) => {}
            None => fs::write(record_path(&self.path), format!("{found}  {}\n", file.name))
                .map_err(io_error)?,
        }
        File::open(&self.part).and_then(|part| part.sync_all()).map_err(io_error)?;
        fs::rename(&self.part, &self.path).map_err(io_error)?;
        self.finished = true;
        // The rename itself survives a loss of power only once the folder is synced.
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error)?;
        }
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // The next pull removes it, should it not go away now.
            let _ = fs::remove_file(&self.part);
            // This removes only a folder with nothing in it, so a model that could not be had
            // does not look as if it were here.
            let _ = self.path.parent().map(fs::remove_dir);
        }
    }
}

/// The sha256 that a file made on this machine had when it was made, if it was recorded.
pub(crate) fn recorded_digest(path: &Path) -> Option<String> {
    let line = fs::read_to_string(record_path(path)).ok()?;
    line.split_whitespace().next().map(str::to_owned)
}

fn record_path(path: &Path) -> PathBuf {
    let mut record = path.to_owned().into_os_string();
    record.push(".sha256");
    record.into()
}

/// The sha256 of bytes in memory or a digest's bytes, as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An error with everything that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Wrappers often repeat what they wrap.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// What lies at the bottom of an error, in one line.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(error) = deepest.source() {
        deepest = error;
    }
    deepest.to_string().replace('\n', " ")
}
