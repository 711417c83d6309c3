//! Joins whose columns are known by their tables alone: `NATURAL` becomes `USING`, so that its columns are
//! found as those are, and the `*` of a right or full join with `USING` is written out, as DataFusion (55.2)
//! gives the left table's values for the columns of both.
//!
//! What is joined with a query of an inner `WITH`, or with a function other than a series, is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::names::{self, folded};
use crate::SqlError;
use crate::dialect::{
    Side, call, constraint, constraint_mut, tell_joined_columns, with_deep_stack,
};

/// Rewrites the joins of `statement`, whose tables are looked up in `state`.
///
/// # Errors
/// SQLSTATE 0A000 for a right or full join of which it is not known what columns it has.
pub(super) async fn mend(statement: &mut Statement, state: &SessionState) -> Result<(), SqlError> {
    let Some(names) = with_deep_stack(|| tables_to_know(statement)) else { return Ok(()) };
    let mut tables = Tables::new();
    for name in names.tables {
        if let Some(columns) = columns_of(&name, state).await {
            tables.insert(name, columns);
        }
    }
    for (name, columns) in names.queries {
        // Within the query itself its name is that of a table.
        if columns_of(&name, state).await.is_none() {
            tables.insert(name, columns);
        }
    }
    with_deep_stack(|| {
        let _ = statement.visit(&mut Mender { tables: &tables });
        tell_joined_columns(statement);
        match Visit::visit(&*statement, &mut Unknown) {
            ControlFlow::Break(hint) => Err(SqlError::Unsupported {
                what: "a right or full join of queries whose columns are not listed".into(),
                hint: Some(hint.into()),
            }),
            ControlFlow::Continue(()) => Ok(()),
        }
    })
}

/// Finds a join for whose columns DataFusion would give the left table's values, and says what to do.
struct Unknown;

impl Visitor for Unknown {
    type Break = &'static str;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        if select.from.iter().any(|from| has(from, &|on| matches!(on, JoinConstraint::Natural))) {
            return ControlFlow::Break("Name the columns with USING.");
        }
        let is_using = |on: &JoinConstraint| matches!(on, JoinConstraint::Using(_));
        if has_star(select) && select.from.iter().any(|from| has(from, &is_using)) {
            return ControlFlow::Break("List the columns instead of *.");
        }
        ControlFlow::Continue(())
    }
}

/// Whether a right or full join is like this.
fn has(from: &TableWithJoins, wanted: &dyn Fn(&JoinConstraint) -> bool) -> bool {
    let nested = |table: &TableFactor| match table {
        TableFactor::NestedJoin { table_with_joins, .. } => has(table_with_joins, wanted),
        _ => false,
    };
    let is_it = |join: &Join| {
        constraint(&join.join_operator).is_some_and(|(on, side)| !side.is_of_left() && wanted(on))
    };
    nested(&from.relation) || from.joins.iter().any(|join| is_it(join) || nested(&join.relation))
}

/// The columns of tables, by the parts of their names.
type Tables = BTreeMap<Vec<String>, Vec<String>>;

/// The names of all tables, if there is a join that needs them.
fn tables_to_know(statement: &Statement) -> Option<Names> {
    let mut names = Names::default();
    let _ = statement.visit(&mut names);
    let Names { tables, with, .. } = &mut names;
    tables.retain(|name| !matches!(name.as_slice(), [name] if with.contains(name)));
    names.is_needed.then_some(names)
}

#[derive(Default)]
struct Names {
    tables: BTreeSet<Vec<String>>,
    with: BTreeSet<String>,
    /// The columns of the outermost query's `WITH`, unless an inner one has the same name.
    queries: Tables,
    is_inner: bool,
    is_needed: bool,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let is_inner = std::mem::replace(&mut self.is_inner, true);
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = folded(&cte.alias.name);
            self.queries.remove(std::slice::from_ref(&name));
            if !is_inner && let Some(mut columns) = outputs(&cte.query.body) {
                for (column, alias) in columns.iter_mut().zip(&cte.alias.columns) {
                    *column = folded(&alias.name);
                }
                self.queries.insert(vec![name.clone()], columns);
            }
            self.with.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let has_star = has_star(select);
        self.is_needed |= select.from.iter().any(|from| is_needed(from, has_star));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.tables.extend(path(name));
        ControlFlow::Continue(())
    }
}

fn has_star(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)))
}

fn is_needed(from: &TableWithJoins, has_star: bool) -> bool {
    let nested = |table: &TableFactor| match table {
        TableFactor::NestedJoin { table_with_joins, .. } => is_needed(table_with_joins, has_star),
        _ => false,
    };
    let is_it = |join: &Join| match constraint(&join.join_operator) {
        Some((JoinConstraint::Natural, _)) => true,
        Some((JoinConstraint::Using(_), side)) => has_star && !side.is_of_left(),
        _ => false,
    };
    nested(&from.relation) || from.joins.iter().any(|join| is_it(join) || nested(&join.relation))
}

fn path(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(folded)).collect()
}

async fn columns_of(name: &[String], state: &SessionState) -> Option<Vec<String>> {
    let reference = match name {
        [table] => TableReference::bare(table.as_str()),
        [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
        _ => return None,
    };
    let schema = state.schema_for_ref(reference).ok()?;
    let table = schema.table(name.last()?).await.ok()??;
    Some(table.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// A column of what is joined, and what it stands for.
#[derive(Clone)]
struct Column {
    name: String,
    value: Expr,
}

struct Mender<'a> {
    tables: &'a Tables,
}

impl VisitorMut for Mender<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut columns = Some(Vec::new());
        for from in &mut select.from {
            let more = self.columns(from);
            columns = columns.zip(more).map(|(mut columns, more)| {
                columns.extend(more);
                columns
            });
        }
        // What is still needed now that there is no NATURAL left is a list.
        let is_needed = has_star(select) && select.from.iter().any(|from| is_needed(from, true));
        if let Some(columns) = columns.filter(|_| is_needed) {
            let items = std::mem::take(&mut select.projection).into_iter();
            let items = items.flat_map(|item| match item {
                SelectItem::Wildcard(_) => columns.iter().cloned().map(item_of).collect::<Vec<_>>(),
                item => vec![item],
            });
            select.projection = items.collect();
        }
        ControlFlow::Continue(())
    }
}

fn item_of(Column { name, value }: Column) -> SelectItem {
    match value {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(value),
        expr => SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) },
    }
}

impl Mender<'_> {
    /// The columns of what is joined, as a `*` gives them; `None` where they are not known.
    fn columns(&self, from: &mut TableWithJoins) -> Option<Vec<Column>> {
        let mut left = self.of_table(&mut from.relation);
        for join in &mut from.joins {
            let right = self.of_table(&mut join.relation);
            left = match (left, right) {
                (Some(left), Some(right)) => joined(left, right, &mut join.join_operator),
                _ => None,
            };
        }
        left
    }

    fn of_table(&self, table: &mut TableFactor) -> Option<Vec<Column>> {
        let (names, alias) = match table {
            TableFactor::Table { name, alias, args: None, .. } => {
                let qualifier = match alias {
                    Some(alias) => alias.name.clone(),
                    None => name.0.last()?.as_ident()?.clone(),
                };
                (self.tables.get(&path(name)?)?.clone(), (qualifier, alias.as_ref()))
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } => {
                (outputs(&subquery.body)?, (alias.name.clone(), Some(&*alias)))
            }
            // Of one column, which has the alias's name.
            TableFactor::Table { name, args: Some(_), alias: Some(alias), .. }
                if is_series(name) && alias.columns.len() == 1 =>
            {
                (vec![String::new()], (alias.name.clone(), Some(&*alias)))
            }
            TableFactor::UNNEST {
                alias: Some(alias), array_exprs, with_ordinality: false, ..
            } if array_exprs.len() == 1 && alias.columns.len() == 1 => {
                (vec![String::new()], (alias.name.clone(), Some(&*alias)))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                return self.columns(table_with_joins);
            }
            _ => return None,
        };
        let (qualifier, alias) = alias;
        let named = |(at, name): (usize, String)| {
            let name = alias_of_column(alias, at).unwrap_or(name);
            let column = Ident::with_quote('"', name.clone());
            Column { name, value: Expr::CompoundIdentifier(vec![qualifier.clone(), column]) }
        };
        Some(names.into_iter().enumerate().map(named).collect())
    }
}

fn is_series(name: &ObjectName) -> bool {
    name.to_string().eq_ignore_ascii_case("generate_series")
}

fn alias_of_column(alias: Option<&TableAlias>, at: usize) -> Option<String> {
    alias?.columns.get(at).map(|column| folded(&column.name))
}

/// The names of a sub-query's columns; `None` where it has a `*`.
fn outputs(body: &SetExpr) -> Option<Vec<String>> {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return outputs(&query.body),
        SetExpr::SetOperation { left, .. } => return outputs(left),
        SetExpr::Values(values) => {
            let columns = values.rows.first()?.content.len();
            return Some((1..=columns).map(|number| format!("column{number}")).collect());
        }
        _ => return None,
    };
    names::of_list(select)
}

/// The columns of a join: those that both have first. `NATURAL` becomes `USING`.
fn joined(
    left: Vec<Column>,
    right: Vec<Column>,
    operator: &mut JoinOperator,
) -> Option<Vec<Column>> {
    if let JoinOperator::CrossJoin(_) = operator {
        return Some(left.into_iter().chain(right).collect());
    }
    let (_, side) = constraint(operator)?;
    let on = constraint_mut(operator)?;
    if matches!(on, JoinConstraint::Natural) {
        let is_of_right = |column: &&Column| right.iter().any(|other| other.name == column.name);
        let common = left.iter().filter(is_of_right);
        let common = common.map(|column| Ident::with_quote('"', column.name.clone()));
        let common: Vec<ObjectName> = common.map(|name| ObjectName::from(vec![name])).collect();
        *on = match common.is_empty() {
            true => JoinConstraint::On(Expr::value(Value::Boolean(true))),
            false => JoinConstraint::Using(common),
        };
    }
    let common: Vec<String> = match on {
        JoinConstraint::Using(names) => {
            let last = |name: &ObjectName| name.0.last()?.as_ident().map(folded);
            names.iter().map(last).collect::<Option<_>>()?
        }
        _ => Vec::new(),
    };
    let mut columns = Vec::with_capacity(left.len() + right.len());
    for name in &common {
        let of = |columns: &[Column]| columns.iter().find(|column| column.name == *name).cloned();
        let (of_left, of_right) = (of(&left)?, of(&right)?);
        let value = match side {
            Side::Any | Side::Left => of_left.value,
            Side::Right => of_right.value,
            Side::Either => call("coalesce", vec![of_left.value, of_right.value]),
        };
        columns.push(Column { name: name.clone(), value });
    }
    let others = left.into_iter().chain(right);
    columns.extend(others.filter(|column| !common.contains(&column.name)));
    Some(columns)
}
