//! `DROP TABLE IF EXISTS` and its like, with which scripts begin: what is not there need not be dropped.

use datafusion::common::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType};

use super::{Outcome, Session};
use crate::{Notice, SqlError};

impl Session {
    /// Says of each name that there is no such thing.
    ///
    /// # Errors
    /// SQLSTATE 0A000 for what is there, as nothing of these kinds can be dropped.
    pub(super) fn drop_if_exists(
        &self,
        kind: ObjectType,
        names: &[ObjectName],
    ) -> Result<Outcome, SqlError> {
        let tag = format!("DROP {kind}");
        let mut notices = Vec::new();
        for name in names {
            let name = object_name_to_table_reference(name.clone(), true)?;
            let Some(missing) = self.missing(kind, &name) else {
                let hint =
                    "Vigil's tables are the engine's own; DROP SOURCE takes a source's rows out.";
                return Err(SqlError::Unsupported { what: tag, hint: Some(hint.into()) });
            };
            notices.push(Notice::new("00000", format!("{missing} does not exist, skipping")));
        }
        Ok(Outcome::done(&tag, notices))
    }

    /// What is not there, in PostgreSQL's words; `None` for what is.
    fn missing(&self, kind: ObjectType, name: &TableReference) -> Option<String> {
        let state = self.state();
        let is_schema = kind == ObjectType::Schema;
        // A schema's name is read as that of a table in none.
        let schema = if is_schema { Some(name.table()) } else { name.schema() };
        let any_table = TableReference::partial(schema.unwrap_or("public"), "frames");
        let Ok(found) = state.schema_for_ref(any_table) else {
            return Some(format!("schema \"{}\"", schema.unwrap_or_default()));
        };
        let is_there = is_schema || found.table_exist(name.table());
        let kind = kind.to_string().to_lowercase();
        (!is_there).then(|| format!("{kind} \"{}\"", name.table()))
    }
}
