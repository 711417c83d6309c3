//! What a session has open and has named, as `pg_cursors` and `pg_prepared_statements` show it.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use vigil_udfs::type_of;

use super::Session;
use super::prepare::Prepared;
use crate::activity::now_micros;

/// A session's cursors and prepared statements, for the catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) cursors: Vec<CursorObject>,
    pub(crate) statements: Vec<Named>,
    /// What the session listens to.
    pub(crate) channels: Vec<String>,
    /// The pids of all sessions, and whether their clients use TLS.
    pub(crate) encrypted: Vec<(i32, bool)>,
}

/// A row of `pg_cursors`.
#[derive(Clone, Debug)]
pub(crate) struct CursorObject {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    pub(crate) is_holdable: bool,
    pub(crate) is_scrollable: bool,
    /// Microseconds since the Unix epoch.
    pub(crate) since: i64,
}

/// A row of `pg_prepared_statements`.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    /// Microseconds since the Unix epoch.
    pub(crate) since: i64,
    pub(crate) parameters: Vec<String>,
    /// `None` for one without rows.
    pub(crate) results: Option<Vec<String>>,
    /// Whether `PREPARE` has named it, and not the protocol.
    pub(crate) is_from_sql: bool,
}

impl Named {
    pub(super) fn new(
        name: &str,
        statement: Arc<str>,
        prepared: &Prepared,
        is_from_sql: bool,
    ) -> Self {
        let type_name = |field: Option<&FieldRef>| {
            field.map_or_else(|| "text".to_owned(), |field| type_of::name(field))
        };
        let parameters = prepared.parameters.iter().map(|field| type_name(field.as_ref()));
        let results = prepared
            .schema
            .as_ref()
            .map(|schema| schema.fields().iter().map(|field| type_name(Some(field))).collect());
        Self {
            name: name.to_owned(),
            statement,
            since: now_micros(),
            parameters: parameters.collect(),
            results,
            is_from_sql,
        }
    }
}

impl Session {
    /// What it has at this moment.
    pub(super) fn objects(&self) -> Objects {
        Objects {
            cursors: self.cursors.objects(),
            statements: self.named.values().cloned().collect(),
            channels: self.mailbox.channels(),
            encrypted: self
                .database
                .activity()
                .all()
                .iter()
                .map(|backend| (backend.pid(), backend.is_encrypted()))
                .collect(),
        }
    }
}
