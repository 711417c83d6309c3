//! What a name in a statement means: the row that is looked at, and those around it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Ident;

use super::Stop;
use super::relation::{Column, Relation};
use super::value::Value;

/// A row, within the rows of the queries around it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) parent: Option<&'a Scope<'a>>,
    pub(super) columns: &'a [Column],
    /// Empty while only types are asked for.
    pub(super) row: &'a [Value],
    pub(super) ctes: Option<&'a Ctes<'a>>,
    /// Aggregates, windows and functions of many rows, by how they are written.
    pub(super) computed: Option<&'a HashMap<String, Value>>,
}

/// The queries that `WITH` has named.
pub(super) struct Ctes<'a> {
    pub(super) parent: Option<&'a Ctes<'a>>,
    pub(super) name: String,
    pub(super) relation: Arc<Relation>,
}

impl Ctes<'_> {
    pub(super) fn find(&self, name: &str) -> Option<Arc<Relation>> {
        if self.name == name {
            return Some(Arc::clone(&self.relation));
        }
        self.parent?.find(name)
    }
}

/// What a name is found to be.
pub(super) enum Found<'a> {
    /// The column of a row.
    Column(&'a Column, Option<&'a Value>),
    /// A whole row of a table.
    Row(Vec<(Arc<str>, Value)>),
}

impl<'a> Scope<'a> {
    pub(super) const EMPTY: Scope<'static> =
        Scope { parent: None, columns: &[], row: &[], ctes: None, computed: None };

    /// The scope of a row within this one.
    pub(super) fn inner<'b>(&'b self, columns: &'b [Column], row: &'b [Value]) -> Scope<'b> {
        Scope { parent: Some(self), columns, row, ctes: self.ctes, computed: None }
    }

    /// The same with what was computed for the row.
    pub(super) fn with_computed<'b>(&self, computed: &'b HashMap<String, Value>) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { computed: Some(computed), ..*self }
    }

    pub(super) fn cte(&self, name: &str) -> Option<Arc<Relation>> {
        self.ctes?.find(name)
    }

    /// What a name, perhaps with its table's, means.
    pub(super) fn find(&self, names: &[Ident]) -> Result<Found<'a>, Stop> {
        let folded: Vec<String> = names.iter().map(fold).collect();
        let (table, name) = match folded.as_slice() {
            [name] => (None, name.as_str()),
            [.., table, name] => (Some(table.as_str()), name.as_str()),
            [] => return Err(Stop::Unsupported("an empty name".into())),
        };
        let mut scope = Some(*self);
        while let Some(current) = scope {
            if let Some(at) = position(current.columns, table, name)? {
                return Ok(Found::Column(&current.columns[at], current.row.get(at)));
            }
            if table.is_none()
                && current.columns.iter().any(|column| column.table.as_deref() == Some(name))
            {
                let fields = current.columns.iter().enumerate();
                let fields = fields.filter(|(_, column)| column.table.as_deref() == Some(name));
                let value = |at| current.row.get(at).cloned().unwrap_or(Value::Null);
                return Ok(Found::Row(
                    fields.map(|(at, column)| (Arc::clone(&column.name), value(at))).collect(),
                ));
            }
            scope = current.parent.copied();
        }
        let shown = folded.join(".");
        Err(Stop::invalid(
            "42703",
            match table {
                Some(_) => format!("column {shown} does not exist"),
                None => format!("column \"{shown}\" does not exist"),
            },
        ))
    }
}

/// Where a column is.
///
/// # Errors
/// When several have the name.
pub(super) fn position(
    columns: &[Column],
    table: Option<&str>,
    name: &str,
) -> Result<Option<usize>, Stop> {
    let mut matches = columns.iter().enumerate().filter(|(_, column)| {
        column.name.as_ref() == name
            && match table {
                Some(table) => column.table.as_deref() == Some(table),
                None => !column.is_merged,
            }
    });
    let first = matches.next().map(|(at, _)| at);
    if first.is_some() && matches.next().is_some() {
        return Err(Stop::invalid("42702", format!("column reference \"{name}\" is ambiguous")));
    }
    Ok(first)
}

/// A name as PostgreSQL keeps it: lower case unless it is quoted.
pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
