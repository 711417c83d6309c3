//! What a client is told beside its answer.

/// A message that does not stop anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    /// Five characters of PostgreSQL's appendix A.
    pub sqlstate: &'static str,
    /// Lower case, no full stop.
    pub message: String,
}

impl Notice {
    /// Something worth knowing: a `NOTICE`.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "NOTICE", sqlstate, message: message.into() }
    }

    /// Something that was probably not meant: a `WARNING`.
    pub fn warning(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "WARNING", sqlstate, message: message.into() }
    }
}
