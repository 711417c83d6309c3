//! Which columns a query with groups may ask for: those that it groups by, and what aggregates make of the
//! others.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Visit, Visitor};

use super::Stop;
use super::aggregate::is_aggregate;
use super::functions::name_of;
use super::relation::Column;
use super::scope::{fold, position};

/// What a query groups by.
pub(super) struct Keys<'a> {
    columns: &'a [Column],
    /// As they are written.
    written: Vec<String>,
    /// The places of those that are columns.
    places: Vec<usize>,
}

impl<'a> Keys<'a> {
    /// The keys of a query whose tables have `columns`.
    pub(super) fn new(columns: &'a [Column], keys: &[Expr]) -> Self {
        let written = keys.iter().map(|key| unnested(key).to_string()).collect();
        let places = keys.iter().filter_map(|key| place(columns, key)).collect();
        Self { columns, written, places }
    }

    /// Refuses an expression with a column of its own that has not one value in a group.
    ///
    /// # Errors
    /// SQLSTATE 42803.
    pub(super) fn check(&self, expr: &Expr) -> Result<(), Stop> {
        match expr.visit(&mut Finder { keys: self, inside: 0 }) {
            ControlFlow::Break(place) => self.check_column(place),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// The same for the column at a place.
    pub(super) fn check_column(&self, place: usize) -> Result<(), Stop> {
        let Some(column) = self.columns.get(place) else { return Ok(()) };
        if self.tells(place) {
            return Ok(());
        }
        let table = column.table.as_deref().map(|table| format!("{table}.")).unwrap_or_default();
        let name = &column.name;
        Err(Stop::invalid(
            "42803",
            format!(
                "column \"{table}{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ),
        ))
    }

    /// Whether a column has one value in each group: it is grouped by, or the key of its table is.
    fn tells(&self, place: usize) -> bool {
        let table = self.columns.get(place).and_then(|column| column.table.as_deref());
        let keys = self.places.iter().filter_map(|key| self.columns.get(*key));
        let of_table: Vec<&Column> =
            keys.filter(|key| table.is_some() && key.table.as_deref() == table).collect();
        let is_key = |key: &&Column| matches!(&*key.name, "oid" | "indexrelid");
        // Keys of more than one column are not known here, so two are taken for one.
        self.places.contains(&place) || of_table.iter().any(is_key) || of_table.len() > 1
    }
}

/// Finds a column that is neither grouped by nor within an aggregate.
struct Finder<'a> {
    keys: &'a Keys<'a>,
    /// Keys, aggregates and queries that the visitor is in.
    inside: usize,
}

impl Finder<'_> {
    fn is_one_value(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Function(function) if function.over.is_none() => {
                is_aggregate(&name_of(function)) || self.is_key(expr)
            }
            other => self.is_key(other),
        }
    }

    fn is_key(&self, expr: &Expr) -> bool {
        !self.keys.written.is_empty() && self.keys.written.contains(&unnested(expr).to_string())
    }
}

impl Visitor for Finder<'_> {
    type Break = usize;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<usize> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<usize> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<usize> {
        if self.is_one_value(expr) {
            self.inside += 1;
        } else if self.inside == 0
            && let Some(place) = place(self.keys.columns, expr)
            && !self.keys.tells(place)
        {
            return ControlFlow::Break(place);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<usize> {
        if self.is_one_value(expr) {
            self.inside -= 1;
        }
        ControlFlow::Continue(())
    }
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// Where the column is that an expression is.
fn place(columns: &[Column], expr: &Expr) -> Option<usize> {
    let (table, name) = match unnested(expr) {
        Expr::Identifier(name) => (None, fold(name)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., table, name] => (Some(fold(table)), fold(name)),
            _ => return None,
        },
        _ => return None,
    };
    position(columns, table.as_deref(), &name).ok().flatten()
}
