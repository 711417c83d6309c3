//! Models that users register: a file, a folder or an address goes in; a checked model in the
//! models folder comes out.
//!
//! The model's files are copied into `<models folder>/<name>` beside `model.toml`, a manifest of it
//! alone, which [`Registry::open`] reads: it is there again after a restart. It appears whole or
//! not at all, as it is put together and tried in a folder of its own, which is then renamed. Where
//! it may come from is the caller's to say ([`ModelPlaces`]).

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::{self, Made, ModelEntry, Task};
use crate::registry::OWN_MANIFEST;
use crate::{ModelError, Registry, labels};

mod collect;
mod files;
mod trial;

/// A model that is to be registered.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// Its name: lower case, as [`ModelEntry::name`].
    pub name: String,
    /// What it is for.
    pub task: Task,
    /// Where its files are.
    pub from: ModelOrigin,
    /// Its options.
    pub options: NewModelOptions,
    /// What it was asked for with, to be told again.
    pub made: Made,
}

/// Where the files of a new model are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelOrigin {
    /// A file, which becomes the model's only graph, or a folder with all its files.
    Path(PathBuf),
    /// The same on a server: a folder's address ends with `/`.
    Url(String),
}

/// The options of a new model; what is not given is the family's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewModelOptions {
    /// Which code reads it; where it is not given, the only family of the task.
    pub family: Option<String>,
    /// A set's name, or class names separated by commas.
    pub labels: Option<String>,
    /// (width, height) of the picture that it takes, pixels.
    pub input: Option<(u32, u32)>,
    /// Tokens of a text at most.
    pub max_tokens: Option<usize>,
    /// The files' sha256, each with its name; without a name it is the only file's.
    pub sha256: Vec<(Option<String>, String)>,
    /// Its version.
    pub version: String,
    /// The licence's SPDX name, as far as it has one.
    pub licence: String,
    /// One sentence for people.
    pub description: String,
}

impl Default for NewModelOptions {
    fn default() -> Self {
        Self {
            family: None,
            labels: None,
            input: None,
            max_tokens: None,
            sha256: Vec::new(),
            version: "1".into(),
            licence: "unknown".into(),
            description: String::new(),
        }
    }
}

/// Where the files of new models may come from.
pub trait ModelPlaces: Send + Sync + 'static {
    /// Where a path leads, if files there may be read.
    fn file(&self, path: &Path) -> Option<PathBuf>;

    /// Whether an address may be asked, by what is written in it.
    fn url(&self, url: &str) -> bool;

    /// Whether the machine behind a host's name may be asked.
    fn address(&self, address: IpAddr) -> bool;
}

/// Puts the model into the models folder of `registry` and gives its entry. It blocks: files are
/// copied or fetched, and the model is loaded and tried once.
///
/// # Errors
/// What is wrong with its name, its options or its files, or why they cannot be had.
pub(crate) fn create(
    registry: &Registry,
    new: &NewModel,
    places: &Arc<dyn ModelPlaces>,
) -> Result<ModelEntry, ModelError> {
    check_name(&new.name)?;
    let models_dir = registry.models_dir();
    let place = models_dir.join(&new.name);
    let taken = registry.entries().iter().any(|entry| entry.name == new.name);
    if taken || place.exists() {
        return Err(ModelError::Exists { name: new.name.clone() });
    }
    let mut entry = entry(new)?;
    std::fs::create_dir_all(models_dir).map_err(failed("write", models_dir))?;
    let stage = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(models_dir)
        .map_err(failed("write", models_dir))?;
    let folder = stage.path().join(&new.name);
    std::fs::create_dir(&folder).map_err(failed("write", &folder))?;
    entry.files = collect::collect(new, &entry, places, &folder)?;
    trial::run(stage.path(), &mut entry)?;
    let path = folder.join(OWN_MANIFEST);
    std::fs::write(&path, manifest::write(&entry)).map_err(failed("write", &path))?;
    sync(&path).map_err(failed("write", &path))?;
    sync(&folder).map_err(failed("write", &folder))?;
    std::fs::rename(&folder, &place).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => ModelError::Exists { name: new.name.clone() },
        _ => failed("write", &place)(error),
    })?;
    sync(models_dir).map_err(failed("write", models_dir))?;
    Ok(entry)
}

/// Removes the folder of a model that was registered.
///
/// # Errors
/// [`ModelError::Io`] when it cannot be removed.
pub(crate) fn remove(registry: &Registry, entry: &ModelEntry) -> Result<(), ModelError> {
    let (models_dir, place) = (registry.models_dir(), registry.models_dir().join(&entry.name));
    // Renamed first, so that a crash leaves no half model under a name.
    let gone = tempfile::Builder::new()
        .prefix(".old-")
        .tempdir_in(models_dir)
        .map_err(failed("remove", &place))?;
    std::fs::rename(&place, gone.path().join(&entry.name)).map_err(failed("remove", &place))?;
    gone.close().map_err(failed("remove", &place))
}

/// The entry of a new model, yet without files.
fn entry(new: &NewModel) -> Result<ModelEntry, ModelError> {
    let options = &new.options;
    let family = family(new)?;
    let labels = match &options.labels {
        None => Arc::from([]),
        Some(text) => match labels::label_set(text.trim()) {
            Some(set) => set,
            None => text.split(',').map(|label| label.trim().to_owned()).collect(),
        },
    };
    let bad = |detail: String| ModelError::BadOptions { detail };
    match (new.task, labels.is_empty()) {
        (Task::Detector, true) => {
            let sets: Vec<&str> = labels::label_set_names().collect();
            return Err(bad(format!(
                "A detector needs labels: a set ({}) or its class names, separated by commas.",
                sets.join(", ")
            )));
        }
        (Task::Detector, false) | (_, true) => {}
        (_, false) => return Err(bad(format!("A model of type {} has no labels.", new.task))),
    }
    // What a family does not look at is refused, as it would seem to do something.
    if options.input.is_some() {
        let heeded = matches!(new.task, Task::Detector | Task::Reid) && family != "ssd";
        if !heeded {
            return Err(bad(format!(
                "A model of type {} and family {family} has no input: its graph says what it needs.",
                new.task
            )));
        }
    }
    if options.max_tokens.is_some() && new.task != Task::Embedder {
        return Err(bad(format!("A model of type {} has no max_tokens.", new.task)));
    }
    for word in [&options.version, &options.licence] {
        if !manifest::is_plain_name(word) {
            return Err(bad(format!(
                "\"{word}\" may have letters, digits, dots, dashes and underscores only."
            )));
        }
    }
    Ok(ModelEntry {
        name: new.name.clone(),
        version: options.version.clone(),
        task: new.task,
        family,
        description: options.description.clone(),
        licence: options.licence.clone(),
        input: options.input,
        max_tokens: options.max_tokens,
        labels,
        files: Vec::new(),
        sources: Vec::new(),
        made: Some(new.made.clone()),
    })
}

/// The family that was named, or the task's only one.
fn family(new: &NewModel) -> Result<String, ModelError> {
    let of_task: Vec<&str> = manifest::FAMILIES
        .iter()
        .filter(|(_, task)| *task == new.task)
        .map(|(family, _)| *family)
        .collect();
    let refuse = |why: String| {
        let known = of_task.join(", ");
        let detail = format!("{why}; the families of type {} are {known}.", new.task);
        Err(ModelError::BadOptions { detail })
    };
    match (&new.options.family, &of_task[..]) {
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => refuse("It needs a family".into()),
        (Some(named), of_task) if of_task.contains(&named.as_str()) => Ok(named.clone()),
        (Some(named), _) => match manifest::FAMILIES.iter().find(|(family, _)| family == named) {
            Some((_, task)) => refuse(format!("Family \"{named}\" is of type {task}")),
            None => refuse(format!("There is no family \"{named}\"")),
        },
    }
}

fn check_name(name: &str) -> Result<(), ModelError> {
    // A folder's name on every system, and one word wherever models are named.
    let fits = manifest::is_plain_name(name)
        && name.len() <= 63
        && !name.contains(|c: char| c.is_ascii_uppercase())
        && name != "none"
        && name != "ground_truth";
    if fits { Ok(()) } else { Err(ModelError::InvalidName { name: name.to_owned() }) }
}

/// The error of a path.
fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ModelError {
    let path = path.display().to_string();
    move |error| ModelError::Io { action, path: path.clone(), detail: format!("{error}.") }
}

fn sync(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}
