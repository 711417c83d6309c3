//! The models of this machine: a models folder goes in; entries, file paths and verdicts come out.
//!
//! A model's files lie in `<models folder>/<name>/<file>`. The folder need not exist: then every
//! model is missing. Nothing is fetched here; that is [`crate::fetch`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::{self, ModelEntry, ModelFile, Precision, Task};
use crate::{ModelError, fetch};

/// The manifest that comes with the crate.
const BUILT_IN: &str = include_str!("../manifest.toml");

/// The file in the models folder that adds to the built-in manifest.
const ADDITIONS: &str = "manifest.toml";

/// The file in the folder of a model that a user registered: a manifest of that model.
pub(crate) const OWN_MANIFEST: &str = "model.toml";

/// The known models and the folder in which their files lie.
#[derive(Clone, Debug)]
pub struct Registry {
    models_dir: PathBuf,
    entries: Vec<ModelEntry>,
}

/// Whether a model's files are on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// Every file is there, and has the manifest's size where it gives one.
    Present,
    /// A file is missing or has another size.
    Missing,
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Present => "present",
            Self::Missing => "missing",
        })
    }
}

/// What [`Registry::verify`] found about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file's name in the manifest.
    pub file: String,
    /// Where it was looked for.
    pub path: PathBuf,
    /// What was found.
    pub verdict: Verdict,
}

/// A verdict on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes have the manifest's sha256, or the one recorded when they were made here.
    Verified,
    /// The file is there; neither the manifest nor a record has a sha256 for it.
    Unchecked,
    /// There is no such file.
    Missing,
    /// There is no such file, and the model does without it.
    NotNeeded,
    /// The bytes are others than those.
    Different {
        /// The sha256 of what is there.
        found: String,
    },
    /// The file could not be read.
    Unreadable {
        /// What the system said.
        reason: String,
    },
}

impl Verdict {
    /// Whether the file can be used.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Verified | Self::Unchecked | Self::NotNeeded)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => f.write_str("verified"),
            Self::Unchecked => f.write_str("present, no sha256 to compare"),
            Self::Missing => f.write_str("missing"),
            Self::NotNeeded => f.write_str("not there, and not needed"),
            Self::Different { found } => write!(f, "different: its sha256 is {found}"),
            Self::Unreadable { reason } => write!(f, "unreadable: {reason}"),
        }
    }
}

impl Registry {
    /// The built-in manifest together with `models_dir/manifest.toml`, where that file exists: its
    /// entries replace built-in ones of the same name. Then the models that users registered, each
    /// with a `model.toml` in its own folder.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] when one of these files cannot be read or is not valid.
    pub fn open(models_dir: &Path) -> Result<Self, ModelError> {
        let mut entries = manifest::parse("the built-in manifest", BUILT_IN)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut registry = Self::of(models_dir, entries);
        for entry in read(&models_dir.join(ADDITIONS))?.unwrap_or_default() {
            registry = registry.with(entry);
        }
        for folder in folders(models_dir) {
            let path = models_dir.join(&folder).join(OWN_MANIFEST);
            match read(&path)?.as_deref() {
                None => {}
                Some([entry]) if entry.name == folder => registry = registry.with(entry.clone()),
                Some(_) => {
                    let detail = format!("{}: it is not of model \"{folder}\"", path.display());
                    return Err(ModelError::Manifest { detail });
                }
            }
        }
        Ok(registry)
    }

    /// A registry with these entries alone.
    pub(crate) fn of(models_dir: &Path, entries: Vec<ModelEntry>) -> Self {
        Self { models_dir: models_dir.to_owned(), entries }
    }

    /// The same with one entry more, which replaces another one of its name.
    pub(crate) fn with(&self, entry: ModelEntry) -> Self {
        let mut registry = self.without(&entry.name);
        registry.entries.push(entry);
        registry.entries.sort_by(|a, b| a.name.cmp(&b.name));
        registry
    }

    /// The same without the entry of that name.
    pub(crate) fn without(&self, name: &str) -> Self {
        let entries = self.entries.iter().filter(|entry| entry.name != name).cloned().collect();
        Self { models_dir: self.models_dir.clone(), entries }
    }

    /// The folder in which the models' folders lie.
    pub fn models_dir(&self) -> &Path {
        &self.models_dir
    }

    /// All models, by name.
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// The models of a task, by name.
    pub fn entries_for(&self, task: Task) -> impl Iterator<Item = &ModelEntry> {
        self.entries.iter().filter(move |entry| entry.task == task)
    }

    /// The model of a name (`yolov8n`) or a name with version (`yolov8n:1`).
    ///
    /// # Errors
    /// [`ModelError::UnknownModel`] with the nearest name, when one is near.
    pub fn entry(&self, name: &str) -> Result<&ModelEntry, ModelError> {
        let (bare, version) = match name.split_once(':') {
            Some((bare, version)) => (bare, Some(version)),
            None => (name, None),
        };
        match self.entries.iter().find(|entry| entry.name == bare) {
            Some(entry) if version.is_none_or(|version| version == entry.version) => Ok(entry),
            // The name is right and the version is not: the version there is comes nearest.
            Some(entry) => {
                Err(ModelError::UnknownModel { name: name.into(), nearest: Some(entry.id()) })
            }
            None => {
                Err(ModelError::UnknownModel { name: name.into(), nearest: self.nearest(bare) })
            }
        }
    }

    /// The path of a model's file, which exists.
    ///
    /// # Errors
    /// [`ModelError::MissingFiles`] when it is not there, or is no file of that model.
    pub fn file(&self, entry: &ModelEntry, file: &str) -> Result<PathBuf, ModelError> {
        let missing = |detail| ModelError::MissingFiles { name: entry.name.clone(), detail };
        if entry.files.iter().all(|known| known.name != file) {
            return Err(missing(format!("The manifest lists no file \"{file}\" for it.")));
        }
        let path = self.path(entry, file);
        if path.is_file() {
            Ok(path)
        } else {
            Err(missing(format!("There is no file {}.", path.display())))
        }
    }

    /// The path of the graph `name` of a model, in float16 if `half`: then the file that lies beside
    /// it as `<stem>_fp16.onnx`, or the graph itself where the manifest says that it is float16.
    /// Inputs and outputs are float32 either way, as `models/export/` and others write them.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] when it has no float16 form, else as [`Registry::file`].
    pub(crate) fn graph(
        &self,
        entry: &ModelEntry,
        name: &str,
        half: bool,
    ) -> Result<PathBuf, ModelError> {
        if !half {
            return self.file(entry, name);
        }
        let beside = half_name(name);
        let is_half = |file: &&ModelFile| file.precision == Precision::Half;
        let mut halves = entry.files.iter().filter(is_half);
        match halves.find(|file| file.name == beside || file.name == name) {
            Some(file) => self.file(entry, &file.name),
            None => Err(no_half(entry)),
        }
    }

    /// Where a model's file belongs, whether it is there or not.
    pub fn path(&self, entry: &ModelEntry, file: &str) -> PathBuf {
        self.models_dir.join(&entry.name).join(file)
    }

    /// Whether all files of a model are there; looks at sizes, reads nothing.
    pub fn state(&self, entry: &ModelEntry) -> ModelState {
        let there = |file: &ModelFile| {
            file.optional
                || std::fs::metadata(self.path(entry, &file.name)).is_ok_and(|found| {
                    found.is_file() && file.bytes.is_none_or(|bytes| bytes == found.len())
                })
        };
        if entry.files.iter().all(there) { ModelState::Present } else { ModelState::Missing }
    }

    /// The size of a model in bytes: what the manifest says of its files, and for a file that is
    /// made on this machine what is there.
    pub fn size_bytes(&self, entry: &ModelEntry) -> u64 {
        let on_disk = |file: &ModelFile| std::fs::metadata(self.path(entry, &file.name));
        let size = |file: &ModelFile| {
            file.bytes.unwrap_or_else(|| on_disk(file).map_or(0, |found| found.len()))
        };
        entry.files.iter().map(size).sum()
    }

    /// Reads every file of a model and compares it with the manifest, in the manifest's order.
    pub fn verify(&self, entry: &ModelEntry) -> Vec<FileCheck> {
        let check = |file: &ModelFile| {
            let path = self.path(entry, &file.name);
            let verdict = verdict_on(&path, file);
            FileCheck { file: file.name.clone(), path, verdict }
        };
        entry.files.iter().map(check).collect()
    }

    /// The known name that is most like `name`, if any is like it.
    fn nearest(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        self.entries
            .iter()
            .map(|entry| (strsim::jaro_winkler(&wanted, &entry.name), &entry.name))
            .filter(|(likeness, _)| *likeness >= 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name.clone())
    }
}

/// How the names of float16 graphs end that lie beside others.
pub(crate) const HALF_ENDING: &str = "_fp16.onnx";

/// What the float16 form of a graph is called: `model_fp16.onnx` for `model.onnx`.
pub(crate) fn half_name(graph: &str) -> String {
    format!("{}{HALF_ENDING}", graph.trim_end_matches(".onnx"))
}

/// The error of a model that has no float16 graph, with those that it has.
pub(crate) fn no_half(entry: &ModelEntry) -> ModelError {
    let files: Vec<&str> =
        entry.files.iter().filter(|file| file.is_graph()).map(|file| &*file.name).collect();
    ModelError::Unsupported {
        name: entry.name.clone(),
        option: "half_precision",
        value: "true".into(),
        detail: format!("It has no float16 graph, only {}.", files.join(", ")),
    }
}

/// The entries of a manifest; `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Vec<ModelEntry>>, ModelError> {
    match std::fs::read_to_string(path) {
        Ok(text) => manifest::parse(&path.display().to_string(), &text).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(ModelError::Manifest { detail: format!("{}: {error}", path.display()) }),
    }
}

/// The names of the folders that may be models, sorted; none when the models folder is not there.
fn folders(models_dir: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(models_dir) else { return Vec::new() };
    let mut names: Vec<String> = listing
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| manifest::is_plain_name(name))
        .collect();
    names.sort();
    names
}

fn verdict_on(path: &Path, file: &ModelFile) -> Verdict {
    match (sha256_of(path), &file.sha256) {
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound && file.optional => {
            Verdict::NotNeeded
        }
        (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Verdict::Missing,
        (Err(error), _) => Verdict::Unreadable { reason: error.to_string() },
        (Ok(found), Some(wanted)) => compared(found, wanted),
        (Ok(found), None) => match fetch::recorded_digest(path) {
            Some(wanted) => compared(found, &wanted),
            None => Verdict::Unchecked,
        },
    }
}

fn compared(found: String, wanted: &str) -> Verdict {
    if found == wanted { Verdict::Verified } else { Verdict::Different { found } }
}

/// The sha256 of a file's bytes, as lower-case hex digits.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(fetch::hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
