//! The files of a new model: a path or address goes in; copies in a folder come out, with their
//! sizes and sha256.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::{FamilyFiles, GRAPH, is_weights};
use super::{ModelOrigin, ModelPlaces, NewModel, failed};
use crate::ModelError;
use crate::fetch::{self, Refusal};
use crate::manifest::{ModelEntry, ModelFile, Precision, is_plain_name};
use crate::registry::HALF_ENDING;

/// How many bytes are read at once.
const CHUNK: usize = 1 << 18;

/// A file may have as many bytes at most: half as much again as the largest that the guide names.
const MAX_BYTES: u64 = 16 << 30;

/// Copies or fetches the files of `new` into `folder`; `entry` says of which family they are.
pub(super) fn collect(
    new: &NewModel,
    entry: &ModelEntry,
    places: &Arc<dyn ModelPlaces>,
    folder: &Path,
) -> Result<Vec<ModelFile>, ModelError> {
    let known = FamilyFiles::of(&entry.family);
    let is_folder = match &new.from {
        ModelOrigin::Path(path) => path.is_dir(),
        ModelOrigin::Url(url) => url.ends_with('/'),
    };
    let files = Vec::new();
    let mut collector = Collector { new, entry, places, folder, is_folder, files, used: 0 };
    match &new.from {
        ModelOrigin::Path(path) if is_folder => collector.copy_folder(path, known)?,
        ModelOrigin::Path(path) => {
            collector.only_graph(known)?;
            collector.copy(path, GRAPH)?;
        }
        ModelOrigin::Url(url) if is_folder => collector.download_folder(url, known)?,
        ModelOrigin::Url(url) => {
            collector.only_graph(known)?;
            if !collector.download(url, GRAPH)? {
                let detail = "The server answered 404 Not Found.".into();
                return Err(ModelError::Download { url: url.clone(), detail });
            }
        }
    }
    collector.finish()
}

struct Collector<'a> {
    new: &'a NewModel,
    entry: &'a ModelEntry,
    places: &'a Arc<dyn ModelPlaces>,
    /// Where the copies go.
    folder: &'a Path,
    /// Whether the origin is one, so that a sha256 needs the name of its file.
    is_folder: bool,
    files: Vec<ModelFile>,
    /// How many of the given sha256 were compared.
    used: usize,
}

impl Collector<'_> {
    /// Refuses one file for a family that has several.
    fn only_graph(&self, known: &FamilyFiles) -> Result<(), ModelError> {
        if known.is_one_graph() {
            return Ok(());
        }
        Err(ModelError::Incomplete {
            name: self.new.name.clone(),
            detail: "FROM names one file.".into(),
            hint: format!(
                "{} Name the folder that they are in; an address of one ends with \"/\".",
                known.told(&self.entry.family)
            ),
        })
    }

    fn incomplete(&self, known: &FamilyFiles, detail: String) -> ModelError {
        let hint = known.told(&self.entry.family);
        ModelError::Incomplete { name: self.new.name.clone(), detail, hint }
    }

    /// The family's files of a folder; of a family of one graph, every graph in it.
    fn copy_folder(&mut self, path: &Path, known: &FamilyFiles) -> Result<(), ModelError> {
        let listing = std::fs::read_dir(path).map_err(failed("read", path))?;
        let mut there: Vec<String> = listing
            .filter_map(|entry| entry.ok())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_plain_name(name))
            .collect();
        there.sort();
        let is_graph = |name: &&String| name.ends_with(".onnx");
        if known.is_one_graph() && there.iter().any(|name| is_graph(&name)) {
            // The one that goes by the family's name is tried first.
            there.sort_by_key(|name| name != GRAPH);
            for name in there.iter().filter(is_graph) {
                self.copy(&path.join(name), name)?;
            }
        } else {
            for name in known.required {
                if !path.join(name).is_file() {
                    let detail = format!("There is no file \"{}\".", path.join(name).display());
                    return Err(self.incomplete(known, detail));
                }
                self.copy(&path.join(name), name)?;
            }
            for name in known.optional.iter().filter(|name| path.join(name).is_file()) {
                self.copy(&path.join(name), name)?;
            }
            for name in known.halves().filter(|name| path.join(name).is_file()) {
                self.copy(&path.join(&name), &name)?;
            }
        }
        for name in there.iter().filter(|name| is_weights(name)) {
            self.copy(&path.join(name), name)?;
        }
        Ok(())
    }

    /// The same below an address; what is there is found by asking.
    fn download_folder(&mut self, url: &str, known: &FamilyFiles) -> Result<(), ModelError> {
        for name in known.required {
            if !self.download(&format!("{url}{name}"), name)? {
                return Err(self.incomplete(known, format!("The server has no \"{url}{name}\".")));
            }
        }
        for name in known.optional {
            self.download(&format!("{url}{name}"), name)?;
        }
        if !known.is_one_graph() {
            for name in known.halves() {
                self.download(&format!("{url}{name}"), &name)?;
            }
        }
        for graph in self.files.clone().iter().filter(|file| file.is_graph()) {
            let name = format!("{}.data", graph.name);
            self.download(&format!("{url}{name}"), &name)?;
        }
        Ok(())
    }

    /// Copies the file at `path` to `name`.
    fn copy(&mut self, path: &Path, name: &str) -> Result<(), ModelError> {
        let shown = || path.display().to_string();
        let place: PathBuf = self
            .places
            .file(path)
            .ok_or_else(|| ModelError::NotAllowed { what: format!("file \"{}\"", shown()) })?;
        let mut original = File::open(&place).map_err(failed("read", path))?;
        if !original.metadata().map_err(failed("read", path))?.is_file() {
            let detail = "It is not a file.".into();
            return Err(ModelError::BadFile { file: shown(), detail });
        }
        self.store(&mut original, name, &shown())
    }

    /// Fetches `url` to `name`; false when the server has no such file.
    fn download(&mut self, url: &str, name: &str) -> Result<bool, ModelError> {
        let refused = |reason: &str| ModelError::Download {
            url: url.to_owned(),
            detail: format!("{}.", upper_first(reason)),
        };
        if !self.places.url(url) {
            return Err(ModelError::NotAllowed { what: format!("address \"{url}\"") });
        }
        let mut response = match fetch::download(url, self.places) {
            Ok(response) => response,
            Err(Refusal::NotFound) => return Ok(false),
            Err(Refusal::Failed(reason)) => return Err(refused(&reason)),
        };
        if response.content_length().is_some_and(|bytes| bytes > MAX_BYTES) {
            return Err(refused("it has more than 16 GB"));
        }
        self.store(&mut response, name, url).map(|()| true)
    }

    /// Writes what `from` gives to the file `name`, and compares it with the sha256 that was given.
    fn store(&mut self, from: &mut dyn Read, name: &str, origin: &str) -> Result<(), ModelError> {
        let path = self.folder.join(name);
        let mut to = File::create(&path).map_err(failed("write", &path))?;
        let mut hasher = Sha256::new();
        let (mut buffer, mut bytes) = (vec![0; CHUNK], 0_u64);
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    let detail =
                        format!("It broke off after {bytes} bytes: {}.", fetch::chain(&error));
                    return Err(match &self.new.from {
                        ModelOrigin::Url(_) => ModelError::Download { url: origin.into(), detail },
                        ModelOrigin::Path(_) => {
                            ModelError::Io { action: "read", path: origin.into(), detail }
                        }
                    });
                }
            };
            hasher.update(&buffer[..read]);
            bytes += read as u64;
            if bytes > MAX_BYTES {
                let detail = "It has more than 16 GB.".into();
                return Err(ModelError::BadFile { file: origin.into(), detail });
            }
            to.write_all(&buffer[..read]).map_err(failed("write", &path))?;
        }
        to.sync_all().map_err(failed("write", &path))?;
        let found = fetch::hex(&hasher.finalize());
        let is_of_this = |of: &Option<String>| match of {
            Some(of) => of == name,
            None => !self.is_folder,
        };
        let given = self.new.options.sha256.iter().find(|(of, _)| is_of_this(of));
        if let Some((_, expected)) = given {
            if *expected != found {
                return Err(ModelError::WrongDigest {
                    file: origin.into(),
                    detail: format!("Its sha256 is {found}, {expected} was given."),
                });
            }
            self.used += 1;
        }
        self.files.push(ModelFile {
            name: name.to_owned(),
            sha256: Some(found),
            bytes: Some(bytes),
            input: None,
            precision: match name.ends_with(HALF_ENDING) {
                true => Precision::Half,
                false => Precision::Full,
            },
            optional: false,
        });
        Ok(())
    }

    /// The files, when each sha256 that was given belongs to one of them.
    fn finish(self) -> Result<Vec<ModelFile>, ModelError> {
        let given = &self.new.options.sha256;
        if self.is_folder && given.iter().any(|(of, _)| of.is_none()) {
            let detail = "FROM names a folder: write sha256 as 'file=digest, file=digest'.".into();
            return Err(ModelError::BadOptions { detail });
        }
        if self.used != given.len() {
            let names: Vec<&str> = self.files.iter().map(|file| &*file.name).collect();
            let detail = format!(
                "A sha256 is given for a file that the model does not have; it has {}.",
                names.join(", ")
            );
            return Err(ModelError::BadOptions { detail });
        }
        Ok(self.files)
    }
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
