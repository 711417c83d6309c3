//! What the objects of the catalog are called and take, by their OIDs.

use super::catalog::OWN_OIDS;
use super::types::Reg;
use super::value::{Key, Value};
use super::{Engine, Stop};

/// The OID of the first function that is not PostgreSQL's.
const FIRST_OWN: i64 = 16_384;

impl Engine<'_> {
    /// The name of the role with this OID.
    pub(super) fn role_of(&self, oid: i64) -> Option<String> {
        let found = self.found("pg_roles", "oid", &Key::Int(oid), ["rolname"]);
        found.first().and_then(|[name]| name.written())
    }

    /// What an object of a table of the catalog is, as `pg_describe_object` says it.
    pub(super) fn description_of(&self, class: i64, oid: i64) -> Option<String> {
        let (table, _) = OWN_OIDS.iter().find(|(_, own)| *own == class)?;
        let (kind, what) = match *table {
            "pg_class" => (Reg::Class, "table"),
            "pg_type" => (Reg::Type, "type"),
            "pg_proc" => (Reg::Procedure, "function"),
            "pg_namespace" => (Reg::Namespace, "schema"),
            _ => return None,
        };
        Some(format!("{what} {}", self.name_of(kind, oid)))
    }

    /// The result's type of a function of PostgreSQL's, and the types of its arguments; `None` for
    /// others.
    pub(super) fn signature_of(&self, oid: i64) -> Result<Option<(String, String)>, Stop> {
        if oid >= FIRST_OWN {
            return Ok(None);
        }
        let columns = ["prorettype", "proretset", "proargtypes"];
        let found = self.found("pg_proc", "oid", &Key::Int(oid), columns);
        let Some([result, gives_rows, arguments]) = found.first() else { return Ok(None) };
        let name = |oid: &Value| -> Result<String, Stop> {
            let name = self.call_named("format_type", vec![oid.clone(), Value::Null])?;
            Ok(name.written().unwrap_or_default())
        };
        let rows = if gives_rows.truth() == Some(true) { "SETOF " } else { "" };
        let arguments = arguments.elements().unwrap_or_default();
        let arguments = arguments.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        Ok(Some((format!("{rows}{}", name(result)?), arguments.join(", "))))
    }
}
