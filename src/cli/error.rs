//! What a command can fail with, and how it is told: as psql's verbose errors look.

use std::io::{self, Write};
use std::path::PathBuf;

use vigil_models::ModelError;
use vigil_sql::SqlError;

use super::config::ConfigError;
use crate::eval::mot::MotError;
use crate::source::SourceError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] crate::Error),
    /// A statement failed in this process.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A statement failed in this process; `text` is where its position points.
    #[error("{error}")]
    Statement {
        /// The error.
        error: SqlError,
        /// The whole text that was parsed.
        text: String,
    },
    /// A model is unknown, missing or broken.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The configuration is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A statement failed in the server.
    #[error("{message}")]
    Server {
        /// Five characters of PostgreSQL's appendix A.
        sqlstate: String,
        /// The server's message.
        message: String,
        /// More, where there is.
        detail: Option<String>,
        /// What to do, where there is something.
        hint: Option<String>,
    },
    /// No server could be reached.
    #[error("could not connect to {address}: {reason}")]
    Connect {
        /// Host and port, or the URL.
        address: String,
        /// Why, a clause.
        reason: String,
    },
    /// The server's address is none.
    #[error("invalid server URL \"{url}\"")]
    Url {
        /// As given.
        url: String,
        /// What is wrong, a clause.
        reason: String,
    },
    /// The address to listen on is taken or not to be had.
    #[error("could not bind to {address}: {}", reason(.source))]
    Bind {
        /// As given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Others could come in without logging in.
    #[error("{address} can be reached from other machines, and nobody has to log in")]
    Insecure {
        /// Where it would listen.
        address: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("TLS takes both a certificate and its key")]
    HalfTls,
    /// A certificate is none.
    #[error("TLS cannot be had: {0}")]
    Tls(io::Error),
    /// The listener failed while the server ran.
    #[error("the server cannot accept connections any more: {}", reason(.source))]
    Serve {
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("could not read file \"{}\": {}", .path.display(), reason(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("could not write file \"{}\": {}", .path.display(), reason(.source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The result could not be written to stdout.
    #[error("could not write the output: {}", reason(.0))]
    Output(#[from] io::Error),
    /// A result could not be turned into text.
    #[error("could not format the result: {0}")]
    Format(#[from] arrow::error::ArrowError),
    /// A picture that came back is none.
    #[error("the server's picture cannot be read: {0}")]
    Picture(String),
    /// With `--keep-going`: statements failed, and each was told of.
    #[error("{0} of the statements failed")]
    SomeFailed(usize),
    /// An option that is not one.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file of detections or of ground truth is not right.
    #[error(transparent)]
    Mot(#[from] MotError),
    /// A folder of sequences does not have what was asked for.
    #[error("no sequence {}in \"{}\"", .wanted.as_ref().map(|name| format!("\"{name}\" ")).unwrap_or_default(), .folder.display())]
    NoSequence {
        /// The folder.
        folder: PathBuf,
        /// The sequence, where one was named.
        wanted: Option<String>,
    },
    /// A model file is missing or not what it should be.
    #[error("{bad} of {checked} model files are not good")]
    BadModels {
        /// Files that are not good.
        bad: usize,
        /// Files looked at.
        checked: usize,
    },
    /// The threads that a command needs could not be started.
    #[error("could not start the input and output threads: {0}")]
    Runtime(String),
}

impl CliError {
    /// The SQLSTATE of PostgreSQL's appendix A that fits best.
    pub(super) fn sqlstate(&self) -> &str {
        match self {
            Self::Engine(error) => error.sqlstate(),
            Self::Sql(error) | Self::Statement { error, .. } => error.sqlstate(),
            Self::Model(error) => error.sqlstate(),
            Self::Config(_) => "F0000",
            Self::Server { sqlstate, .. } => sqlstate,
            Self::Connect { .. } => "08001",
            Self::Url { .. } => "22023",
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "55006",
                io::ErrorKind::PermissionDenied => "42501",
                _ => "58000",
            },
            Self::Read { source, .. } | Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "58P01",
                io::ErrorKind::PermissionDenied => "42501",
                io::ErrorKind::IsADirectory => "42809",
                _ => "58030",
            },
            Self::Insecure { .. } => "28000",
            Self::HalfTls | Self::Tls(_) => "F0000",
            Self::Output(_) | Self::Serve { .. } => "58030",
            Self::Format(_) => "XX000",
            Self::Picture(_) => "22P03",
            Self::SomeFailed(_) => "P0000",
            Self::BadModels { .. } => "XX001",
            Self::Runtime(_) => "53000",
            Self::Source(error) => error.sqlstate(),
            Self::Mot(MotError::Read { source, .. }) => match source.kind() {
                io::ErrorKind::NotFound => "58P01",
                io::ErrorKind::PermissionDenied => "42501",
                _ => "58030",
            },
            Self::Mot(MotError::Line { .. }) => "22P02",
            Self::Mot(MotError::Frame { .. }) => "22003",
            Self::NoSequence { .. } => "58P01",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.detail(),
            Self::Sql(error) | Self::Statement { error, .. } => error.detail().map(Into::into),
            Self::Model(error) => error.detail().map(Into::into),
            Self::Config(error) => error.detail(),
            Self::Server { detail, .. } => detail.clone(),
            Self::Source(error) => error.detail(),
            Self::Url { reason, .. } => Some(format!("It has an error: {reason}.")),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Sql(error) | Self::Statement { error, .. } => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Server { hint, .. } => hint.clone(),
            Self::Source(error) => error.hint(),
            Self::Mot(MotError::Frame { .. }) => {
                Some("Scores that are logits become confidences with \"--score sigmoid\".".into())
            }
            Self::NoSequence { .. } => {
                Some("A sequence is a folder with det.txt in it, one level below --mot.".into())
            }
            Self::Connect { .. } => Some(
                "Start a server with \"vigil serve\", or name a running one with --url.".into(),
            ),
            Self::Url { .. } => {
                Some("A server URL has the form postgres://127.0.0.1:7432/vigil.".into())
            }
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(
                "Another server may be running there; choose another address with --listen.".into(),
            ),
            Self::Bind { .. } => Some(
                "--listen takes an address of this machine and a port, such as 127.0.0.1:7432."
                    .into(),
            ),
            Self::Insecure { .. } => Some(
                "Make roles first: listen on 127.0.0.1, CREATE ROLE … LOGIN PASSWORD …, and GRANT \
                 vigil_admin to one. --insecure listens all the same."
                    .into(),
            ),
            Self::HalfTls => Some("Give --tls-cert and --tls-key.".into()),
            Self::BadModels { .. } => {
                Some("Run \"vigil models pull\" with their names to fetch them.".into())
            }
            _ => None,
        }
    }

    /// Where in the text of a statement it went wrong: the line and a mark below the place.
    fn place(&self) -> Option<String> {
        let Self::Statement { error, text } = self else { return None };
        marked_line(text, error.position()?)
    }

    /// Whether the reader of our output went away, which is no failure.
    pub(super) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Writes it to stderr.
    pub(super) fn tell(&self) {
        // Without stderr there is nobody left to tell.
        let _ = self.write(&mut io::stderr().lock());
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "ERROR:  {}: {self}", self.sqlstate())?;
        if let Some(place) = self.place() {
            writeln!(to, "{place}")?;
        }
        if let Some(detail) = self.detail() {
            writeln!(to, "DETAIL:  {detail}")?;
        }
        if let Some(hint) = self.hint() {
            writeln!(to, "HINT:  {hint}")?;
        }
        Ok(())
    }
}

/// The line of `text` that the character `position` (from 1) is in, with a mark below it.
fn marked_line(text: &str, position: usize) -> Option<String> {
    let before: String = text.chars().take(position.checked_sub(1)?).collect();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let label = format!("LINE {number}: ");
    let indent = " ".repeat(label.len() + column);
    Some(format!("{label}{}\n{indent}^", line.replace('\t', " ")))
}

/// What the system said, as a clause: `address already in use`.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: &CliError) -> String {
        let mut bytes = vec![];
        error.write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_taken_port_is_told_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let source = std::net::TcpListener::bind(&address).unwrap_err();
        let error = CliError::Bind { address: address.clone(), source };
        assert_eq!(
            told(&error),
            format!(
                "ERROR:  55006: could not bind to {address}: address already in use\n\
                 HINT:  Another server may be running there; choose another address with --listen.\n"
            )
        );
    }

    #[test]
    fn a_syntax_error_marks_its_place() {
        let error = SqlError::Syntax { near: Some("FORM".into()), position: 27 };
        let text = "SELECT 1;\nCREATE SOURCE a FORM 'b';\n".to_owned();
        assert_eq!(
            told(&CliError::Statement { error, text }),
            "ERROR:  42601: syntax error at or near \"FORM\"\n\
             LINE 2: CREATE SOURCE a FORM 'b';\n\
             \u{20}                       ^\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert!(CliError::Output(io::ErrorKind::BrokenPipe.into()).is_closed_output());
        assert!(!CliError::Output(io::ErrorKind::StorageFull.into()).is_closed_output());
    }
}
