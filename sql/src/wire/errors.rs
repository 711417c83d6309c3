//! Errors and notices as PostgreSQL's messages.

use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::PgWireBackendMessage;

use crate::{Notice, SqlError};

/// An error of a statement.
pub(super) fn statement_error(error: &SqlError) -> PgWireError {
    report(error, "ERROR")
}

/// An error that ends the connection.
pub(super) fn fatal_error(error: &SqlError) -> PgWireError {
    report(error, "FATAL")
}

fn report(error: &SqlError, severity: &str) -> PgWireError {
    if let SqlError::Panicked { detail } = error {
        tracing::error!(%detail, "a statement panicked");
    }
    let mut info =
        ErrorInfo::new(severity.to_owned(), error.sqlstate().to_owned(), error.to_string());
    info.severity_nonlocalized = Some(severity.to_owned());
    info.detail = error.detail().map(str::to_owned);
    info.hint = error.hint();
    info.position = error.position().map(|position| position.to_string());
    PgWireError::UserError(Box::new(info))
}

/// A violation of the protocol by the client.
pub(super) fn protocol_error(message: impl Into<String>) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), "08P01".to_owned(), message.into());
    PgWireError::UserError(Box::new(info))
}

/// The same, so bad that the connection ends.
pub(super) fn violation(message: &str) -> PgWireError {
    let info = ErrorInfo::new("FATAL".to_owned(), "08P01".to_owned(), message.to_owned());
    PgWireError::UserError(Box::new(info))
}

/// A notice.
pub(super) fn notice_message(notice: &Notice) -> PgWireBackendMessage {
    let severity = notice.severity.to_owned();
    let mut info =
        ErrorInfo::new(severity.clone(), notice.sqlstate.to_owned(), notice.message.clone());
    info.severity_nonlocalized = Some(severity);
    PgWireBackendMessage::NoticeResponse(info.into())
}

/// Arrays in arrays, of vectors and of bits, and what else Arrow has and the protocol has not; any other
/// text as it is.
fn cannot_be_sent(text: String, hint: &mut Option<String>) -> (&'static str, String) {
    if let Some(name) = text.strip_prefix("Unsupported List Datatype ") {
        *hint = Some("Send it as JSON: to_json(…).".to_owned());
        ("0A000", format!("arrays of {name} cannot be sent"))
    } else if let Some(name) = text.strip_prefix("Unsupported Datatype ") {
        *hint = Some("Cast it to text.".to_owned());
        ("0A000", format!("values of the type {name} cannot be sent"))
    } else {
        ("XX000", text)
    }
}

/// pgwire's own errors in PostgreSQL's words, where it has others.
pub(super) fn polish(error: &mut PgWireError) {
    let mut hint = None;
    let (sqlstate, message) = match error {
        PgWireError::StatementNotFound(name) => {
            ("26000", format!("prepared statement \"{name}\" does not exist"))
        }
        PgWireError::PortalNotFound(name) => ("34000", format!("portal \"{name}\" does not exist")),
        PgWireError::FailedToParseParameter(inner) => {
            ("22P02", format!("invalid input for a parameter: {inner}"))
        }
        PgWireError::InvalidRustTypeForParameter(name) => {
            ("42804", format!("parameters of type {name} are not supported here"))
        }
        PgWireError::ApiError(inner) => cannot_be_sent(inner.to_string(), &mut hint),
        PgWireError::UserError(info) if info.message.starts_with("Unsupported ") => {
            cannot_be_sent(info.message.clone(), &mut hint)
        }
        _ => return,
    };
    let mut info = ErrorInfo::new("ERROR".to_owned(), sqlstate.to_owned(), message);
    info.hint = hint;
    *error = PgWireError::UserError(Box::new(info));
}
