//! What a client is told when something fails: one enum, each case with a SQLSTATE, a primary
//! message in lower case and, where there is something to do, a hint.
//!
//! Errors of DataFusion come in through [`SqlError::from`]; `error/datafusion.rs` says how.

mod datafusion;
mod position;

use vigil_models::ModelError;
use vigil_udfs::UdfError;

use crate::EngineError;

/// A statement that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement does not follow the grammar.
    #[error("{}", syntax_message(.near.as_deref()))]
    Syntax {
        /// The token it goes wrong at, as written; `None` at the end of the input.
        near: Option<String>,
        /// Characters before that token, counted from 1 as PostgreSQL does.
        position: usize,
    },
    /// The text does not even fall into tokens, such as a quote that is never closed.
    #[error("{message}")]
    Token {
        /// What is wrong.
        message: String,
        /// Where, in characters from 1.
        position: usize,
    },
    /// A part of a statement of ours that says something impossible.
    #[error("{message}")]
    Invalid {
        /// Five characters of PostgreSQL's appendix A.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
        /// What would be right, a sentence.
        hint: Option<String>,
        /// Where, in characters from 1.
        position: Option<usize>,
    },
    /// Something of PostgreSQL that Vigil does not have.
    #[error("{what} is not supported")]
    Unsupported {
        /// The statement or the part of it.
        what: String,
        /// What to do instead, a sentence.
        hint: Option<String>,
    },
    /// A change to a table that only sources change.
    #[error("cannot {action} table \"{table}\"")]
    ReadOnly {
        /// The verb, such as `insert into`.
        action: &'static str,
        /// The table's name.
        table: String,
    },
    /// `SET` or `SHOW` of a parameter that does not exist.
    #[error("unrecognized configuration parameter \"{name}\"")]
    UnknownSetting {
        /// The name as written.
        name: String,
        /// The nearest known name, if one is near.
        nearest: Option<String>,
    },
    /// `SET` of a value that the parameter cannot take.
    #[error("invalid value for parameter \"{name}\": \"{value}\"")]
    InvalidSetting {
        /// The parameter.
        name: String,
        /// The value as written.
        value: String,
        /// What it takes, a sentence.
        hint: Option<String>,
    },
    /// `SET` of a parameter that only tells.
    #[error("parameter \"{name}\" cannot be changed")]
    FixedSetting {
        /// The parameter.
        name: String,
    },
    /// A statement in a transaction block in which one has failed before.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    FailedTransaction,
    /// A savepoint that does not exist.
    #[error("savepoint \"{name}\" does not exist")]
    UnknownSavepoint {
        /// The name as written.
        name: String,
    },
    /// `SAVEPOINT` and its like outside a transaction block.
    #[error("{what} can only be used in transaction blocks")]
    NoTransaction {
        /// The statement.
        what: &'static str,
    },
    /// The client asked to stop.
    #[error("canceling statement due to user request")]
    Canceled,
    /// `statement_timeout` is over.
    #[error("canceling statement due to statement timeout")]
    Timeout,
    /// A bug: the code that ran the statement panicked.
    #[error("the statement failed unexpectedly")]
    Panicked {
        /// What the panic said.
        detail: String,
    },
    /// The server stops.
    #[error("terminating connection due to administrator command")]
    Stopping,
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A model refused or failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A function of ours refused its arguments.
    #[error(transparent)]
    Function(#[from] UdfError),
    /// Another error, and where it lies.
    #[error("{error}")]
    At {
        /// What is wrong.
        error: Box<SqlError>,
        /// Where, in characters from 1.
        position: usize,
    },
    /// The query could not be planned or failed while it ran.
    #[error("{message}")]
    Query {
        /// Five characters of PostgreSQL's appendix A.
        sqlstate: &'static str,
        /// One line, lower case.
        message: String,
        /// More lines of the same, where there are.
        detail: Option<String>,
        /// What to do about it, a sentence.
        hint: Option<String>,
    },
}

fn syntax_message(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("syntax error at or near \"{near}\""),
        None => "syntax error at end of input".into(),
    }
}

impl SqlError {
    /// Five characters of PostgreSQL's appendix A.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Token { .. } => "42601",
            Self::Invalid { sqlstate, .. } | Self::Query { sqlstate, .. } => sqlstate,
            Self::Unsupported { .. } => "0A000",
            Self::ReadOnly { .. } => "42809",
            Self::UnknownSetting { .. } => "42704",
            Self::InvalidSetting { .. } => "22023",
            Self::FixedSetting { .. } => "55P02",
            Self::FailedTransaction => "25P02",
            Self::UnknownSavepoint { .. } => "3B001",
            Self::NoTransaction { .. } => "25P01",
            Self::Canceled | Self::Timeout => "57014",
            Self::Panicked { .. } => "XX000",
            Self::Stopping => "57P01",
            Self::Engine(error) => error.sqlstate,
            Self::Model(error) => error.sqlstate(),
            Self::Function(error) => error.sqlstate(),
            Self::At { error, .. } => error.sqlstate(),
        }
    }

    /// The longer story, where there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Panicked { detail } => Some(detail),
            Self::Query { detail, .. } => detail.as_deref(),
            Self::Engine(error) => error.detail.as_deref(),
            Self::Model(error) => error.detail(),
            Self::Function(error) => error.detail(),
            Self::At { error, .. } => error.detail(),
            _ => None,
        }
    }

    /// What to do about it, a sentence, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { hint, .. }
            | Self::Unsupported { hint, .. }
            | Self::InvalidSetting { hint, .. }
            | Self::Query { hint, .. } => hint.clone(),
            Self::ReadOnly { .. } => {
                Some("Its rows come from sources; use CREATE SOURCE and DROP SOURCE.".into())
            }
            Self::UnknownSetting { nearest: Some(nearest), .. } => {
                Some(format!("Perhaps you meant \"{nearest}\"."))
            }
            Self::Panicked { .. } => Some("This is a bug in Vigil; please report it.".into()),
            Self::Engine(error) => error.hint.clone(),
            Self::Model(error) => error.hint(),
            Self::Function(error) => error.hint().map(Into::into),
            Self::At { error, .. } => error.hint(),
            _ => None,
        }
    }

    /// Where in the text that was sent, in characters from 1.
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::Syntax { position, .. } | Self::Token { position, .. } => Some(*position),
            Self::Invalid { position, .. } => *position,
            Self::At { position, .. } => Some(*position),
            _ => None,
        }
    }
}
