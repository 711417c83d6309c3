//! `LATERAL (SELECT … ORDER BY a.v <=> b.v LIMIT k)`: the nearest rows of each row, which DataFusion
//! does not plan.
//!
//! An analyzer rule makes one query of it: the rows of the left side get numbers, the sub-query's
//! operators work on pairs of a row and a row of the sub-query, and its limit becomes a rank within
//! the number. The answers are right as they are; an engine with an index may put a search for each row
//! in the place of the join of all pairs, below the rank.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, FetchType, Filter, Join, Limit, LogicalPlan, LogicalPlanBuilder,
    SkipType, Sort, SortExpr, Subquery, SubqueryAlias, col, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

/// The column with the number of a row of the left side.
const ROW: &str = "__lateral_row";
/// The column with a row's rank among those of one row: a filter of it lets the ranks of an
/// `OFFSET` and a `LIMIT` through, as literals of `UInt64`.
pub const RANK: &str = "__lateral_rank";
/// The column that is NULL where a row of the left side has no other and stays all the same.
const IS_PAIR: &str = "__lateral_pair";
/// What the columns with the values of an order begin with.
const KEY: &str = "__lateral_key_";

/// The rule.
#[derive(Debug)]
pub(crate) struct NearestOfEach;

impl AnalyzerRule for NearestOfEach {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_down(|plan| match &plan {
            LogicalPlan::Filter(filter) => Ok(match filtered_first(filter)? {
                Some(rewritten) => Transformed::yes(rewritten),
                None => Transformed::no(plan),
            }),
            _ => Ok(Transformed::no(plan)),
        })?;
        let plan = plan.data.transform_up(|plan| match &plan {
            LogicalPlan::Join(join) => Ok(match rewrite(join)? {
                Some(rewritten) => Transformed::yes(rewritten),
                None => Transformed::no(plan),
            }),
            _ => Ok(Transformed::no(plan)),
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "nearest_of_each"
    }
}

/// Conditions of the left side alone, below its rows' numbers instead of above the join: no other
/// rule takes them there, and rows that do not fulfil them need no search.
fn filtered_first(filter: &Filter) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = filter.input.as_ref() else { return Ok(None) };
    if limited(join)?.is_none() {
        return Ok(None);
    }
    let is_of_left = |condition: &Expr| {
        let mut columns = condition.column_refs().into_iter();
        columns.all(|column| join.left.schema().has_column(column))
            && !condition.is_volatile()
            && !condition.contains_outer()
            && !has_subquery(condition)
    };
    let (of_left, others): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(is_of_left);
    let Some(of_left) = conjunction(of_left) else { return Ok(None) };
    let left = LogicalPlanBuilder::from(join.left.as_ref().clone()).filter(of_left)?.build()?;
    let join = LogicalPlan::Join(Join { left: Arc::new(left), ..join.clone() });
    match conjunction(others) {
        Some(others) => LogicalPlanBuilder::from(join).filter(others)?.build().map(Some),
        None => Ok(Some(join)),
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let is_one = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        ))
    };
    expr.exists(is_one).unwrap_or(true)
}

/// The limited sub-query of each row that a join has on its right, and its name; `None` for every
/// other join.
fn limited(join: &Join) -> Result<Option<(&LogicalPlan, Option<&TableReference>)>> {
    // What `ON` says of a `LEFT JOIN` would be asked after the limit, and keep the row all the same.
    let fits = match join.join_type {
        JoinType::Inner => true,
        JoinType::Left => join.filter.as_ref().is_none_or(is_true),
        _ => false,
    };
    if !fits || !join.on.is_empty() {
        return Ok(None);
    }
    let (subquery, alias) = match join.right.as_ref() {
        LogicalPlan::Subquery(subquery) => (subquery, None),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(subquery) => (subquery, Some(alias)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Subquery { subquery, .. } = subquery;
    let is_limited = is_correlated(subquery)? && has_limit(subquery)?;
    Ok(is_limited.then_some((subquery.as_ref(), alias)))
}

/// The join of rows with a limited sub-query of each; `None` for every other one.
fn rewrite(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some((subquery, alias)) = limited(join)? else { return Ok(None) };
    let number = row_number().alias(ROW);
    let left =
        LogicalPlanBuilder::from(join.left.as_ref().clone()).window(vec![number])?.build()?;
    let pairs = Pairs { left: &left, keeps_all: join.join_type == JoinType::Left };
    let Some(lifted) = pairs.lift(subquery)? else { return Ok(None) };
    let outer = join.left.schema().iter().map(Expr::from);
    let inner = subquery.schema().iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        match alias {
            Some(alias) => column.alias_qualified(Some(alias.clone()), field.name()),
            None => column,
        }
    });
    let plan = LogicalPlanBuilder::from(lifted).project(outer.chain(inner).collect::<Vec<_>>())?;
    let plan = match &join.filter {
        Some(filter) => plan.filter(filter.clone())?,
        None => plan,
    };
    plan.build().map(Some)
}

fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(node.contains_outer_reference()))
}

fn has_limit(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Limit(_))))
}

fn is_true(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// The pairs of a row of the left side and a row of the sub-query.
struct Pairs<'a> {
    left: &'a LogicalPlan,
    /// Whether a row of the left side without another stays, as in a `LEFT JOIN`.
    keeps_all: bool,
}

impl Pairs<'_> {
    /// The plan over pairs of one of its rows and a row of the left side, whose columns come along.
    fn lift(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if is_plain(plan)? {
            return self.of(plan, None).map(Some);
        }
        match plan {
            LogicalPlan::Filter(filter) if self.keeps_all => {
                // It must not take out the rows without another, so it says which are pairs.
                let predicate = inner(filter.predicate.clone())?;
                if !is_plain(&filter.input)? || has_subquery(&predicate) {
                    return Ok(None);
                }
                self.of(&filter.input, Some(predicate)).map(Some)
            }
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.lift(&filter.input)? else { return Ok(None) };
                let predicate = inner(filter.predicate.clone())?;
                LogicalPlanBuilder::from(input).filter(predicate)?.build().map(Some)
            }
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.lift(&projection.input)? else { return Ok(None) };
                self.project(input, &projection.expr)
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
                let Some(lifted) = self.lift(input)? else { return Ok(None) };
                let named = input.schema().iter().map(|column| {
                    Expr::from(column).alias_qualified(Some(alias.clone()), column.1.name())
                });
                let all = self.columns().chain(named).collect::<Vec<_>>();
                LogicalPlanBuilder::from(lifted).project(all)?.build().map(Some)
            }
            LogicalPlan::Limit(limit) => self.lift_limit(limit),
            _ => Ok(None),
        }
    }

    /// The pairs with the rows of a plan that knows nothing of the left side; `condition` says which.
    fn of(&self, right: &LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
        let left = LogicalPlanBuilder::from(self.left.clone());
        if !self.keeps_all {
            return left.cross_join(right.clone())?.build();
        }
        let marked = right.schema().iter().map(Expr::from).chain([lit(true).alias(IS_PAIR)]);
        let right = LogicalPlanBuilder::from(right.clone()).project(marked)?.build()?;
        left.join_on(right, JoinType::Left, [condition.unwrap_or_else(|| lit(true))])?.build()
    }

    /// The columns of the left side, and what tells pairs from rows without another.
    fn columns(&self) -> impl Iterator<Item = Expr> {
        let is_pair = self.keeps_all.then(|| Expr::Column(Column::new_unqualified(IS_PAIR)));
        self.left.schema().iter().map(Expr::from).chain(is_pair)
    }

    /// `LIMIT` over `ORDER BY`, perhaps with columns chosen in between.
    fn lift_limit(&self, limit: &Limit) -> Result<Option<LogicalPlan>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        if self.keeps_all && (skip > 0 || fetch == Some(0)) {
            // A row whose others are all left out would have to come back.
            return Ok(None);
        }
        let (sort, projection) = match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => (sort, None),
            LogicalPlan::Projection(projection) => match projection.input.as_ref() {
                LogicalPlan::Sort(sort) => (sort, Some(projection)),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let Sort { expr, input, .. } = sort;
        let Some(lifted) = self.lift(input)? else { return Ok(None) };
        // The order's values become columns, so that what they are made of need not be sorted along.
        let mut keyed: Vec<Expr> = lifted.schema().iter().map(Expr::from).collect();
        let mut order = Vec::new();
        for (number, SortExpr { expr, asc, nulls_first }) in expr.iter().enumerate() {
            let name = format!("{KEY}{number}");
            keyed.push(inner(expr.clone())?.alias(&name));
            order.push(col(name).sort(*asc, *nulls_first));
        }
        let row = Expr::Column(Column::new_unqualified(ROW));
        let rank = row_number().partition_by(vec![row]).order_by(order).build()?.alias(RANK);
        let number = |count: usize| lit(ScalarValue::UInt64(Some(count as u64)));
        let rank_column = || Expr::Column(Column::new_unqualified(RANK));
        let mut wanted = rank_column().gt(number(skip));
        if let Some(fetch) = fetch {
            wanted = wanted.and(rank_column().lt_eq(number(skip.saturating_add(fetch))));
        }
        let names: Vec<Expr> = lifted.schema().iter().map(Expr::from).collect();
        let nearest = LogicalPlanBuilder::from(lifted)
            .project(keyed)?
            .window(vec![rank])?
            .filter(wanted)?
            .project(names)?
            .build()?;
        match projection {
            Some(projection) => self.project(nearest, &projection.expr),
            None => Ok(Some(nearest)),
        }
    }

    /// The columns of the left side, and expressions over pairs.
    fn project(&self, input: LogicalPlan, expressions: &[Expr]) -> Result<Option<LogicalPlan>> {
        let mut all: Vec<Expr> = self.columns().collect();
        for expression in expressions {
            let name = expression.schema_name().to_string();
            let is_of_pair = !matches!(expression, Expr::Column(_));
            let mut lifted = inner(expression.clone())?;
            if self.keeps_all && is_of_pair {
                let is_pair = Expr::Column(Column::new_unqualified(IS_PAIR));
                lifted = when(is_pair, lifted.unalias_nested().data).end()?;
            }
            // A column stays one; what was renamed by the change gets its name back.
            let same = lifted.schema_name().to_string() == name;
            all.push(if same { lifted } else { lifted.alias(name) });
        }
        LogicalPlanBuilder::from(input).project(all)?.build().map(Some)
    }
}

/// Whether a plan knows nothing of the outer query and has no limit.
fn is_plain(plan: &LogicalPlan) -> Result<bool> {
    Ok(!is_correlated(plan)? && !has_limit(plan)?)
}

/// The expression with the columns of the outer query as columns of its input.
fn inner(expr: Expr) -> Result<Expr> {
    let expr = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(expr.data)
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(NearestOfEach)
}
