//! Aggregates and windows: values of many rows.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments, OrderByExpr,
    Query, SelectItem, Visit, Visitor, WindowType,
};

use super::functions::{arguments_of, name_of};
use super::relation::Row;
use super::scope::Scope;
use super::value::{Value, compare, json_text, same_key, sort_order};
use super::{Engine, Stop, sets};

/// Whether a function is one of these.
pub(super) fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "count"
            | "min"
            | "max"
            | "sum"
            | "avg"
            | "array_agg"
            | "string_agg"
            | "bool_and"
            | "every"
            | "bool_or"
            | "json_agg"
            | "jsonb_agg"
            | "json_object_agg"
            | "jsonb_object_agg"
    )
}

/// The functions in an expression that are values of many rows, or give many; those of its
/// subqueries are their own.
#[derive(Debug, Default)]
pub(super) struct Special {
    pub(super) aggregates: Vec<Function>,
    pub(super) windows: Vec<Function>,
    pub(super) sets: Vec<Function>,
}

impl Special {
    pub(super) fn find<'a>(expressions: impl Iterator<Item = &'a Expr>) -> Self {
        let mut finder = Finder::default();
        for expression in expressions {
            let _ = expression.visit(&mut finder);
        }
        finder.found
    }

    pub(super) fn in_items(items: &[SelectItem]) -> Self {
        Self::find(items.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        }))
    }
}

#[derive(Default)]
struct Finder {
    found: Special,
    /// Queries and aggregates that the visitor is in.
    depth: usize,
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
        {
            let name = name_of(function);
            if function.over.is_some() {
                self.found.windows.push(function.clone());
            } else if is_aggregate(&name) {
                self.found.aggregates.push(function.clone());
            } else if sets::gives_rows(&name) {
                self.found.sets.push(function.clone());
            }
        }
        ControlFlow::Continue(())
    }
}

/// What was computed for a row, by how it is written.
pub(super) type Computed = HashMap<String, Value>;

impl Engine<'_> {
    /// An aggregate over the rows of a group.
    pub(super) fn aggregate(
        &self,
        function: &Function,
        scope: &Scope,
        rows: &[&Row],
    ) -> Result<Value, Stop> {
        let FunctionArguments::List(list) = &function.args else {
            return Err(Stop::Unsupported(format!("{function}")));
        };
        let arguments = arguments_of(&function.args)?;
        let order: &[OrderByExpr] = list
            .clauses
            .iter()
            .find_map(|clause| match clause {
                FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
                _ => None,
            })
            .unwrap_or(&function.within_group);
        let mut taken: Vec<(Vec<Value>, Vec<Value>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let scope = Scope { row: row.as_slice(), ..*scope };
            if let Some(filter) = &function.filter
                && self.eval(filter, &scope)?.truth() != Some(true)
            {
                continue;
            }
            let values = arguments.iter().map(|argument| self.eval(argument, &scope));
            let keys = order.iter().map(|key| self.eval(&key.expr, &scope));
            taken.push((values.collect::<Result<_, _>>()?, keys.collect::<Result<_, _>>()?));
        }
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            let mut seen = HashSet::new();
            taken.retain(|(values, _)| seen.insert(same_key(values)));
            if order.is_empty() {
                taken.sort_by(|(left, _), (right, _)| compare_rows(left, right));
            }
        }
        sort_by_keys(&mut taken, order, |(_, keys)| keys);
        let values: Vec<Vec<Value>> = taken.into_iter().map(|(values, _)| values).collect();
        self.folded(&name_of(function), &values)
    }

    fn folded(&self, name: &str, rows: &[Vec<Value>]) -> Result<Value, Stop> {
        let first = || rows.iter().filter_map(|row| row.first()).filter(|value| !value.is_null());
        let all = || rows.iter().filter_map(|row| row.first());
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(match name {
            // `count(*)` has no argument.
            "count" => {
                count(rows.iter().filter(|row| row.first().is_none_or(|v| !v.is_null())).count())
            }
            "min" | "max" => {
                let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
                let mut best = Value::Null;
                for value in first() {
                    if best.is_null() || compare(value, &best)? == Some(wanted) {
                        best = value.clone();
                    }
                }
                best
            }
            "sum" => {
                if first().next().is_none() {
                    Value::Null
                } else if first().all(|value| matches!(value, Value::Int(_))) {
                    let sum = first().filter_map(Value::int).try_fold(0_i64, i64::checked_add);
                    Value::Int(
                        sum.ok_or_else(|| Stop::invalid("22003", "bigint out of range".into()))?,
                    )
                } else {
                    Value::Float(first().filter_map(Value::float).sum())
                }
            }
            "avg" => {
                let numbers: Vec<f64> = first().filter_map(Value::float).collect();
                if numbers.is_empty() {
                    Value::Null
                } else {
                    Value::Float(numbers.iter().sum::<f64>() / numbers.len() as f64)
                }
            }
            "array_agg" => {
                if rows.is_empty() {
                    Value::Null
                } else {
                    Value::array(all().cloned().collect())
                }
            }
            "string_agg" => {
                let mut text: Option<String> = None;
                for row in rows {
                    let Some(part) = row.first().map_or(Ok(None), |value| self.written(value))?
                    else {
                        continue;
                    };
                    match &mut text {
                        Some(text) => {
                            text.push_str(&row.get(1).and_then(Value::written).unwrap_or_default());
                            text.push_str(&part);
                        }
                        None => text = Some(part),
                    }
                }
                text.map_or(Value::Null, Value::text)
            }
            "bool_and" | "every" => fold_truth(first(), true),
            "bool_or" => fold_truth(first(), false),
            "json_agg" | "jsonb_agg" => {
                if rows.is_empty() {
                    Value::Null
                } else {
                    let parts: Vec<_> = all().map(Value::json).collect();
                    Value::text(format!("[{}]", parts.join(", ")))
                }
            }
            "json_object_agg" | "jsonb_object_agg" => {
                if rows.is_empty() {
                    return Ok(Value::Null);
                }
                let mut members = BTreeMap::new();
                for row in rows {
                    let name = row.first().and_then(Value::written).unwrap_or_default();
                    members.insert(name, row.get(1).map_or_else(|| "null".into(), Value::json));
                }
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{} : {value}", json_text(name)))
                    .collect();
                Value::text(format!("{{ {} }}", members.join(", ")))
            }
            name => return Err(Stop::Unsupported(format!("aggregate {name}"))),
        })
    }

    /// A window function for each of `rows`.
    pub(super) fn window(
        &self,
        function: &Function,
        scope: &Scope,
        rows: &[(Row, Computed)],
    ) -> Result<Vec<Value>, Stop> {
        let Some(WindowType::WindowSpec(window)) = &function.over else {
            return Err(Stop::Unsupported(format!("{function}")));
        };
        let mut partitions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut keys = Vec::with_capacity(rows.len());
        for (at, (row, computed)) in rows.iter().enumerate() {
            let scope = Scope { row: row.as_slice(), computed: Some(computed), ..*scope };
            let group = window.partition_by.iter().map(|expr| self.eval(expr, &scope));
            let group = same_key(&group.collect::<Result<Vec<_>, _>>()?);
            partitions.entry(group).or_default().push(at);
            let key = window.order_by.iter().map(|key| self.eval(&key.expr, &scope));
            keys.push(key.collect::<Result<Vec<_>, _>>()?);
        }
        let name = name_of(function);
        let mut values = vec![Value::Null; rows.len()];
        for members in partitions.into_values() {
            let with_keys = members.into_iter().map(|at| (at, keys[at].clone()));
            let mut members: Vec<(usize, Vec<Value>)> = with_keys.collect();
            sort_by_keys(&mut members, &window.order_by, |(_, key)| key);
            let members: Vec<usize> = members.into_iter().map(|(at, _)| at).collect();
            let (mut rank, mut dense) = (0_i64, 0_i64);
            for (place, at) in members.iter().enumerate() {
                let is_new = place == 0
                    || compare_rows(&keys[members[place - 1]], &keys[*at]) != Ordering::Equal;
                let number = i64::try_from(place).unwrap_or(i64::MAX) + 1;
                if is_new {
                    rank = number;
                    dense += 1;
                }
                values[*at] = match name.as_str() {
                    "row_number" => Value::Int(number),
                    "rank" => Value::Int(rank),
                    "dense_rank" => Value::Int(dense),
                    // Over the whole partition; frames that grow are not asked for.
                    name if is_aggregate(name) && window.order_by.is_empty() => {
                        let whole = Function { over: None, ..function.clone() };
                        let members: Vec<&Row> = members.iter().map(|at| &rows[*at].0).collect();
                        self.aggregate(&whole, scope, &members)?
                    }
                    _ => return Err(Stop::Unsupported(format!("{function}"))),
                };
            }
        }
        Ok(values)
    }
}

fn fold_truth<'a>(values: impl Iterator<Item = &'a Value>, all: bool) -> Value {
    let truths: Vec<bool> = values.filter_map(Value::truth).collect();
    if truths.is_empty() {
        return Value::Null;
    }
    Value::Bool(if all { truths.iter().all(|t| *t) } else { truths.iter().any(|t| *t) })
}

fn compare_rows(left: &[Value], right: &[Value]) -> Ordering {
    let pairs = left.iter().zip(right);
    pairs
        .map(|(left, right)| sort_order(left, right))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Sorts by `ORDER BY`; what is equal keeps its order.
pub(super) fn sort_by_keys<T>(
    items: &mut [T],
    order: &[OrderByExpr],
    keys: impl Fn(&T) -> &Vec<Value>,
) {
    if order.is_empty() {
        return;
    }
    items.sort_by(|left, right| {
        for ((left, right), by) in keys(left).iter().zip(keys(right)).zip(order) {
            let is_descending = by.options.asc == Some(false);
            let nulls_first = by.options.nulls_first.unwrap_or(is_descending);
            let found = match (left.is_null(), right.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if is_descending => sort_order(right, left),
                (false, false) => sort_order(left, right),
            };
            if found.is_ne() {
                return found;
            }
        }
        Ordering::Equal
    });
}
