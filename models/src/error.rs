//! What can go wrong with a model: one enum, each case with a SQLSTATE and a hint.

/// An error of a model: its files, its graph, its input or its run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelError {
    /// No entry of that name in the manifest.
    #[error("model \"{name}\" does not exist")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// The nearest name in the manifest, if one is near.
        nearest: Option<String>,
    },
    /// The model is known, its files are not on this machine.
    #[error("the files of model \"{name}\" are missing")]
    MissingFiles {
        /// The model's name.
        name: String,
        /// Which file was looked for, and where.
        detail: String,
    },
    /// A file is not what the manifest says (sha256) or not a model at all.
    #[error("model file \"{file}\" is not usable")]
    BadFile {
        /// The path of the file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The graph's inputs or outputs are not those of its family.
    #[error("model \"{name}\" does not have the tensors of its family")]
    WrongTensors {
        /// The model's name.
        name: String,
        /// Which tensor was expected and which was found.
        detail: String,
    },
    /// A model of another task than the one asked for.
    #[error("model \"{name}\" has the task {found}, not {expected}")]
    WrongTask {
        /// The model's name.
        name: String,
        /// The task that was asked for.
        expected: String,
        /// The task that the manifest gives.
        found: String,
    },
    /// A picture that is none.
    #[error("invalid picture")]
    BadImage {
        /// What is wrong with it.
        detail: String,
    },
    /// Options that mean nothing.
    #[error("invalid model option")]
    BadOptions {
        /// Which option, and what it may be.
        detail: String,
    },
    /// The ONNX Runtime library could not be found or loaded.
    #[error("the ONNX Runtime library could not be loaded")]
    Runtime {
        /// What the loader said and where it looked.
        detail: String,
    },
    /// The device that was asked for is not to be had.
    #[error("model \"{name}\" cannot run on {device}")]
    NoDevice {
        /// The model's name.
        name: String,
        /// The device.
        device: &'static str,
        /// What ONNX Runtime said.
        detail: String,
    },
    /// An option that the model's files cannot satisfy.
    #[error("model \"{name}\" cannot take {option} = {value}")]
    Unsupported {
        /// The model's name.
        name: String,
        /// The option, as `CREATE SOURCE` names it.
        option: &'static str,
        /// Its value.
        value: String,
        /// What the model takes instead.
        detail: String,
    },
    /// A run of the network failed or gave values that are no numbers.
    #[error("model \"{name}\" failed")]
    Run {
        /// The model's name.
        name: String,
        /// What ONNX Runtime said.
        detail: String,
    },
    /// The manifest is not valid.
    #[error("the model manifest is not valid")]
    Manifest {
        /// Where and why.
        detail: String,
    },
    /// No place of the manifest gave the file.
    #[error("model \"{name}\" could not be fetched")]
    Fetch {
        /// The model's name.
        name: String,
        /// What each place said, in order.
        detail: String,
    },
    /// More requests were submitted than may wait.
    #[error("the queue of model \"{name}\" is full")]
    QueueFull {
        /// The model's id.
        name: String,
        /// How many requests may wait.
        capacity: usize,
    },
    /// The service is shutting down.
    #[error("the inference service is stopping")]
    Stopping,
    /// A name for a new model that cannot be one.
    #[error("invalid model name \"{name}\"")]
    InvalidName {
        /// The name as given.
        name: String,
    },
    /// A new model's name is taken.
    #[error("model \"{name}\" already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// A model that people list in a manifest, and that only they can take out.
    #[error("model \"{name}\" was not made by CREATE MODEL")]
    NotMade {
        /// The model's name.
        name: String,
    },
    /// The files of a new model lack one that its family needs.
    #[error("the files of model \"{name}\" are not complete")]
    Incomplete {
        /// The model's name.
        name: String,
        /// Which file is missing.
        detail: String,
        /// The files that a model of its family has: a sentence.
        hint: String,
    },
    /// A file of a new model has another sha256 than its maker says.
    #[error("file \"{file}\" has another sha256 than was given")]
    WrongDigest {
        /// The file's name.
        file: String,
        /// The file's own, and the one that was given.
        detail: String,
    },
    /// A file or address that new models may not come from.
    #[error("permission denied for {what}")]
    NotAllowed {
        /// `file "…"` or `host "…"`.
        what: String,
    },
    /// An address did not give a file.
    #[error("could not fetch \"{url}\"")]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        detail: String,
    },
    /// The models folder cannot be written, or a file not be read.
    #[error("could not {action} \"{path}\"")]
    Io {
        /// `read`, `write`, `remove`.
        action: &'static str,
        /// The path.
        path: String,
        /// What the operating system said.
        detail: String,
    },
}

impl ModelError {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "42704",
            Self::MissingFiles { .. } => "58P01",
            Self::BadFile { .. } | Self::WrongTensors { .. } => "XX001",
            Self::WrongTask { .. } => "42809",
            Self::BadImage { .. } | Self::BadOptions { .. } | Self::Unsupported { .. } => "22023",
            Self::Runtime { .. } | Self::NoDevice { .. } | Self::Run { .. } => "58000",
            Self::Manifest { .. } => "F0000",
            Self::Fetch { .. } => "58030",
            Self::QueueFull { .. } => "53000",
            Self::Stopping => "57P01",
            Self::InvalidName { .. } => "42602",
            Self::Exists { .. } => "42710",
            Self::NotMade { .. } => "42809",
            Self::Incomplete { .. } => "58P01",
            Self::WrongDigest { .. } => "XX001",
            Self::NotAllowed { .. } => "42501",
            Self::Download { .. } | Self::Io { .. } => "58030",
        }
    }

    /// The longer story, a sentence, where there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::UnknownModel { .. }
            | Self::WrongTask { .. }
            | Self::QueueFull { .. }
            | Self::InvalidName { .. }
            | Self::Exists { .. }
            | Self::NotMade { .. }
            | Self::NotAllowed { .. }
            | Self::Stopping => None,
            Self::MissingFiles { detail, .. }
            | Self::BadFile { detail, .. }
            | Self::WrongTensors { detail, .. }
            | Self::BadImage { detail }
            | Self::BadOptions { detail }
            | Self::Runtime { detail }
            | Self::NoDevice { detail, .. }
            | Self::Unsupported { detail, .. }
            | Self::Run { detail, .. }
            | Self::Manifest { detail }
            | Self::Incomplete { detail, .. }
            | Self::WrongDigest { detail, .. }
            | Self::Download { detail, .. }
            | Self::Io { detail, .. }
            | Self::Fetch { detail, .. } => Some(detail),
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownModel { nearest: Some(near), .. } => {
                Some(format!("Perhaps you meant \"{near}\"."))
            }
            Self::UnknownModel { nearest: None, .. } => {
                Some("Run \"vigil models list\" to see the known models.".into())
            }
            Self::MissingFiles { name, .. } => {
                Some(format!("Run \"vigil models pull {name}\" to fetch them."))
            }
            Self::Fetch { .. } => Some(
                "Name a folder that has the files in VIGIL_MODEL_MIRROR, as <folder>/<model>/<file>."
                    .into(),
            ),
            Self::BadFile { .. } => Some("Run \"vigil models verify\" to check the files.".into()),
            Self::Runtime { .. } => Some(
                "Run \"make setup\", or name the library in ORT_DYLIB_PATH (PyPI's onnxruntime wheel has it)."
                    .into(),
            ),
            Self::NoDevice { .. } => Some(
                "Take device = 'cpu', or name a library with that provider in ORT_DYLIB_PATH (PyPI's onnxruntime-gpu wheel has one)."
                    .into(),
            ),
            Self::QueueFull { capacity, .. } => {
                Some(format!("Wait for some of the {capacity} requests that are under way."))
            }
            Self::InvalidName { .. } => Some(
                "A model's name has lower-case letters, digits, dots, dashes and underscores, and \
                 starts with a letter or digit; one with dots or dashes needs double quotes."
                    .into(),
            ),
            Self::Exists { .. } => {
                Some("Drop it first, choose another name, or say IF NOT EXISTS.".into())
            }
            Self::NotMade { .. } => {
                Some("Models of the manifest stay; those of a manifest.toml are taken out there.".into())
            }
            Self::Incomplete { hint, .. } => Some(hint.clone()),
            Self::WrongDigest { .. } => {
                Some("Fetch the file again, or give the sha256 that sha256sum prints for it.".into())
            }
            Self::NotAllowed { .. } => Some(
                "The server's allowed_folders and allow_local_addresses say where models may come from."
                    .into(),
            ),
            Self::WrongTensors { .. } => {
                Some("Name the family that the graph is of, with the labels that it was trained with.".into())
            }
            Self::WrongTask { expected, .. } => {
                Some(format!("Run \"vigil models list\" to see the models of the task {expected}."))
            }
            Self::BadImage { .. }
            | Self::BadOptions { .. }
            | Self::Unsupported { .. }
            | Self::Run { .. }
            | Self::Manifest { .. }
            | Self::Download { .. }
            | Self::Io { .. }
            | Self::Stopping => None,
        }
    }
}
