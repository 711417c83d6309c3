//! Queries: `WITH`, `SELECT`, set operations, `ORDER BY`, `LIMIT`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias,
    Value as Literal,
};

use super::aggregate::{Computed, Special, sort_by_keys};
use super::from::conjuncts;
use super::functions::arguments_of;
use super::functions::name_of;
use super::grouping::Keys;
use super::relation::{Column, Relation, Row};
use super::scope::{Ctes, Scope, fold};
use super::value::{Value, same_key};
use super::{Engine, Stop};

/// Rounds of a recursive query.
const MAX_ROUNDS: usize = 10_000;

/// Rows with what they are sorted by.
struct Sorted {
    columns: Vec<Column>,
    rows: Vec<(Row, Vec<Value>)>,
}

impl Engine<'_> {
    /// The rows of a query.
    pub(super) fn query(&self, query: &Query, scope: &Scope) -> Result<Relation, Stop> {
        match &query.with {
            Some(with) => self.with(&with.cte_tables, with.recursive, scope, &|scope| {
                self.query_body(query, scope)
            }),
            None => self.query_body(query, scope),
        }
    }

    /// Names the queries of `WITH`, one after the other, and goes on.
    fn with(
        &self,
        tables: &[Cte],
        is_recursive: bool,
        scope: &Scope,
        then: &dyn Fn(&Scope) -> Result<Relation, Stop>,
    ) -> Result<Relation, Stop> {
        let Some((cte, rest)) = tables.split_first() else { return then(scope) };
        let name = fold(&cte.alias.name);
        let relation = match cte.query.body.as_ref() {
            SetExpr::SetOperation { op: SetOperator::Union, set_quantifier, left, right }
                if is_recursive && cte.query.order_by.is_none() =>
            {
                let is_all = *set_quantifier == SetQuantifier::All;
                self.recursive(cte, left, right, is_all, scope)?
            }
            _ => Arc::new(self.query(&cte.query, scope)?),
        };
        let relation = under_names(&relation, &cte.alias);
        let ctes = Ctes { parent: scope.ctes, name, relation };
        self.with(rest, is_recursive, &Scope { ctes: Some(&ctes), ..*scope }, then)
    }

    /// `WITH RECURSIVE name AS (first UNION [ALL] next)`.
    fn recursive(
        &self,
        cte: &Cte,
        first: &SetExpr,
        next: &SetExpr,
        is_all: bool,
        scope: &Scope,
    ) -> Result<Arc<Relation>, Stop> {
        let start = Arc::new(self.body(first, scope)?);
        let columns = start.columns.clone();
        let mut seen = HashSet::new();
        let mut is_new = |row: &Row| is_all || seen.insert(same_key(row));
        let mut all: Vec<Row> = start.rows.iter().filter(|row| is_new(row)).cloned().collect();
        let mut work = Arc::new(Relation::new(columns.clone(), all.clone()));
        for _ in 0..MAX_ROUNDS {
            if work.rows.is_empty() {
                return Ok(Arc::new(Relation::new(columns, all)));
            }
            let relation = under_names(&work, &cte.alias);
            let ctes = Ctes { parent: scope.ctes, name: fold(&cte.alias.name), relation };
            let found = self.body(next, &Scope { ctes: Some(&ctes), ..*scope })?;
            let new: Vec<Row> = found.rows.iter().filter(|row| is_new(row)).cloned().collect();
            all.extend(new.iter().cloned());
            work = Arc::new(Relation::new(columns.clone(), new));
        }
        Err(Stop::invalid("54001", "a recursive query does not come to an end".into()))
    }

    fn query_body(&self, query: &Query, scope: &Scope) -> Result<Relation, Stop> {
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(order)) => order,
            Some(OrderByKind::All(_)) => {
                return Err(Stop::Unsupported("ORDER BY ALL".into()));
            }
            None => &[],
        };
        let mut sorted = self.sorted_body(&query.body, order, scope)?;
        sort_by_keys(&mut sorted.rows, order, |(_, keys)| keys);
        let (limit, offset) = self.limits(query, scope)?;
        let rows = sorted.rows.into_iter().map(|(row, _)| row).skip(offset).take(limit);
        Ok(Relation::new(sorted.columns, rows.collect()))
    }

    fn limits(&self, query: &Query, scope: &Scope) -> Result<(usize, usize), Stop> {
        let count = |expr: Option<&Expr>, otherwise: usize| -> Result<usize, Stop> {
            let Some(expr) = expr else { return Ok(otherwise) };
            let count = self.eval(expr, scope)?.int();
            Ok(count.map_or(otherwise, |count| usize::try_from(count).unwrap_or(0)))
        };
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let limit = limit.or(query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()));
        Ok((count(limit, usize::MAX)?, count(offset, 0)?))
    }

    fn body(&self, body: &SetExpr, scope: &Scope) -> Result<Relation, Stop> {
        let sorted = self.sorted_body(body, &[], scope)?;
        Ok(Relation::new(sorted.columns, sorted.rows.into_iter().map(|(row, _)| row).collect()))
    }

    fn sorted_body(
        &self,
        body: &SetExpr,
        order: &[OrderByExpr],
        scope: &Scope,
    ) -> Result<Sorted, Stop> {
        let relation = match body {
            SetExpr::Select(select) => return self.select(select, order, scope),
            SetExpr::Query(query) => self.query(query, scope)?,
            SetExpr::Values(values) => {
                let mut columns = Vec::new();
                for (expr, at) in values.rows.first().iter().flat_map(|row| row.iter()).zip(1..) {
                    let data_type = self.type_of(expr, scope)?;
                    columns.push(Column::new(format!("column{at}"), data_type));
                }
                let rows = if self.is_dry() { &[] } else { values.rows.as_slice() };
                let rows =
                    rows.iter().map(|row| row.iter().map(|expr| self.eval(expr, scope)).collect());
                Relation::new(columns, rows.collect::<Result<_, _>>()?)
            }
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let (left, right) = (self.body(left, scope)?, self.body(right, scope)?);
                combined(left, right, *op, *set_quantifier == SetQuantifier::All)?
            }
            other => return Err(Stop::Unsupported(format!("\"{other}\""))),
        };
        let columns = relation.columns.clone();
        let mut rows = Vec::with_capacity(relation.rows.len());
        for row in relation.into_rows() {
            let inner = scope.inner(&columns, &row);
            let keys = order.iter().map(|key| match ordinal(&key.expr) {
                Some(at) => Ok(row.get(at).cloned().unwrap_or(Value::Null)),
                None => self.eval(&key.expr, &inner),
            });
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            rows.push((row, keys));
        }
        Ok(Sorted { columns, rows })
    }

    fn select(
        &self,
        select: &Select,
        order: &[OrderByExpr],
        scope: &Scope,
    ) -> Result<Sorted, Stop> {
        let mut filters = select.selection.as_ref().map(conjuncts).unwrap_or_default();
        let joined = self.from(&select.from, &mut filters, scope)?;
        let columns = joined.columns;
        let mut rows: Vec<(Row, Computed)> = Vec::new();
        'rows: for row in joined.rows {
            let inner = scope.inner(&columns, &row);
            for filter in &filters {
                if self.eval(filter, &inner)?.truth() != Some(true) {
                    continue 'rows;
                }
            }
            rows.push((row, Computed::new()));
        }
        let base = scope.inner(&columns, &[]);
        if self.is_dry()
            && let Some(selection) = &select.selection
        {
            self.note_parameters(selection, &base);
        }
        let mut special = Special::in_items(&select.projection);
        let others = Special::find(order.iter().map(|key| &key.expr).chain(&select.having));
        special.aggregates.extend(others.aggregates);
        special.windows.extend(others.windows);
        let output = self.output(select, &columns, &base)?;
        let groups = self.group_keys(select, &output)?;
        if !groups.is_empty() || !special.aggregates.is_empty() || select.having.is_some() {
            self.check_groups(select, order, &output, &Keys::new(&columns, &groups))?;
            rows = self.grouped(rows, &groups, &special, &base)?;
            if let Some(having) = &select.having {
                let mut kept = Vec::new();
                for (row, computed) in rows {
                    let inner = Scope { row: &row, ..base }.with_computed(&computed);
                    if self.eval(having, &inner)?.truth() == Some(true) {
                        kept.push((row, computed));
                    }
                }
                rows = kept;
            }
        }
        if !self.is_dry() {
            for function in &special.windows {
                let values = self.window(function, &base, &rows)?;
                for ((_, computed), value) in rows.iter_mut().zip(values) {
                    computed.insert(function.to_string(), value);
                }
            }
            if !special.sets.is_empty() {
                rows = self.expanded(rows, &special, &base)?;
            }
        }
        let mut sorted = Vec::with_capacity(rows.len());
        for (row, computed) in &rows {
            let inner = Scope { row, ..base }.with_computed(computed);
            let mut values = Vec::with_capacity(output.len());
            for item in &output {
                values.push(match item {
                    Item::Column(at, _) => row.get(*at).cloned().unwrap_or(Value::Null),
                    Item::Expression(expr, _) => self.eval(expr, &inner)?,
                });
            }
            let keys = order.iter().map(|key| match self.sorted_by(&key.expr, &output) {
                Some(at) => Ok(values.get(at).cloned().unwrap_or(Value::Null)),
                None => self.eval(&key.expr, &inner),
            });
            let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
            // `DISTINCT ON` keeps the first of those that have the same values here.
            if let Some(Distinct::On(on)) = &select.distinct {
                let on = on.iter().map(|expr| match self.sorted_by(expr, &output) {
                    Some(at) => Ok(values.get(at).cloned().unwrap_or(Value::Null)),
                    None => self.eval(expr, &inner),
                });
                keys.push(Value::text(same_key(&on.collect::<Result<Vec<_>, _>>()?)));
            }
            sorted.push((values, keys));
        }
        match &select.distinct {
            Some(Distinct::Distinct) => {
                let mut seen = HashSet::new();
                sorted.retain(|(row, _)| seen.insert(same_key(row)));
            }
            Some(Distinct::On(_)) => {
                sort_by_keys(&mut sorted, order, |(_, keys)| keys);
                let mut seen = HashSet::new();
                sorted.retain(|(_, keys)| seen.insert(keys.last().and_then(Value::written)));
            }
            Some(Distinct::All) | None => {}
        }
        let columns = output.into_iter().map(|item| match item {
            Item::Column(_, column) | Item::Expression(_, column) => column,
        });
        Ok(Sorted { columns: columns.collect(), rows: sorted })
    }

    /// The columns of a select list.
    fn output<'s>(
        &self,
        select: &'s Select,
        columns: &[Column],
        scope: &Scope,
    ) -> Result<Vec<Item<'s>>, Stop> {
        let mut output = Vec::new();
        let all_of = |table: Option<&str>| -> Vec<Item<'s>> {
            let columns = columns.iter().enumerate();
            let matching = columns.filter(|(_, column)| match table {
                _ if column.is_system => false,
                Some(table) => column.table.as_deref() == Some(table),
                None => !column.is_merged,
            });
            let items = matching.map(|(at, column)| {
                Item::Column(at, Column::new(Arc::clone(&column.name), column.data_type.clone()))
            });
            items.collect()
        };
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) => output.extend(all_of(None)),
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    let table = name.0.last().and_then(|part| part.as_ident()).map(fold);
                    output.extend(all_of(table.as_deref()));
                }
                SelectItem::UnnamedExpr(expr) => {
                    let name = crate::session::names::of_expression(expr);
                    output.push(Item::Expression(
                        expr,
                        Column::new(name, self.type_of_item(expr, scope)?),
                    ));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let column = Column::new(fold(alias), self.type_of_item(expr, scope)?);
                    output.push(Item::Expression(expr, column));
                }
                other => return Err(Stop::Unsupported(format!("{other} in a select list"))),
            }
        }
        Ok(output)
    }

    /// What rows are grouped by: places and names of the select list are its expressions.
    fn group_keys<'s>(&self, select: &'s Select, output: &[Item<'s>]) -> Result<Vec<Expr>, Stop> {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else {
            return Err(Stop::Unsupported("GROUP BY ALL".into()));
        };
        let keys = keys.iter().map(|key| match ordinal(key) {
            Some(at) => match output.get(at) {
                Some(Item::Expression(expr, _)) => Ok((*expr).clone()),
                _ => Err(Stop::invalid("42P10", "GROUP BY position is not in select list".into())),
            },
            None => Ok(key.clone()),
        });
        keys.collect()
    }

    /// Refuses what has several values in a group.
    fn check_groups(
        &self,
        select: &Select,
        order: &[OrderByExpr],
        output: &[Item],
        keys: &Keys,
    ) -> Result<(), Stop> {
        for item in output {
            match item {
                Item::Column(place, _) => keys.check_column(*place)?,
                Item::Expression(expr, _) => keys.check(expr)?,
            }
        }
        let order = order.iter().map(|key| &key.expr);
        let order = order.filter(|expr| self.sorted_by(expr, output).is_none());
        order.chain(&select.having).try_for_each(|expr| keys.check(expr))
    }

    /// One row for each group, with its aggregates.
    fn grouped(
        &self,
        rows: Vec<(Row, Computed)>,
        keys: &[Expr],
        special: &Special,
        base: &Scope,
    ) -> Result<Vec<(Row, Computed)>, Stop> {
        let mut groups: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (row, _) in rows {
            let inner = Scope { row: &row, ..*base };
            let values = keys.iter().map(|key| self.eval(key, &inner));
            let key = same_key(&values.collect::<Result<Vec<_>, _>>()?);
            let next = places.len();
            let place = *places.entry(key).or_insert(next);
            groups.entry(place).or_default().push(row);
        }
        if groups.is_empty() && keys.is_empty() && !self.is_dry() {
            groups.insert(0, Vec::new());
        }
        let mut result = Vec::with_capacity(groups.len());
        for members in groups.into_values() {
            let mut computed = Computed::new();
            let rows: Vec<&Row> = members.iter().collect();
            for function in &special.aggregates {
                let value = self.aggregate(function, base, &rows)?;
                computed.insert(function.to_string(), value);
            }
            let nothing = vec![Value::Null; base.columns.len()];
            result.push((members.into_iter().next().unwrap_or(nothing), computed));
        }
        Ok(result)
    }

    /// A row for each of the rows that functions of the select list give.
    fn expanded(
        &self,
        rows: Vec<(Row, Computed)>,
        special: &Special,
        base: &Scope,
    ) -> Result<Vec<(Row, Computed)>, Stop> {
        let mut expanded = Vec::new();
        for (row, computed) in rows {
            let inner = Scope { row: &row, ..*base }.with_computed(&computed);
            let mut all = Vec::new();
            for function in &special.sets {
                let name = name_of(function);
                let arguments = arguments_of(&function.args)?;
                let types = arguments.iter().map(|argument| self.type_of(argument, &inner));
                let columns = super::sets::columns(&name, &types.collect::<Result<Vec<_>, _>>()?);
                let values = arguments.into_iter().map(|argument| self.eval(argument, &inner));
                let found = self.rows_of(&name, &values.collect::<Result<Vec<_>, _>>()?)?;
                let names = || columns.iter().map(|column| Arc::clone(&column.name));
                let value = |mut row: Row| match (columns.len(), row.pop()) {
                    (1, Some(value)) => value,
                    (_, last) => {
                        row.extend(last);
                        Value::Record(Arc::new(names().zip(row).collect()))
                    }
                };
                let values: Vec<Value> = found.into_iter().map(value).collect();
                all.push((function.to_string(), values));
            }
            let longest = all.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
            for at in 0..longest {
                let mut computed = computed.clone();
                for (name, values) in &all {
                    computed.insert(name.clone(), values.get(at).cloned().unwrap_or(Value::Null));
                }
                expanded.push((row.clone(), computed));
            }
        }
        Ok(expanded)
    }

    /// Which column of the output an `ORDER BY` means, by place or by name.
    fn sorted_by(&self, expr: &Expr, output: &[Item]) -> Option<usize> {
        if let Some(at) = ordinal(expr) {
            return Some(at);
        }
        let Expr::Identifier(name) = expr else { return None };
        let name = fold(name);
        output.iter().position(|item| match item {
            Item::Column(_, column) | Item::Expression(_, column) => column.name.as_ref() == name,
        })
    }
}

/// An entry of a select list.
enum Item<'a> {
    Column(usize, Column),
    Expression(&'a Expr, Column),
}

/// A place in the select list, from 0.
fn ordinal(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Literal::Number(number, _) = &value.value else { return None };
    number.parse::<usize>().ok()?.checked_sub(1)
}

/// The relation with the names that an alias gives to its columns.
fn under_names(relation: &Arc<Relation>, alias: &TableAlias) -> Arc<Relation> {
    let columns = relation.columns.iter().enumerate().map(|(at, column)| {
        let name = alias.columns.get(at).map(|given| Arc::from(fold(&given.name)));
        Column { name: name.unwrap_or_else(|| Arc::clone(&column.name)), ..column.clone() }
    });
    relation.with_columns(columns.collect())
}

fn combined(
    left: Relation,
    right: Relation,
    op: SetOperator,
    is_all: bool,
) -> Result<Relation, Stop> {
    if left.columns.len() != right.columns.len() {
        let message = format!("each {op} query must have the same number of columns");
        return Err(Stop::invalid("42601", message));
    }
    let columns = left.columns.iter().zip(&right.columns).map(|(left, right)| {
        let data_type = wider(&left.data_type, &right.data_type);
        Column { table: None, data_type, ..left.clone() }
    });
    let columns = columns.collect();
    let (mut rows, right) = (left.into_rows(), right.into_rows());
    match op {
        SetOperator::Union => rows.extend(right),
        SetOperator::Intersect | SetOperator::Except | SetOperator::Minus => {
            let keys: HashSet<String> = right.iter().map(|row| same_key(row)).collect();
            let wanted = op == SetOperator::Intersect;
            rows.retain(|row| keys.contains(&same_key(row)) == wanted);
        }
    }
    if !is_all {
        let mut seen = HashSet::new();
        rows.retain(|row| seen.insert(same_key(row)));
    }
    Ok(Relation::new(columns, rows))
}

/// The type that takes the values of both.
pub(super) fn wider(left: &DataType, right: &DataType) -> DataType {
    let rank = |data_type: &DataType| match data_type {
        DataType::Utf8 | DataType::Null => 0,
        DataType::Boolean => 1,
        DataType::Int16 => 2,
        DataType::Int32 | DataType::UInt32 => 3,
        DataType::Int64 => 4,
        DataType::Float32 => 5,
        DataType::Float64 => 6,
        _ => 7,
    };
    if rank(right) > rank(left) { right.clone() } else { left.clone() }
}
