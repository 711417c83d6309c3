//! Who may do what: `has_table_privilege`, `pg_has_role` and their like, by what was granted.
//!
//! As in PostgreSQL, the role that is asked for comes first and may be left out, objects are named by
//! text or OID, several privileges are separated by commas and any of them is enough, and an OID of
//! nothing is NULL. Nobody may write into tables that the engine fills.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::relations::Relations;
use crate::SqlError;
use crate::access::Access;
use crate::catalog::system::SYSTEM_SCHEMA;
use crate::database::DEFAULT_SCHEMA;
use crate::roles::Privileges;

/// What a privilege is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum On {
    Table,
    /// Any column of a table, or one that is named after the table.
    AnyColumn,
    Column,
    Schema,
    Database,
    /// Functions, types and languages are for everybody.
    Everybody,
    /// Sequences, servers, tablespaces and what else there is none of.
    Nothing,
    Role,
}

const FUNCTIONS: [(&str, On); 13] = [
    ("has_table_privilege", On::Table),
    ("has_any_column_privilege", On::AnyColumn),
    ("has_column_privilege", On::Column),
    ("has_schema_privilege", On::Schema),
    ("has_database_privilege", On::Database),
    ("has_function_privilege", On::Everybody),
    ("has_type_privilege", On::Everybody),
    ("has_language_privilege", On::Everybody),
    ("has_sequence_privilege", On::Nothing),
    ("has_server_privilege", On::Nothing),
    ("has_tablespace_privilege", On::Nothing),
    ("has_foreign_data_wrapper_privilege", On::Nothing),
    ("pg_has_role", On::Role),
];

/// All of them, for the session of `user`.
pub(super) fn functions(
    relations: &Arc<Relations>,
    access: &Arc<Access>,
    user: &str,
) -> Vec<ScalarUDF> {
    FUNCTIONS
        .into_iter()
        .map(|(name, on)| {
            let least = if on == On::Column { 3 } else { 2 };
            let signatures = vec![TypeSignature::Any(least), TypeSignature::Any(least + 1)];
            ScalarUDF::new_from_impl(Asked {
                name,
                on,
                signature: Signature::one_of(signatures, Volatility::Stable),
                relations: Arc::clone(relations),
                access: Arc::clone(access),
                user: user.to_owned(),
            })
        })
        .collect()
}

#[derive(Debug)]
struct Asked {
    name: &'static str,
    on: On,
    signature: Signature,
    relations: Arc<Relations>,
    access: Arc<Access>,
    user: String,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.access, &other.access)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A name or an OID.
enum Named {
    Text(String),
    Oid(i64),
}

/// The value of an argument in a row; `None` is NULL.
fn named(array: &dyn Array, row: usize) -> Result<Option<Named>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let one = array.slice(row, 1);
    Ok(Some(if array.data_type().is_integer() {
        Named::Oid(cast(&one, &DataType::Int64)?.as_primitive::<Int64Type>().value(0))
    } else {
        Named::Text(cast(&one, &DataType::Utf8)?.as_string::<i32>().value(0).to_owned())
    }))
}

fn refused(sqlstate: &'static str, message: String) -> SqlError {
    SqlError::Invalid { sqlstate, message, hint: None, position: None }
}

impl Asked {
    /// What the role of the question may do.
    fn privileges(&self, role: Option<&Named>) -> Result<Option<Privileges>, SqlError> {
        let Some(role) = role else { return self.access.privileges().map(Some) };
        match role {
            Named::Text(name) if *name == self.user => self.access.privileges().map(Some),
            Named::Text(name) => match self.access.privileges_of(name) {
                Some(privileges) => Ok(Some(privileges)),
                None => Err(refused("42704", format!("role \"{name}\" does not exist"))),
            },
            Named::Oid(oid) => {
                let name = self.access.role_with_oid(*oid);
                Ok(name.and_then(|name| self.access.privileges_of(&name)))
            }
        }
    }

    /// Schema and name of a table; an OID of none is NULL.
    fn table(&self, table: &Named) -> Result<Option<(String, String)>, SqlError> {
        match table {
            Named::Oid(oid) => {
                Ok(i32::try_from(*oid).ok().and_then(|oid| self.relations.name_of(oid)))
            }
            Named::Text(text) => {
                let (schemas, name) = match text.split_once('.') {
                    Some((schema, name)) => (vec![unquoted(schema)], unquoted(name)),
                    None => (vec![DEFAULT_SCHEMA.into(), super::SCHEMA.into()], unquoted(text)),
                };
                let found =
                    schemas.into_iter().find(|schema| self.relations.find(schema, &name).is_some());
                match found {
                    Some(schema) => Ok(Some((schema, name))),
                    None => Err(refused("42P01", format!("relation \"{text}\" does not exist"))),
                }
            }
        }
    }

    fn on_table(
        &self,
        table: &Named,
        asked: &str,
        of: &Privileges,
    ) -> Result<Option<bool>, SqlError> {
        let Some((schema, name)) = self.table(table)? else { return Ok(None) };
        let is_ours = [DEFAULT_SCHEMA, SYSTEM_SCHEMA].contains(&schema.as_str());
        let may_read = match name.as_str() {
            "pg_authid" | "pg_shadow" => of.is_admin,
            _ => !is_ours || of.rows_of(&schema, &name).is_some(),
        };
        let all = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
        any(asked, &all, |privilege| privilege == "SELECT" && may_read).map(Some)
    }

    fn answer(&self, values: &[Option<Named>]) -> Result<Option<bool>, SqlError> {
        let least = if self.on == On::Column { 3 } else { 2 };
        let (role, rest) = values.split_at(values.len().saturating_sub(least));
        // NULL for NULL.
        if values.iter().any(Option::is_none) {
            return Ok(None);
        }
        let (Some(Some(object)), Some(Some(Named::Text(asked)))) = (rest.first(), rest.last())
        else {
            return Err(refused("42883", format!("{} takes a privilege at last", self.name)));
        };
        let Some(of) = self.privileges(role.first().and_then(Option::as_ref))? else {
            return Ok(None);
        };
        match self.on {
            On::Table | On::AnyColumn => self.on_table(object, asked, &of),
            On::Column => {
                let Some((schema, table)) = self.table(object)? else { return Ok(None) };
                if let Some(Some(Named::Text(column))) = rest.get(1)
                    && !self.relations.has_column(&schema, &table, &unquoted(column))
                {
                    let message =
                        format!("column \"{column}\" of relation \"{table}\" does not exist");
                    return Err(refused("42703", message));
                }
                self.on_table(object, asked, &of)
            }
            On::Schema => {
                any(asked, &["CREATE", "USAGE"], |privilege| privilege == "USAGE" || of.is_admin)
                    .map(Some)
            }
            On::Database => any(asked, &["CREATE", "CONNECT", "TEMPORARY", "TEMP"], |privilege| {
                privilege == "CONNECT" || of.is_admin
            })
            .map(Some),
            On::Everybody => any(asked, &["EXECUTE", "USAGE"], |_| true).map(Some),
            On::Nothing => Ok(Some(of.is_admin)),
            On::Role => {
                let group = match object {
                    Named::Text(name) if *name == self.user => return Ok(Some(true)),
                    Named::Text(name) if self.access.privileges_of(name).is_none() => {
                        return Err(refused("42704", format!("role \"{name}\" does not exist")));
                    }
                    Named::Text(name) => Some(name.clone()),
                    Named::Oid(oid) => self.access.role_with_oid(*oid),
                };
                let Some(group) = group else { return Ok(None) };
                let is_member = of.is_admin || of.roles.contains(&group);
                any(asked, &["USAGE", "MEMBER", "SET"], |_| is_member).map(Some)
            }
        }
    }
}

/// Whether one of the privileges that are named is there; with the right to grant it on, none is.
fn any(asked: &str, known: &[&str], has: impl Fn(&str) -> bool) -> Result<bool, SqlError> {
    let mut found = false;
    for privilege in asked.split(',') {
        let name = privilege.trim().to_ascii_uppercase();
        let plain = ["WITH GRANT OPTION", "WITH ADMIN OPTION"]
            .into_iter()
            .find_map(|option| name.strip_suffix(option))
            .map(str::trim);
        if !known.contains(&plain.unwrap_or(&name)) {
            let message = format!("unrecognized privilege type: \"{}\"", privilege.trim());
            return Err(refused("22023", message));
        }
        found |= plain.is_none() && has(&name);
    }
    Ok(found)
}

fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_ascii_lowercase(),
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = call
            .args
            .iter()
            .map(|value| value.to_array(call.number_rows))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let answers = (0..call.number_rows).map(|row| {
            let values = arrays.iter().map(|array| named(array.as_ref(), row));
            self.answer(&values.collect::<Result<Vec<_>>>()?)
                .map_err(|error| DataFusionError::External(Box::new(error)))
        });
        Ok(ColumnarValue::Array(Arc::new(answers.collect::<Result<BooleanArray>>()?)))
    }
}
