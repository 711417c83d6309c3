//! What can go wrong in the engine: one enum, each case with a SQLSTATE and, where there is
//! something to do, a hint.

use vigil_models::ModelError;
use vigil_sql::EngineError;
use vigil_sql::catalog::CAPTION_DIMENSIONS;

use crate::decode::DecodeError;
use crate::index::IndexError;
use crate::keyframe::StoreError;
use crate::source::SourceError;

/// An error of the engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The statement that makes a source is not right, or its file is not there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A video cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A model is missing, broken or fails.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The store of key frames is not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An index cannot be made or found.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is a source of that name.
    #[error("source \"{0}\" already exists")]
    SourceExists(String),
    /// There is no source of that name.
    #[error("source \"{name}\" does not exist")]
    SourceNotFound {
        /// The name as given.
        name: String,
        /// The nearest name of a source, if one is near.
        nearest: Option<String>,
    },
    /// A source stopped working.
    #[error("source \"{name}\" failed: {message}")]
    SourceFailed {
        /// The source.
        name: String,
        /// The SQLSTATE of what made it fail.
        sqlstate: String,
        /// What made it fail.
        message: String,
    },
    /// `WAIT FOR SOURCE` took too long.
    #[error("source \"{0}\" did not end in time")]
    WaitTimeout(String),
    /// A class that the detector does not know.
    #[error("invalid value for parameter \"classes\": \"{class}\"")]
    UnknownClass {
        /// The class as given.
        class: String,
        /// The nearest class that the detector knows.
        nearest: Option<String>,
    },
    /// A frame that is not in the video.
    #[error("source \"{name}\" has no frame {frame_number}")]
    NoSuchFrame {
        /// The source.
        name: String,
        /// The frame.
        frame_number: i64,
    },
    /// A worker of the dataflow panicked; no source can run any more.
    #[error("the dataflow has stopped")]
    Workers,
    /// The embedder's vectors do not fit the tables.
    #[error("vectors of embedder \"{embedder}\" have {found} dimensions")]
    Dimensions {
        /// The embedder.
        embedder: String,
        /// The length of its vectors.
        found: usize,
    },
    /// A model that is to be removed and that sources were made with.
    #[error("cannot drop model \"{name}\" because sources use it")]
    ModelInUse {
        /// The model.
        name: String,
        /// The sources.
        sources: Vec<String>,
    },
    /// A thread could not be started.
    #[error("could not start a thread: {0}")]
    Thread(String),
}

impl Error {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Source(error) => error.sqlstate(),
            Self::Decode(error) => error.sqlstate(),
            Self::Model(error) => error.sqlstate(),
            Self::Store(error) => error.sqlstate(),
            Self::Index(error) => error.sqlstate(),
            Self::SourceExists(_) => "42710",
            Self::SourceNotFound { .. } => "42704",
            Self::SourceFailed { sqlstate, .. } => known_sqlstate(sqlstate),
            Self::WaitTimeout(_) => "57014",
            Self::UnknownClass { .. } | Self::NoSuchFrame { .. } | Self::Dimensions { .. } => {
                "22023"
            }
            Self::ModelInUse { .. } => "2BP01",
            Self::Workers => "XX000",
            Self::Thread(_) => "53000",
        }
    }

    /// The longer story, a sentence, where there is one.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.detail(),
            Self::Decode(error) => error.detail(),
            Self::Model(error) => error.detail().map(str::to_owned),
            Self::Index(error) => EngineError::from(error.clone()).detail,
            Self::ModelInUse { sources, .. } => {
                Some(format!("It is used by: {}.", sources.join(", ")))
            }
            _ => None,
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Decode(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Store(error) => error.hint().map(str::to_owned),
            Self::Index(error) => EngineError::from(error.clone()).hint,
            Self::SourceExists(_) => {
                Some("Drop it first, choose another name, or say IF NOT EXISTS.".into())
            }
            Self::SourceNotFound { nearest: Some(near), .. } => {
                Some(format!("Perhaps you meant \"{near}\"."))
            }
            Self::SourceNotFound { nearest: None, .. } => {
                Some("SHOW SOURCES lists the sources.".into())
            }
            Self::SourceFailed { .. } => {
                Some("vigil_catalog.source_errors tells what went wrong.".into())
            }
            Self::WaitTimeout(_) => Some("It goes on; wait again with a longer TIMEOUT.".into()),
            Self::UnknownClass { nearest: Some(near), .. } => {
                Some(format!("Perhaps you meant \"{near}\"."))
            }
            Self::UnknownClass { nearest: None, .. } => {
                Some("Give names or ids of classes that the detector knows.".into())
            }
            Self::NoSuchFrame { .. } => {
                Some("SELECT frame_number FROM frames lists the processed ones.".into())
            }
            Self::Dimensions { .. } => Some(format!(
                "captions.embedding holds vectors of {CAPTION_DIMENSIONS} dimensions: choose an \
                 embedder that makes those, or none."
            )),
            Self::ModelInUse { .. } => Some("Drop these sources first.".into()),
            Self::Workers => Some("The server's log tells why; restart the server.".into()),
            Self::Thread(_) => None,
        }
    }
}

/// The states that a source can fail with; an unknown one is an internal error.
fn known_sqlstate(sqlstate: &str) -> &'static str {
    ["22P03", "42501", "53000", "58000", "58030", "58P01", "XX001"]
        .into_iter()
        .find(|known| *known == sqlstate)
        .unwrap_or("XX000")
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self {
            sqlstate: error.sqlstate(),
            message: error.to_string(),
            detail: error.detail(),
            hint: error.hint(),
        }
    }
}
