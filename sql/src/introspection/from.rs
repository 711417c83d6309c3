//! `FROM`: tables, subqueries, functions and how they are joined.
//!
//! A condition of the form `column = value of what came before` is looked up in an index of the
//! table's rows, so that the joins of catalogs take no time worth noting. Conditions of `WHERE` are
//! applied as soon as all of their columns are there.

mod tied;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, Ident, Join, JoinConstraint, JoinOperator,
    ObjectName, Query, TableAlias, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::functions::argument_of;
use super::relation::{Column, Relation, Row};
use super::scope::{Scope, fold, position};
use super::sets;
use super::value::Value;
use super::{Engine, Stop};

/// What has been joined so far.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

/// The conditions that `AND` connects.
pub(super) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        Expr::Nested(inner) => conjuncts(inner),
        other => vec![other],
    }
}

impl Engine<'_> {
    /// The rows of `from`. Conditions of `filters` that could be applied are taken out of it.
    pub(super) fn from(
        &self,
        from: &[TableWithJoins],
        filters: &mut Vec<&Expr>,
        scope: &Scope,
    ) -> Result<Joined, Stop> {
        let rows = if self.is_dry() { Vec::new() } else { vec![Row::new()] };
        let mut joined = Joined { columns: Vec::new(), rows };
        let keeps_left = from
            .iter()
            .flat_map(|table| &table.joins)
            .all(|join| matches!(kind_of(&join.join_operator), Ok((Kind::Inner | Kind::Left, _))));
        let mut kept = Vec::new();
        // A filter that is applied early sees rows that an outer join would still add to.
        let filters = if keeps_left { filters } else { &mut kept };
        if let Some(joined) = self.tied_first(from, filters, scope)? {
            return Ok(joined);
        }
        if from.len() > 2 {
            let order = self.order_of(from, filters, scope)?;
            if order.iter().zip(0..).any(|((at, _), place)| *at != place) {
                return self.join_in_order(from, &order, filters, scope);
            }
        }
        let mut count = from.iter().map(|table| 1 + table.joins.len()).sum::<usize>();
        for table in from {
            count -= 1;
            let step = Step { kind: Kind::Inner, on: &JoinConstraint::None, is_last: count == 0 };
            joined = self.join(joined, &table.relation, step, filters, scope)?;
            for Join { relation, join_operator, .. } in &table.joins {
                count -= 1;
                let (kind, on) = kind_of(join_operator)?;
                let step = Step { kind, on, is_last: count == 0 };
                joined = self.join(joined, relation, step, filters, scope)?;
            }
        }
        Ok(joined)
    }

    /// Joins in an order, and puts the columns back into the written one.
    fn join_in_order(
        &self,
        from: &[TableWithJoins],
        order: &[(usize, usize)],
        filters: &mut Vec<&Expr>,
        scope: &Scope,
    ) -> Result<Joined, Stop> {
        let rows = if self.is_dry() { Vec::new() } else { vec![Row::new()] };
        let mut joined = Joined { columns: Vec::new(), rows };
        let mut starts = vec![(0, 0); from.len()];
        for (place, (at, width)) in order.iter().enumerate() {
            starts[*at] = (joined.columns.len(), *width);
            let is_last = place + 1 == order.len();
            let step = Step { kind: Kind::Inner, on: &JoinConstraint::None, is_last };
            joined = self.join(joined, &from[*at].relation, step, filters, scope)?;
        }
        let places: Vec<usize> =
            starts.into_iter().flat_map(|(start, width)| start..start + width).collect();
        let columns = places.iter().map(|at| joined.columns[*at].clone()).collect();
        let written = |row: Row| places.iter().map(|at| row[*at].clone()).collect();
        Ok(Joined { columns, rows: joined.rows.into_iter().map(written).collect() })
    }

    fn join(
        &self,
        left: Joined,
        factor: &TableFactor,
        step: Step,
        filters: &mut Vec<&Expr>,
        scope: &Scope,
    ) -> Result<Joined, Stop> {
        let is_lateral = is_lateral(factor);
        let template = if is_lateral {
            let scope = scope.inner(&left.columns, &[]);
            self.dry(|| self.factor(factor, &scope))?
        } else {
            self.factor(factor, scope)?
        };
        let mut columns = left.columns.clone();
        columns.extend(template.columns.iter().cloned());
        let mut conditions: Vec<Expr> = Vec::new();
        match step.on {
            JoinConstraint::On(on) => conditions.extend(conjuncts(on).into_iter().cloned()),
            JoinConstraint::None => {}
            JoinConstraint::Using(_) | JoinConstraint::Natural => {
                let names = shared_names(step.on, &left.columns, &template.columns)?;
                for name in names {
                    let at = position(&left.columns, None, &name)?;
                    let other = position(&template.columns, None, &name)?;
                    let (Some(at), Some(other)) = (at, other) else {
                        let message = format!("column \"{name}\" does not exist");
                        return Err(Stop::invalid("42703", message));
                    };
                    conditions.push(equal(&columns[at], &template.columns[other])?);
                    columns[left.columns.len() + other].is_merged = true;
                }
            }
        }
        // What `WHERE` says of the columns that are there.
        let mut later = Vec::new();
        let mut ready = Vec::new();
        for filter in std::mem::take(filters) {
            if is_ready(filter, &columns, scope, step.is_last) {
                ready.push(filter);
            } else {
                later.push(filter);
            }
        }
        *filters = later;
        if step.kind == Kind::Inner {
            conditions.extend(ready.drain(..).cloned());
        }
        let rows =
            self.joined_rows(&left, &template, factor, &columns, &conditions, step.kind, scope)?;
        let mut joined = Joined { columns, rows };
        for filter in ready {
            let rows = std::mem::take(&mut joined.rows);
            for row in rows {
                let inner = scope.inner(&joined.columns, &row);
                if self.eval(filter, &inner)?.truth() == Some(true) {
                    joined.rows.push(row);
                }
            }
        }
        Ok(joined)
    }

    #[expect(clippy::too_many_arguments, reason = "all that a join is made of")]
    fn joined_rows(
        &self,
        left: &Joined,
        template: &Arc<Relation>,
        factor: &TableFactor,
        columns: &[Column],
        conditions: &[Expr],
        kind: Kind,
        scope: &Scope,
    ) -> Result<Vec<Row>, Stop> {
        let mut rows = Vec::new();
        if self.is_dry() {
            return Ok(rows);
        }
        let is_lateral = is_lateral(factor);
        let lookup = if is_lateral { None } else { lookup(conditions, &template.columns) };
        let index = lookup.and_then(|(column, _)| template.index(column));
        let mut matched: HashSet<usize> = HashSet::new();
        let width = template.columns.len();
        for left_row in &left.rows {
            let outer = scope.inner(&left.columns, left_row);
            let of_row;
            let right = if is_lateral {
                of_row = self.factor(factor, &outer)?;
                &of_row
            } else {
                template
            };
            let mut has_match = false;
            let mut try_row = |at: usize| -> Result<(), Stop> {
                self.step()?;
                let mut row = Vec::with_capacity(left_row.len() + width);
                row.extend(left_row.iter().cloned());
                row.extend(right.rows[at].iter().cloned());
                let inner = scope.inner(columns, &row);
                for condition in conditions {
                    if self.eval(condition, &inner)?.truth() != Some(true) {
                        return Ok(());
                    }
                }
                has_match = true;
                matched.insert(at);
                self.holds(row.len())?;
                rows.push(row);
                Ok(())
            };
            let key = match (&index, lookup) {
                (Some(index), Some((_, value))) => Some((index, self.eval(value, &outer)?)),
                _ => None,
            };
            match key {
                Some((index, value)) => match value.key() {
                    Some(key) if index.keys().next().is_some_and(|any| same_kind(any, &key)) => {
                        for at in index.get(&key).into_iter().flatten() {
                            try_row(*at)?;
                        }
                    }
                    // NULL equals nothing.
                    None if value.is_null() => {}
                    _ => (0..right.rows.len()).try_for_each(&mut try_row)?,
                },
                None => (0..right.rows.len()).try_for_each(&mut try_row)?,
            }
            if !has_match && matches!(kind, Kind::Left | Kind::Full) {
                let mut row = left_row.clone();
                row.extend(std::iter::repeat_n(Value::Null, width));
                rows.push(row);
            }
        }
        if matches!(kind, Kind::Right | Kind::Full) {
            for (at, right) in template.rows.iter().enumerate() {
                if !matched.contains(&at) {
                    let mut row: Row = vec![Value::Null; left.columns.len()];
                    row.extend(right.iter().cloned());
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    /// The rows of one thing in `FROM`.
    fn factor(&self, factor: &TableFactor, scope: &Scope) -> Result<Arc<Relation>, Stop> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let relation = self.table(name, scope)?;
                Ok(renamed(relation, alias.as_ref(), Some(last(name)?)))
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(name, &args.args, *with_ordinality, alias.as_ref(), scope)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                self.function(name, args, *with_ordinality, alias.as_ref(), scope)
            }
            TableFactor::TableFunction { expr: Expr::Function(function), alias } => {
                let datafusion::sql::sqlparser::ast::FunctionArguments::List(list) = &function.args
                else {
                    return Err(Stop::Unsupported(format!("{function}")));
                };
                self.function(&function.name, &list.args, false, alias.as_ref(), scope)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let expressions: Vec<&Expr> = array_exprs.iter().collect();
                self.set("unnest", &expressions, *with_ordinality, alias.as_ref(), scope)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let relation = if *lateral || self.is_dry() {
                    Arc::new(self.query(subquery, scope)?)
                } else {
                    self.derived(subquery, scope)?
                };
                Ok(renamed(relation, alias.as_ref(), None))
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let tables = std::slice::from_ref(table_with_joins.as_ref());
                let joined = self.from(tables, &mut Vec::new(), scope)?;
                let relation = Arc::new(Relation::new(joined.columns, joined.rows));
                Ok(match alias {
                    Some(alias) => renamed(relation, Some(alias), None),
                    None => relation,
                })
            }
            other => Err(Stop::Unsupported(format!("\"{other}\" in FROM"))),
        }
    }

    /// The rows of a subquery, which are kept if they depend on nothing around it: a recursive query
    /// asks for them in each of its rounds.
    fn derived(&self, subquery: &Query, scope: &Scope) -> Result<Arc<Relation>, Stop> {
        let text = subquery.to_string();
        if let Some(kept) = self.derived.borrow().get(&text) {
            return Ok(Arc::clone(kept));
        }
        let stands_alone = self.dry(|| self.query(subquery, &Scope::EMPTY)).is_ok();
        let relation = Arc::new(self.query(subquery, scope)?);
        if stands_alone {
            self.derived.borrow_mut().insert(text, Arc::clone(&relation));
        }
        Ok(relation)
    }

    /// In which order tables that commas separate are joined: next comes one that a condition ties to
    /// a value or to those before it.
    fn order_of(
        &self,
        from: &[TableWithJoins],
        filters: &[&Expr],
        scope: &Scope,
    ) -> Result<Vec<(usize, usize)>, Stop> {
        let mut left = Vec::with_capacity(from.len());
        for (at, table) in from.iter().enumerate() {
            let is_plain = matches!(table.relation, TableFactor::Table { args: None, .. });
            if !is_plain || !table.joins.is_empty() {
                return Ok(Vec::new());
            }
            left.push((at, self.dry(|| self.factor(&table.relation, scope))?.columns.clone()));
        }
        let mut order = Vec::with_capacity(from.len());
        let mut before: Vec<Column> = Vec::new();
        while !left.is_empty() {
            let is_tied = |columns: &[Column]| {
                filters.iter().any(|filter| {
                    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = filter else {
                        return false;
                    };
                    [(left, right), (right, left)].into_iter().any(|(column, value)| {
                        let names = Names::of(value);
                        column_of(column, columns).is_some()
                            && !names.has_query
                            && names
                                .names
                                .iter()
                                .all(|name| matches!(found_in(&before, name), Ok(Some(_))))
                    })
                })
            };
            let next = left.iter().position(|(_, columns)| is_tied(columns)).unwrap_or(0);
            let (at, columns) = left.remove(next);
            order.push((at, columns.len()));
            before.extend(columns);
        }
        Ok(order)
    }

    fn function(
        &self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        scope: &Scope,
    ) -> Result<Arc<Relation>, Stop> {
        let expressions = arguments.iter().filter_map(|argument| argument_of(argument).transpose());
        let expressions = expressions.collect::<Result<Vec<_>, _>>()?;
        let function = last(name)?;
        if sets::gives_rows(&function) {
            return self.set(&function, &expressions, with_ordinality, alias, scope);
        }
        // A function of one value is a table of one row.
        let call = Expr::Function(Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: datafusion::sql::sqlparser::ast::FunctionArguments::None,
            args: datafusion::sql::sqlparser::ast::FunctionArguments::List(
                datafusion::sql::sqlparser::ast::FunctionArgumentList {
                    duplicate_treatment: None,
                    args: arguments.to_vec(),
                    clauses: Vec::new(),
                },
            ),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        });
        let data_type = self.type_of(&call, scope)?;
        let rows = if self.is_dry() { Vec::new() } else { vec![vec![self.eval(&call, scope)?]] };
        let relation = Relation::new(vec![Column::new(function.as_str(), data_type)], rows);
        Ok(renamed(Arc::new(of_function(relation, alias)), alias, Some(function)))
    }

    fn set(
        &self,
        name: &str,
        arguments: &[&Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        scope: &Scope,
    ) -> Result<Arc<Relation>, Stop> {
        let types = arguments.iter().map(|argument| self.type_of(argument, scope));
        let mut columns = sets::columns(name, &types.collect::<Result<Vec<_>, _>>()?);
        let mut rows = Vec::new();
        if !self.is_dry() {
            let values = arguments.iter().map(|argument| self.eval(argument, scope));
            rows = self.rows_of(name, &values.collect::<Result<Vec<_>, _>>()?)?;
        }
        let single = columns.len() == 1;
        if with_ordinality {
            columns.push(Column::new("ordinality", DataType::Int64));
            for (row, number) in rows.iter_mut().zip(1..) {
                row.push(Value::Int(number));
            }
        }
        let relation = Relation::new(columns, rows);
        let relation = if single { of_function(relation, alias) } else { relation };
        Ok(renamed(Arc::new(relation), alias, Some(name.to_owned())))
    }
}

/// How a table joins those before it.
#[derive(Clone, Copy)]
struct Step<'a> {
    kind: Kind,
    on: &'a JoinConstraint,
    is_last: bool,
}

fn kind_of(operator: &JoinOperator) -> Result<(Kind, &JoinConstraint), Stop> {
    Ok(match operator {
        JoinOperator::Join(on) | JoinOperator::Inner(on) | JoinOperator::CrossJoin(on) => {
            (Kind::Inner, on)
        }
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Kind::Left, on),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Kind::Right, on),
        JoinOperator::FullOuter(on) => (Kind::Full, on),
        _ => return Err(Stop::Unsupported("this kind of join".into())),
    })
}

fn is_lateral(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::Table { args, .. } => args.is_some(),
        TableFactor::Function { .. }
        | TableFactor::TableFunction { .. }
        | TableFactor::UNNEST { .. } => true,
        _ => false,
    }
}

/// A function's one column has the name that the function is given.
fn of_function(mut relation: Relation, alias: Option<&TableAlias>) -> Relation {
    if let (Some(alias), Some(column)) = (alias, relation.columns.first_mut()) {
        column.name = fold(&alias.name).into();
    }
    relation
}

/// The relation under its name in the query.
fn renamed(
    relation: Arc<Relation>,
    alias: Option<&TableAlias>,
    name: Option<String>,
) -> Arc<Relation> {
    let table: Option<Arc<str>> = alias.map(|alias| fold(&alias.name)).or(name).map(Arc::from);
    let columns: Vec<Column> = relation
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let given = alias.and_then(|alias| alias.columns.get(at));
            Column {
                table: table.clone(),
                name: given
                    .map_or_else(|| Arc::clone(&column.name), |given| fold(&given.name).into()),
                data_type: column.data_type.clone(),
                is_merged: false,
                is_system: column.is_system,
            }
        })
        .collect();
    relation.with_columns(columns)
}

fn last(name: &ObjectName) -> Result<String, Stop> {
    let ident = name.0.last().and_then(|part| part.as_ident());
    ident.map(fold).ok_or_else(|| Stop::Unsupported(format!("the name {name}")))
}

fn same_kind(one: &super::value::Key, other: &super::value::Key) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn shared_names(
    on: &JoinConstraint,
    left: &[Column],
    right: &[Column],
) -> Result<Vec<String>, Stop> {
    match on {
        JoinConstraint::Using(names) => names.iter().map(last).collect(),
        _ => Ok(right
            .iter()
            .filter(|column| left.iter().any(|other| other.name == column.name))
            .map(|column| column.name.to_string())
            .collect()),
    }
}

fn equal(left: &Column, right: &Column) -> Result<Expr, Stop> {
    let name = |column: &Column| {
        let table = column.table.as_deref().map(|table| Ident::with_quote('"', table));
        let name = Ident::with_quote('"', column.name.as_ref());
        Box::new(Expr::CompoundIdentifier(table.into_iter().chain([name]).collect()))
    };
    Ok(Expr::BinaryOp { left: name(left), op: BinaryOperator::Eq, right: name(right) })
}

/// A condition `column = value` whose column is one of `columns` and whose value is not of them.
fn lookup<'a>(conditions: &'a [Expr], columns: &[Column]) -> Option<(usize, &'a Expr)> {
    conditions.iter().find_map(|condition| {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else {
            return None;
        };
        [(left, right), (right, left)].into_iter().find_map(|(column, value)| {
            let at = column_of(column, columns)?;
            let names = Names::of(value);
            let is_of_others = !names.has_query
                && names.names.iter().all(|name| matches!(found_in(columns, name), Ok(None)));
            is_of_others.then_some((at, value.as_ref()))
        })
    })
}

fn column_of(expr: &Expr, columns: &[Column]) -> Option<usize> {
    match expr {
        Expr::Identifier(name) => found_in(columns, std::slice::from_ref(name)).ok()?,
        Expr::CompoundIdentifier(names) => found_in(columns, names).ok()?,
        Expr::Nested(inner) => column_of(inner, columns),
        _ => None,
    }
}

fn found_in(columns: &[Column], names: &[Ident]) -> Result<Option<usize>, Stop> {
    match names {
        [name] => position(columns, None, &fold(name)),
        [.., table, name] => position(columns, Some(&fold(table)), &fold(name)),
        [] => Ok(None),
    }
}

/// Whether all that a condition names is there.
fn is_ready(filter: &Expr, columns: &[Column], scope: &Scope, is_last: bool) -> bool {
    let names = Names::of(filter);
    // A subquery may name whatever comes later.
    if names.has_query {
        return false;
    }
    names.names.iter().all(|name| match found_in(columns, name) {
        Ok(Some(_)) => true,
        Ok(None) => is_last && scope.find(name).is_ok(),
        Err(_) => false,
    })
}

/// The names in an expression.
#[derive(Default)]
struct Names {
    names: Vec<Vec<Ident>>,
    has_query: bool,
}

impl Names {
    fn of(expr: &Expr) -> Self {
        let mut names = Self::default();
        let _ = expr.visit(&mut names);
        names
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.has_query = true;
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.names.push(vec![name.clone()]),
            Expr::CompoundIdentifier(names) => self.names.push(names.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
