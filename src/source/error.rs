//! What can be wrong with a `CREATE SOURCE` or a `CREATE MODEL`: one enum, each case with a SQLSTATE and a hint.

use super::moving_boxes;

/// An error of a source's statement.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// An option that does not exist.
    #[error("unrecognized parameter \"{option}\"")]
    UnknownOption {
        /// The option as written.
        option: String,
        /// The option that was probably meant.
        nearest: Option<String>,
        /// All options, comma separated.
        known: String,
    },
    /// An option that is given twice.
    #[error("parameter \"{option}\" specified more than once")]
    RepeatedOption {
        /// The option.
        option: String,
    },
    /// A value that the option does not take.
    #[error("invalid value for parameter \"{option}\": \"{value}\"")]
    InvalidValue {
        /// The option.
        option: String,
        /// The value as written.
        value: String,
        /// What it takes, as in the option table.
        range: &'static str,
    },
    /// Values that do not go together.
    #[error("parameters \"{option}\" and \"{other}\" do not go together")]
    Conflict {
        /// One option.
        option: &'static str,
        /// The other.
        other: &'static str,
        /// Why, and what would do: a sentence.
        reason: String,
    },
    /// A detector that only drawn frames can have.
    #[error("detector \"ground_truth\" needs a load generator")]
    NoGroundTruth,
    /// A load generator that does not exist.
    #[error("load generator \"{name}\" does not exist")]
    UnknownGenerator {
        /// The name as written, lower case.
        name: String,
    },
    /// A URL of a kind that is not read.
    #[error("sources of the kind \"{scheme}:\" are not supported")]
    UnsupportedScheme {
        /// The URL's scheme, lower case.
        scheme: String,
    },
    /// A model's URL of a kind that is not fetched.
    #[error("models of the kind \"{scheme}:\" are not supported")]
    UnsupportedModelScheme {
        /// The URL's scheme, lower case.
        scheme: String,
    },
    /// A file outside of the folders that sources may be read from.
    #[error("permission denied for file \"{path}\"")]
    NotAllowed {
        /// The path, absolute, as it was asked for.
        path: String,
    },
    /// A host that only this machine or its cloud has business with.
    #[error("permission denied for host \"{host}\"")]
    ForbiddenAddress {
        /// The host as the URL has it.
        host: String,
    },
    /// A URL that is none.
    #[error("invalid source URL \"{url}\"")]
    InvalidUrl {
        /// The URL as written.
        url: String,
        /// What is wrong with it: a sentence.
        detail: String,
    },
    /// Nothing is there.
    #[error("could not open file \"{path}\": no such file or directory")]
    NotFound {
        /// The path that was looked for, absolute.
        path: String,
    },
    /// A directory, a device, a socket.
    #[error("\"{path}\" is {what}, not a file")]
    NotAFile {
        /// The path, absolute.
        path: String,
        /// What it is, with its article.
        what: &'static str,
    },
    /// It is there, but may not be read.
    #[error("could not open file \"{path}\": permission denied")]
    PermissionDenied {
        /// The path, absolute.
        path: String,
    },
    /// Something else went wrong on the way to the file.
    #[error("could not open file \"{path}\"")]
    Io {
        /// The path, absolute.
        path: String,
        /// What the operating system said.
        detail: String,
    },
}

impl SourceError {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownOption { .. }
            | Self::RepeatedOption { .. }
            | Self::InvalidValue { .. }
            | Self::Conflict { .. }
            | Self::InvalidUrl { .. }
            | Self::NoGroundTruth => "22023",
            Self::UnknownGenerator { .. } => "42704",
            Self::UnsupportedScheme { .. } | Self::UnsupportedModelScheme { .. } => "0A000",
            Self::NotFound { .. } => "58P01",
            Self::NotAFile { .. } => "42809",
            Self::PermissionDenied { .. }
            | Self::NotAllowed { .. }
            | Self::ForbiddenAddress { .. } => "42501",
            Self::Io { .. } => "58030",
        }
    }

    /// The longer story, a sentence, where there is one.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::UnknownOption { known, .. } => Some(format!("The parameters are: {known}.")),
            Self::Conflict { reason, .. } => Some(reason.clone()),
            Self::InvalidUrl { detail, .. } | Self::Io { detail, .. } => Some(detail.clone()),
            Self::RepeatedOption { .. }
            | Self::InvalidValue { .. }
            | Self::NoGroundTruth
            | Self::UnknownGenerator { .. }
            | Self::UnsupportedScheme { .. }
            | Self::UnsupportedModelScheme { .. }
            | Self::NotFound { .. }
            | Self::NotAFile { .. }
            | Self::PermissionDenied { .. }
            | Self::NotAllowed { .. }
            | Self::ForbiddenAddress { .. } => None,
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownOption { nearest: Some(near), .. } => {
                Some(format!("Perhaps you meant \"{near}\"."))
            }
            Self::UnknownOption { nearest: None, .. } | Self::Io { .. } => None,
            Self::Conflict { option, .. } => {
                Some(format!("Leave \"{option}\" out, or give it another value."))
            }
            Self::RepeatedOption { .. } => Some("Give it once.".into()),
            Self::InvalidValue { option, range, .. } => {
                Some(format!("\"{option}\" takes {range}."))
            }
            Self::NoGroundTruth => Some(
                "Name a detection model, such as detector = 'yolov8n', or detector = 'none'."
                    .into(),
            ),
            Self::UnknownGenerator { .. } => {
                Some(format!("The load generators are: {}.", moving_boxes::GENERATOR))
            }
            Self::UnsupportedScheme { .. } => {
                Some("A source is a path, a file:// URL or a LOAD GENERATOR.".into())
            }
            Self::UnsupportedModelScheme { .. } => {
                Some("A model is a path, a file:// URL, or an http or https address.".into())
            }
            Self::InvalidUrl { .. } => {
                Some("A file URL has the form file:///absolute/path.mp4.".into())
            }
            Self::NotFound { .. } => Some(
                "Paths are those of the machine that Vigil runs on, relative to where it was started."
                    .into(),
            ),
            Self::NotAFile { .. } => Some("Name a video file.".into()),
            Self::NotAllowed { .. } => {
                Some("The server's allowed_folders say which files may be read.".into())
            }
            Self::ForbiddenAddress { .. } => Some(
                "Link-local and metadata addresses take the server's allow_local_addresses.".into(),
            ),
            Self::PermissionDenied { .. } => {
                Some("The user that runs vigil needs permission to read it.".into())
            }
        }
    }
}
