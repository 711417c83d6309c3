//! The operators of a sub-query of each row, over pairs of a row of the outer query and one of the sub-query.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef, JoinType, NullEquality, NullHandling, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::functions_nested::expr_fn::cardinality;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Join, Limit, LogicalPlan,
    LogicalPlanBuilder, SkipType, SortExpr, SubqueryAlias, Unnest, Values, Window, case, col, lit,
    when,
};

use super::{RANK, has_subquery, is_correlated, is_lateral};

/// The column with the number of a row of the left side.
const ROW: &str = "__lateral_row";
/// The column that is NULL where a row of the left side has no other and stays all the same.
const IS_PAIR: &str = "__lateral_pair";
/// What the columns with the values of an order begin with.
const KEY: &str = "__lateral_key_";
/// What the columns of the left side begin with.
const LEFT: &str = "__lateral_left_";
/// The column with the number of a row of `VALUES`.
const VALUE: &str = "__lateral_value";
/// The column that says whether a pair passes a condition.
const PASSES: &str = "__lateral_passes";
/// The column that says whether a row of a join has one of the other side.
const MATCHED: &str = "__lateral_matched";
/// The column that counts the pairs of a row, those that pass first.
const PLACE: &str = "__lateral_place";

/// The pairs of a row of the left side and a row of the sub-query.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    /// The left side with names of its own for its columns, as the sub-query may have the same, and the
    /// rows' numbers.
    left: LogicalPlan,
    /// The left side's columns as the outer query knows them.
    outer: DFSchemaRef,
    /// Whether a row of the left side without another stays, as in a `LEFT JOIN`.
    keeps_all: bool,
    /// What names made here end with: where the sub-query has pairs in it, theirs are others.
    level: String,
}

impl Pairs {
    /// The pairs of the rows of `left` with those of `subquery`.
    pub(super) fn new(left: &LogicalPlan, subquery: &LogicalPlan, keeps_all: bool) -> Result<Self> {
        let mut level = String::new();
        let mut number = 0;
        let has_row = |node: &LogicalPlan, level: &str| {
            node.schema().has_column_with_unqualified_name(&format!("{ROW}{level}"))
        };
        while subquery.exists(|node| Ok(has_row(node, &level)))? {
            number += 1;
            level = format!("_of_{number}");
        }
        let outer = Arc::clone(left.schema());
        let pairs = Self { left: left.clone(), outer, keeps_all, level };
        let named = pairs.outer.iter().enumerate();
        let named = named.map(|(number, column)| Expr::from(column).alias(pairs.of_left(number)));
        let left = LogicalPlanBuilder::from(left.clone())
            .window(vec![row_number().alias(format!("{ROW}{}", pairs.level))])?
            .project(named.chain([pairs.row()]).collect::<Vec<_>>())?
            .build()?;
        Ok(Self { left, ..pairs })
    }

    /// What the column numbered `number` of the left side is called.
    fn of_left(&self, number: usize) -> String {
        format!("{LEFT}{number}{}", self.level)
    }

    /// The column with the number of a row of the left side.
    fn row(&self) -> Expr {
        Expr::Column(Column::new_unqualified(format!("{ROW}{}", self.level)))
    }

    /// The column that tells pairs from rows without another.
    fn is_pair(&self) -> Expr {
        Expr::Column(Column::new_unqualified(self.is_pair_name()))
    }

    fn is_pair_name(&self) -> String {
        format!("{IS_PAIR}{}", self.level)
    }

    /// The left side's columns with the names that the outer query knows.
    pub(super) fn outer(&self) -> impl Iterator<Item = Expr> {
        self.outer.iter().enumerate().map(|(number, (qualifier, field))| {
            let column = Expr::Column(Column::new_unqualified(self.of_left(number)));
            column.alias_qualified(qualifier.cloned(), field.name())
        })
    }

    /// The expression with the columns of the outer query as columns of its input; those of a query around
    /// that one stay.
    fn inner(&self, expr: Expr) -> Result<Expr> {
        let expr = expr.transform_up(|expr| {
            let number = match &expr {
                Expr::OuterReferenceColumn(_, column) => self.outer.maybe_index_of_column(column),
                _ => None,
            };
            Ok(match number {
                Some(number) => {
                    let name = self.of_left(number);
                    Transformed::yes(Expr::Column(Column::new_unqualified(name)))
                }
                None => Transformed::no(expr),
            })
        })?;
        Ok(expr.data)
    }

    /// An expression of the outer query with the left side's columns under their names here.
    pub(super) fn named(&self, expr: Expr) -> Result<Expr> {
        let expr = expr.transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let mut columns = self.outer.iter();
            let place = columns.position(|(qualifier, field)| {
                qualifier == column.relation.as_ref() && *field.name() == column.name
            });
            Ok(match place {
                Some(place) => {
                    Transformed::yes(Expr::Column(Column::new_unqualified(self.of_left(place))))
                }
                None => Transformed::no(expr),
            })
        })?;
        Ok(expr.data)
    }

    /// The plan over pairs of one of its rows and a row of the left side, whose columns come along; `None`
    /// where it cannot be done.
    pub(super) fn lift(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if !is_correlated(plan)? {
            return self.of(plan, None).map(Some);
        }
        match plan {
            LogicalPlan::Filter(filter) if self.keeps_all => {
                let predicate = self.inner(filter.predicate.clone())?;
                if has_subquery(&predicate) {
                    return Ok(None);
                }
                if !is_correlated(&filter.input)? {
                    // It must not take out the rows without another, so it says which are pairs.
                    return self.of(&filter.input, Some(predicate)).map(Some);
                }
                let Some(input) = self.lift(&filter.input)? else { return Ok(None) };
                self.passing(input, predicate).map(Some)
            }
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.lift(&filter.input)? else { return Ok(None) };
                let predicate = self.inner(filter.predicate.clone())?;
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
            // The order of a sub-query is none of the outer query.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.lift(&sort.input),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(lifted) = self.lift(input)? else { return Ok(None) };
                LogicalPlanBuilder::from(lifted).distinct()?.build().map(Some)
            }
            LogicalPlan::Aggregate(aggregate) => self.lift_aggregate(aggregate),
            LogicalPlan::Window(window) if !self.keeps_all => self.lift_window(window),
            LogicalPlan::Values(values) => self.lift_values(values).map(Some),
            LogicalPlan::Join(join) => self.lift_join(join),
            LogicalPlan::Unnest(unnest) => self.lift_unnest(unnest),
            // A function of the outer query's columns in the `FROM` of a sub-query.
            LogicalPlan::Subquery(subquery) => self.lift(&subquery.subquery),
            _ => Ok(None),
        }
    }

    /// The pairs that pass; where a row of the left side stays without another, one of those whose pairs do
    /// not pass becomes that row.
    pub(super) fn passing(&self, pairs: LogicalPlan, condition: Expr) -> Result<LogicalPlan> {
        if !self.keeps_all {
            return LogicalPlanBuilder::from(pairs).filter(condition)?.build();
        }
        let column = |name: &str| Expr::Column(Column::new_unqualified(name));
        let passes = Expr::IsTrue(Box::new(self.is_pair().and(condition))).alias(PASSES);
        let mut marked: Vec<Expr> = pairs.schema().iter().map(Expr::from).collect();
        marked.push(passes);
        let place = row_number()
            .partition_by(vec![self.row()])
            .order_by(vec![column(PASSES).sort(false, false)])
            .build()?
            .alias(PLACE);
        let mut kept = Vec::new();
        for (qualifier, field) in pairs.schema().iter() {
            let value = Expr::from((qualifier, field));
            let is_of_left = qualifier.is_none()
                && self.left.schema().has_column_with_unqualified_name(field.name());
            kept.push(if is_of_left {
                value
            } else {
                let value = when(column(PASSES), value).end()?;
                value.alias_qualified(qualifier.cloned(), field.name())
            });
        }
        let first = column(PLACE).eq(lit(ScalarValue::UInt64(Some(1))));
        LogicalPlanBuilder::from(pairs)
            .project(marked)?
            .window(vec![place])?
            .filter(column(PASSES).or(first))?
            .project(kept)?
            .build()
    }

    /// The pairs with their numbers among those of one row, from 1, and the column with those.
    pub(super) fn counted(&self, pairs: LogicalPlan) -> Result<(LogicalPlan, Expr)> {
        let place = row_number().partition_by(vec![self.row()]).build()?.alias(PLACE);
        let counted = LogicalPlanBuilder::from(pairs).window(vec![place])?.build()?;
        Ok((counted, Expr::Column(Column::new_unqualified(PLACE))))
    }

    /// The pairs with the rows of a plan that knows nothing of the left side; `condition` says which.
    fn of(&self, right: &LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
        let left = LogicalPlanBuilder::from(self.left.clone());
        if !self.keeps_all {
            return left.cross_join(right.clone())?.build();
        }
        let marked =
            right.schema().iter().map(Expr::from).chain([lit(true).alias(self.is_pair_name())]);
        let right = LogicalPlanBuilder::from(right.clone()).project(marked)?.build()?;
        left.join_on(right, JoinType::Left, [condition.unwrap_or_else(|| lit(true))])?.build()
    }

    /// The columns of the left side, and what tells pairs from rows without another.
    pub(super) fn columns(&self) -> impl Iterator<Item = Expr> {
        let is_pair = self.keeps_all.then(|| self.is_pair());
        self.left.schema().iter().map(Expr::from).chain(is_pair)
    }

    /// Aggregates of each row's others.
    fn lift_aggregate(&self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        if aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        // Without groups there is an answer for a row without others too: how many they are is 0.
        let has_groups = !aggregate.group_expr.is_empty();
        let keeps_all = self.keeps_all || !has_groups;
        let Some(lifted) = Self { keeps_all, ..self.clone() }.lift(&aggregate.input)? else {
            return Ok(None);
        };
        let mut groups = vec![self.row()];
        groups.extend((keeps_all && has_groups).then(|| self.is_pair()));
        let before = groups.len();
        for group in &aggregate.group_expr {
            groups.push(self.inner(group.clone())?);
        }
        // The left side's columns come along as those of one of the pairs, which all have the same.
        let count = self.outer.fields().len();
        let mut values: Vec<Expr> = Vec::new();
        for number in 0..count {
            let name = self.of_left(number);
            let column = Expr::Column(Column::new_unqualified(&name));
            values.push(first_value(column, vec![]).alias(name));
        }
        for value in &aggregate.aggr_expr {
            let value = self.inner(value.clone())?;
            values.push(if keeps_all { self.of_pairs(value)? } else { value });
        }
        let grouped = Aggregate::try_new(Arc::new(lifted), groups, values)?;
        let columns: Vec<Expr> = grouped.schema.iter().map(Expr::from).collect();
        let (groups, values) = columns.split_at(before + aggregate.group_expr.len());
        let (of_left, values) = values.split_at(count);
        let mut all = of_left.to_vec();
        all.push(groups[0].clone());
        if self.keeps_all {
            all.push(if has_groups {
                self.is_pair()
            } else {
                lit(true).alias(self.is_pair_name())
            });
        }
        let own = groups[before..].iter().chain(values);
        for ((qualifier, field), value) in aggregate.schema.iter().zip(own) {
            let value = match self.keeps_all && has_groups {
                true => when(self.is_pair(), value.clone()).end()?,
                false => value.clone(),
            };
            all.push(value.alias_qualified(qualifier.cloned(), field.name()));
        }
        LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped)).project(all)?.build().map(Some)
    }

    /// Windows over each row's others.
    fn lift_window(&self, window: &Window) -> Result<Option<LogicalPlan>> {
        let Some(lifted) = self.lift(&window.input)? else { return Ok(None) };
        let mut windows = Vec::new();
        for expr in &window.window_expr {
            let name = expr.schema_name().to_string();
            let of_row = self.inner(expr.clone())?.transform_up(|expr| {
                let Expr::WindowFunction(mut function) = expr else {
                    return Ok(Transformed::no(expr));
                };
                function.params.partition_by.insert(0, self.row());
                Ok(Transformed::yes(Expr::WindowFunction(function)))
            })?;
            windows.push(of_row.data.unalias().alias(name));
        }
        LogicalPlanBuilder::from(lifted).window(windows)?.build().map(Some)
    }

    /// `VALUES` of the left side's columns: its rows by their numbers.
    fn lift_values(&self, values: &Values) -> Result<LogicalPlan> {
        let number = |row: usize| lit(ScalarValue::UInt64(Some(row as u64)));
        let numbers = (0..values.values.len()).map(|row| vec![number(row)]).collect();
        let numbers = LogicalPlanBuilder::values(numbers)?;
        let column = Expr::from(numbers.schema().iter().next().map_or_else(
            || Column::new_unqualified("column1"),
            |(qualifier, field)| Column::new(qualifier.cloned(), field.name()),
        ));
        let numbers = numbers.project(vec![column.alias(VALUE)])?.build()?;
        let mut all: Vec<Expr> = self.columns().collect();
        for (place, (qualifier, field)) in values.schema.iter().enumerate() {
            let mut cases = case(Expr::Column(Column::new_unqualified(VALUE)));
            for (row, fields) in values.values.iter().enumerate() {
                cases = cases.when(number(row), self.inner(fields[place].clone())?);
            }
            all.push(cases.end()?.alias_qualified(qualifier.cloned(), field.name()));
        }
        LogicalPlanBuilder::from(self.of(&numbers, None)?).project(all)?.build()
    }

    /// A join in the sub-query one of whose sides, or only what it asks, knows of the left side.
    fn lift_join(&self, join: &Join) -> Result<Option<LogicalPlan>> {
        let is_right = is_correlated(&join.right)?;
        let fits = match join.join_type {
            JoinType::Inner => !is_right || !is_correlated(&join.left)?,
            JoinType::Left => !is_right,
            JoinType::LeftSemi | JoinType::LeftAnti => !is_right && !self.keeps_all,
            _ => false,
        };
        // What a `LATERAL` reads is of its own join.
        if !fits || join.null_equality != NullEquality::NullEqualsNothing || is_lateral(join) {
            return Ok(None);
        }
        let (one, other) =
            if is_right { (&join.right, &join.left) } else { (&join.left, &join.right) };
        let Some(lifted) = self.lift(one)? else { return Ok(None) };
        let mut conditions = Vec::new();
        for (left, right) in &join.on {
            conditions.push(self.inner(left.clone())?.eq(self.inner(right.clone())?));
        }
        if let Some(filter) = &join.filter {
            conditions.push(self.inner(filter.clone())?);
        }
        let all = self.columns().chain(join.schema.iter().map(Expr::from)).collect::<Vec<_>>();
        let (lifted, other) = (LogicalPlanBuilder::from(lifted), other.as_ref().clone());
        let joined = if !self.keeps_all {
            lifted.join_on(other, join.join_type, conditions)?.build()?
        } else if join.join_type == JoinType::Inner {
            let matched = lit(true).alias(MATCHED);
            let marked = other.schema().iter().map(Expr::from).chain([matched]).collect::<Vec<_>>();
            let other = LogicalPlanBuilder::from(other).project(marked)?.build()?;
            let pairs = lifted.join_on(other, JoinType::Left, conditions)?.build()?;
            self.passing(pairs, Expr::Column(Column::new_unqualified(MATCHED)))?
        } else {
            // A row of the left side without another has none on either side of the join.
            conditions.push(self.is_pair());
            lifted.join_on(other, join.join_type, conditions)?.build()?
        };
        LogicalPlanBuilder::from(joined).project(all)?.build().map(Some)
    }

    /// Rows of the elements of arrays.
    fn lift_unnest(&self, unnest: &Unnest) -> Result<Option<LogicalPlan>> {
        let Some(mut lifted) = self.lift(&unnest.input)? else { return Ok(None) };
        let mut options = unnest.options.clone();
        if self.keeps_all {
            if !unnest.struct_type_columns.is_empty() {
                return Ok(None);
            }
            // A row whose arrays are empty stays, and is no pair.
            let is_full = |column: &Column| {
                let elements = cardinality(Expr::Column(column.clone()));
                elements.gt(lit(ScalarValue::UInt64(Some(0))))
            };
            let Some(has_any) = unnest.exec_columns.iter().map(is_full).reduce(Expr::or) else {
                return Ok(None);
            };
            let mut columns = Vec::new();
            for (qualifier, field) in lifted.schema().iter() {
                let column = Expr::from((qualifier, field));
                columns.push(if qualifier.is_none() && *field.name() == self.is_pair_name() {
                    when(has_any.clone(), column).end()?.alias(self.is_pair_name())
                } else {
                    column
                });
            }
            lifted = LogicalPlanBuilder::from(lifted).project(columns)?.build()?;
            options = options.with_null_handling(NullHandling::PreserveAndExpandEmpty);
        }
        LogicalPlanBuilder::from(lifted)
            .unnest_columns_with_options(unnest.exec_columns.clone(), options)?
            .build()
            .map(Some)
    }

    /// `LIMIT`, mostly over `ORDER BY`, perhaps with columns chosen in between.
    fn lift_limit(&self, limit: &Limit) -> Result<Option<LogicalPlan>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        let (sort, projection) = match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => (Some(sort), None),
            LogicalPlan::Projection(projection) => match projection.input.as_ref() {
                LogicalPlan::Sort(sort) => (Some(sort), Some(projection)),
                _ => (None, None),
            },
            _ => (None, None),
        };
        let (input, expr) = match sort {
            Some(sort) => (&sort.input, sort.expr.as_slice()),
            // Whoever orders a sub-query and limits what is around it wants that order.
            None if has_order(&limit.input) => return Ok(None),
            None => (&limit.input, &[] as &[SortExpr]),
        };
        let Some(lifted) = self.lift(input)? else { return Ok(None) };
        // The order's values become columns, so that what they are made of need not be sorted along.
        let mut keyed: Vec<Expr> = lifted.schema().iter().map(Expr::from).collect();
        let mut order = Vec::new();
        for (number, SortExpr { expr, asc, nulls_first }) in expr.iter().enumerate() {
            let name = format!("{KEY}{number}");
            keyed.push(self.inner(expr.clone())?.alias(&name));
            order.push(col(name).sort(*asc, *nulls_first));
        }
        let rank = row_number().partition_by(vec![self.row()]);
        // With an order of nothing its frame would need one.
        let rank = if order.is_empty() { rank } else { rank.order_by(order) };
        let rank = rank.build()?.alias(RANK);
        let number = |count: usize| lit(ScalarValue::UInt64(Some(count as u64)));
        let rank_column = || Expr::Column(Column::new_unqualified(RANK));
        let mut wanted = rank_column().gt(number(skip));
        if let Some(fetch) = fetch {
            wanted = wanted.and(rank_column().lt_eq(number(skip.saturating_add(fetch))));
        }
        let names: Vec<Expr> = lifted.schema().iter().map(Expr::from).collect();
        let ranked = LogicalPlanBuilder::from(lifted).project(keyed)?.window(vec![rank])?;
        // A row whose others are all left out stays all the same.
        let nearest = if self.keeps_all && (skip > 0 || fetch == Some(0)) {
            LogicalPlanBuilder::from(self.passing(ranked.build()?, wanted)?)
        } else {
            ranked.filter(wanted)?
        };
        let nearest = nearest.project(names)?.build()?;
        match projection {
            Some(projection) => self.project(nearest, &projection.expr),
            None => Ok(Some(nearest)),
        }
    }

    /// The columns of the left side, and expressions over pairs.
    fn project(&self, input: LogicalPlan, expressions: &[Expr]) -> Result<Option<LogicalPlan>> {
        let mut all: Vec<Expr> = self.columns().collect();
        for expression in expressions {
            let (relation, name) = expression.qualified_name();
            let is_of_pair = !matches!(expression, Expr::Column(_));
            let mut lifted = self.inner(expression.clone())?;
            if self.keeps_all && is_of_pair {
                lifted = when(self.is_pair(), lifted.unalias_nested().data).end()?;
            }
            // A column stays one; what was renamed by the change gets its name back.
            let (found, same) = lifted.qualified_name();
            let is_same = found == relation && same == name;
            all.push(if is_same { lifted } else { lifted.alias_qualified(relation, name) });
        }
        LogicalPlanBuilder::from(input).project(all)?.build().map(Some)
    }

    /// An aggregate of pairs alone, not of rows without another.
    fn of_pairs(&self, aggregate: Expr) -> Result<Expr> {
        let aggregate = aggregate.transform_up(|expr| {
            let Expr::AggregateFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
            let is_pair = self.is_pair();
            let filter = match call.params.filter.take() {
                Some(filter) => is_pair.and(*filter),
                None => is_pair,
            };
            call.params.filter = Some(Box::new(filter));
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        })?;
        Ok(aggregate.data)
    }
}

/// Whether the rows of a sub-query come in an order.
fn has_order(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => has_order(&projection.input),
        LogicalPlan::Filter(filter) => has_order(&filter.input),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => has_order(input),
        _ => false,
    }
}
