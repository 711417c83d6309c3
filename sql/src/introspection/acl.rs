//! `pg_class.relacl`: who may read a table, as PostgreSQL writes it. A grant on a source is not among them, as it is
//! one of rows.

use arrow::datatypes::DataType;
use datafusion::execution::session_state::SessionState;

use super::relation::{Column, Relation};
use super::types::list;
use super::value::Value;
use crate::access::Access;
use crate::catalog::StandardTable;
use crate::catalog::system::{self, SYSTEM_SCHEMA};
use crate::database::DEFAULT_SCHEMA;
use crate::roles::{Grant, PUBLIC, READER, RoleMap};

/// Whom PostgreSQL's tables belong to, and ours in the catalog.
const OWNER: &str = "postgres";

/// `pg_class` with what was granted on our tables and views.
pub(super) fn with_grants(relation: Relation, state: &SessionState) -> Relation {
    let Some(access) = state.config().get_extension::<Access>() else { return relation };
    let roles = access.all_roles();
    let place =
        |name: &str| relation.columns.iter().position(|column| column.name.as_ref() == name);
    let (Some(named), Some(kind), Some(lasts)) =
        (place("relname"), place("relkind"), place("relpersistence"))
    else {
        return relation;
    };
    let acls: Vec<Value> = relation
        .rows
        .iter()
        .map(|row| match (text(&row[named]), text(&row[kind])) {
            // Nothing is granted on what is temporary.
            (Some(name), Some(kind)) if text(&row[lasts]) != Some("t") => schema_of(name, kind)
                .map_or(Value::Null, |schema| {
                    Value::array(
                        entries(&roles, schema, name).into_iter().map(Value::text).collect(),
                    )
                }),
            _ => Value::Null,
        })
        .collect();
    relation.with_column(Column::new("relacl", list(DataType::Utf8)), acls)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn schema_of(name: &str, kind: &str) -> Option<&'static str> {
    match kind {
        "v" if StandardTable::ALL.iter().all(|table| table.name() != name)
            && !name.starts_with("pg_") =>
        {
            Some(DEFAULT_SCHEMA)
        }
        "r" if StandardTable::ALL.iter().any(|table| table.name() == name) => Some(DEFAULT_SCHEMA),
        "r" if system::all().iter().any(|table| table.name == name) => Some(SYSTEM_SCHEMA),
        _ => None,
    }
}

/// The owner first, then whoever was granted the table or its schema.
fn entries(roles: &RoleMap, schema: &str, table: &str) -> Vec<String> {
    let granted = |grants: &std::collections::BTreeSet<Grant>| {
        grants.contains(&Grant::Table(schema.to_owned(), table.to_owned()))
            || grants.contains(&Grant::Schema(schema.to_owned()))
    };
    let mut entries = vec![format!("{OWNER}=r/{OWNER}")];
    for (name, role) in roles {
        if name == READER || granted(&role.grants) {
            // Everybody has no name there.
            let grantee = if name == PUBLIC { "" } else { name.as_str() };
            entries.push(format!("{}=r/{OWNER}", quoted(grantee)));
        }
    }
    entries
}

/// PostgreSQL puts names with other characters than letters, digits and underscores into quotes.
fn quoted(name: &str) -> String {
    if name.chars().all(|character| character.is_alphanumeric() || character == '_') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::Role;

    #[test]
    fn entries_are_written_as_postgresqls() {
        let mut roles = RoleMap::new();
        let role = |grant| Role { grants: [grant].into(), ..Role::default() };
        let table = |name: &str| Grant::Table("public".into(), name.into());
        roles.insert(READER.into(), Role::default());
        roles.insert("a b".into(), role(table("frames")));
        roles.insert("guard".into(), role(Grant::Schema("public".into())));
        roles.insert("other".into(), role(table("tracks")));
        roles.insert(PUBLIC.into(), role(table("frames")));
        roles.insert("lobby".into(), role(Grant::Source("lobby".into())));
        assert_eq!(
            entries(&roles, "public", "frames"),
            [
                "postgres=r/postgres",
                "\"a b\"=r/postgres",
                "guard=r/postgres",
                "=r/postgres",
                "vigil_reader=r/postgres"
            ]
        );
    }
}
