//! `x <> 0 AND 1 / x > 1` divides by no 0: what may fail is computed for the rows alone for which the other
//! conditions leave it open, as in PostgreSQL.
//!
//! DataFusion computes both sides of most `AND`s and `OR`s for all rows, and makes such of a `CASE` whose
//! values are booleans. A `CASE` whose values are numbers it leaves alone, and computes of it what is
//! needed. So an analyzer rule puts one of numbers around what may fail, in which 1 is true and 0 is false.
//!
//! A distance fails for vectors of another length or model. It is guarded where another condition tells the kind or the
//! model of a row, as in `embeddings`: elsewhere an index looks for it, and all rows of a table are alike.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Case, Cast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{merge_schema, split_binary, split_binary_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, cast, lit,
};
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;
use vigil_udfs::compares_vectors;

use crate::lateral::has_subquery;
use crate::overflow;
use crate::session::is_volatile;

/// Conditions in a chain; a longer one is left alone, as its parts would be written twice.
const MAX_PARTS: usize = 16;

/// The columns that tell vectors of one table apart.
const KINDS: [&str; 2] = ["kind", "model"];

/// The rule.
#[derive(Debug)]
pub(crate) struct Guarded;

impl AnalyzerRule for Guarded {
    fn name(&self) -> &str {
        "guarded"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let nearest = orders_by_distance(&plan)?;
        Ok(plan.transform_up_with_subqueries(|plan| guarded(plan, &nearest))?.data)
    }
}

/// The same of conditions that a sub-query or a view has below: the optimizer puts both into one filter.
impl OptimizerRule for Guarded {
    fn name(&self) -> &str {
        "guarded"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let nearest = orders_by_distance(&plan)?;
        plan.transform_up_with_subqueries(|plan| match compares_kinds(&plan, &nearest) {
            true => guarded(plan, &nearest),
            false => Ok(Transformed::no(plan)),
        })
    }
}

/// Whether a filter tells the kind of rows and compares their vectors.
fn compares_kinds(plan: &LogicalPlan, nearest: &[Expr]) -> bool {
    let LogicalPlan::Filter(filter) = plan else { return false };
    let is_open = |part: &Expr| has_open_distance(part) && !is_bound(part, nearest);
    tells_kind(&filter.predicate)
        && split_binary(&filter.predicate, Operator::And).into_iter().any(is_open)
}

/// The distances by which the nearest rows may be asked for: an index reads the bounds on those then.
fn orders_by_distance(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let (mut has_order, mut has_limit) = (false, false);
    let mut distances = Vec::new();
    plan.apply_with_subqueries(|plan| {
        match plan {
            LogicalPlan::Limit(_) => has_limit = true,
            LogicalPlan::Sort(sort) => {
                has_order = true;
                has_limit |= sort.fetch.is_some();
                sort.expr.iter().try_for_each(|order| add_open(&order.expr, &mut distances))?;
            }
            LogicalPlan::Projection(list) => {
                list.expr.iter().try_for_each(|expr| add_open(expr, &mut distances))?;
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(if has_order && has_limit { distances } else { Vec::new() })
}

/// Adds the distances in an expression, as far as they are not guarded.
fn add_open(expr: &Expr, distances: &mut Vec<Expr>) -> Result<()> {
    expr.apply(|part| {
        if made(part).is_some() {
            return Ok(TreeNodeRecursion::Jump);
        }
        if compares_vectors(part) && !distances.contains(part) {
            distances.push(part.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn guarded(plan: LogicalPlan, nearest: &[Expr]) -> Result<Transformed<LogicalPlan>> {
    let is_filter = match &plan {
        LogicalPlan::Filter(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => false,
        _ => return Ok(Transformed::no(plan)),
    };
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let is_of_kind = is_filter && has_open_distance(&expr) && tells_kind(&expr);
        if !is_of_kind && !may_fail(&expr, &schema)? {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let expr = match is_filter {
            true => condition(expr, &schema, nearest)?,
            false => value(expr, &schema)?,
        };
        Ok(Transformed::yes(name.restore(expr)))
    })?;
    match plan.transformed {
        true => plan.map_data(LogicalPlan::recompute_schema),
        false => Ok(plan),
    }
}

/// The condition of a `WHERE`. What may fail of one table is guarded by what else is said of that table:
/// the conditions of a table are asked before it is joined.
fn condition(predicate: Expr, schema: &DFSchema, nearest: &[Expr]) -> Result<Expr> {
    let parts = parts(predicate, Operator::And, schema)?;
    let is_of_kind = parts.iter().any(|part| tells_kind(part) && !has_open_distance(part));
    let is_risky = |part: &Expr| {
        let is_distance = is_of_kind && has_open_distance(part) && !is_bound(part, nearest);
        Ok::<bool, DataFusionError>(is_distance || may_fail(part, schema)?)
    };
    let mut others = Vec::new();
    let mut by_table: Vec<(Vec<Option<TableReference>>, Vec<Expr>)> = Vec::new();
    for part in parts {
        let tables = tables(&part);
        if tables.len() > 1 || !is_movable(&part) || !is_risky(&part)? {
            others.push(part);
            continue;
        }
        match by_table.iter_mut().find(|(known, _)| *known == tables) {
            Some((_, risky)) => risky.push(part),
            None => by_table.push((tables, vec![part])),
        }
    }
    let mut all = Vec::new();
    for (of, risky) in by_table {
        let is_guard =
            |part: &&Expr| is_movable(part) && tables(part).iter().all(|table| of.contains(table));
        let mut guards = Vec::new();
        for part in others.iter().filter(is_guard) {
            if !(may_fail(part, schema)? || is_of_kind && has_open_distance(part)) {
                guards.push(part.clone());
            }
        }
        all.extend(guarded_by(guards, risky, Operator::And));
    }
    Ok(joined(others.into_iter().chain(all), Operator::And))
}

/// An expression whose `AND`s, `OR`s and `CASE`s compute what is needed.
fn value(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
            let parts = parts(expr, op, schema)?;
            let (mut others, mut risky, mut guards) = (Vec::new(), Vec::new(), Vec::new());
            for part in parts {
                if is_movable(&part) && may_fail(&part, schema)? {
                    risky.push(part);
                    continue;
                }
                if is_movable(&part) {
                    guards.push(part.clone());
                }
                others.push(part);
            }
            let risky = guarded_by(guards, risky, op);
            Ok(joined(others.into_iter().chain(risky), op))
        }
        Expr::Case(case) => {
            let is_boolean = case.expr.is_none()
                && matches!(Expr::Case(case.clone()).get_type(schema), Ok(DataType::Boolean))
                && may_fail(&Expr::Case(case.clone()), schema)?;
            let case =
                Expr::Case(case).map_children(|expr| value(expr, schema).map(Transformed::yes))?;
            Ok(match case.data {
                Expr::Case(Case { expr, when_then_expr, else_expr }) if is_boolean => {
                    let number = |value: Box<Expr>| Box::new(cast(*value, DataType::Int8));
                    let cases = when_then_expr.into_iter();
                    let cases = cases.map(|(when, then)| (when, number(then))).collect();
                    Expr::Case(Case::new(expr, cases, else_expr.map(number))).eq(lit(1_i8))
                }
                other => other,
            })
        }
        other if made(&other).is_some() => Ok(other),
        other => Ok(other.map_children(|expr| value(expr, schema).map(Transformed::yes))?.data),
    }
}

/// The parts of a chain, each guarded within.
fn parts(chain: Expr, operator: Operator, schema: &DFSchema) -> Result<Vec<Expr>> {
    if split_binary(&chain, operator).len() > MAX_PARTS {
        return Ok(vec![chain]);
    }
    let parts = split_binary_owned(chain, operator);
    parts.into_iter().map(|part| value(part, schema)).collect()
}

/// The conditions in `risky`, each computed where the guards and those before it leave it open.
fn guarded_by(guards: Vec<Expr>, risky: Vec<Expr>, operator: Operator) -> Vec<Expr> {
    if risky.is_empty() || (guards.is_empty() && risky.len() == 1) {
        return risky;
    }
    let is_and = operator == Operator::And;
    let decided = |expr: Expr| if is_and { expr.is_false() } else { expr.is_true() };
    let decision = if is_and { lit(0_i8) } else { lit(1_i8) };
    let before = risky.iter().take(risky.len() - 1).cloned();
    let guard = (!guards.is_empty()).then(|| decided(joined(guards, operator)));
    // A plan that is analysed again has them already.
    if let ([one], Some(guard)) = (risky.as_slice(), &guard)
        && made(one)
            .and_then(|case| case.when_then_expr.first())
            .is_some_and(|(first, _)| **first == *guard)
    {
        return risky;
    }
    let cases = guard.into_iter().chain(before.map(decided));
    let cases = cases.map(|expr| (Box::new(expr), Box::new(decision.clone())));
    let cases = cases.collect();
    let otherwise = cast(joined(risky, operator), DataType::Int8);
    vec![Expr::Case(Case::new(None, cases, Some(Box::new(otherwise)))).eq(lit(1_i8))]
}

/// A chain of `parts`: what an empty one of the operator is, where there is none.
fn joined(parts: impl IntoIterator<Item = Expr>, operator: Operator) -> Expr {
    let chain = parts.into_iter().reduce(|left, right| binary_expr(left, operator, right));
    chain.unwrap_or_else(|| lit(operator == Operator::And))
}

/// Whether an expression can be computed at another place, or twice.
fn is_movable(expr: &Expr) -> bool {
    !has_subquery(expr) && !expr.contains_outer() && !is_volatile(expr)
}

/// The tables whose columns are in an expression.
fn tables(expr: &Expr) -> Vec<Option<TableReference>> {
    let mut tables = Vec::new();
    for column in expr.column_refs() {
        if !tables.contains(&column.relation) {
            tables.push(column.relation.clone());
        }
    }
    tables
}

/// The cases of what this rule has made.
fn made(expr: &Expr) -> Option<&Case> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Case(case), Expr::Literal(ScalarValue::Int8(Some(1)), _)) => Some(case),
        _ => None,
    }
}

/// Whether there is something in the expression that may fail for some rows; a guard leaves some of them.
fn may_fail(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut may_fail = false;
    expr.apply(|expr| {
        may_fail = overflow::may_fail(expr) || reads_text(expr, schema);
        Ok(if may_fail { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(may_fail)
}

/// Whether an expression compares vectors and is not guarded.
fn has_open_distance(expr: &Expr) -> bool {
    if made(expr).is_some() {
        return false;
    }
    if compares_vectors(expr) {
        return true;
    }
    let mut has_distance = false;
    // The closure gives no error.
    let _ = expr.apply_children(|child| {
        has_distance = has_open_distance(child);
        Ok(if has_distance { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    has_distance
}

/// Whether an expression reads a column that tells vectors apart.
fn tells_kind(expr: &Expr) -> bool {
    expr.column_refs().iter().any(|column| KINDS.contains(&column.name.as_str()))
}

/// Whether a condition bounds one of these distances, as an index knows it.
fn is_bound(part: &Expr, nearest: &[Expr]) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = part else { return false };
    nearest.contains(left) || nearest.contains(right)
}

/// Whether a text, which may be any, is read as something else.
fn reads_text(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::Cast(Cast { expr: text, field }) = expr else { return false };
    let read = field.data_type();
    !matches!(text.as_ref(), Expr::Literal(..))
        && (read.is_numeric() || read.is_temporal() || *read == DataType::Boolean)
        && matches!(text.get_type(schema), Ok(DataType::Utf8 | DataType::LargeUtf8))
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Guarded)
}

/// The rule for what the optimizer makes one condition of.
pub(crate) fn optimizer_rule() -> Arc<dyn OptimizerRule + Send + Sync> {
    Arc::new(Guarded)
}
