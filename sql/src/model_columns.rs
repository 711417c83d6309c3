//! `SELECT caption FROM captions ORDER BY embedding <=> embed('…')`: the sort sees the vectors but
//! not the column that names their models, nor does what reads a sub-query that has chosen other columns. An
//! analyzer rule brings it along, so that the models are checked ([`vigil_udfs::ModelRewrite`]) there as well.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::{FunctionRewrite, NamePreserver};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::optimizer::AnalyzerRule;
use vigil_udfs::{MODEL_COLUMN_TAG, ModelRewrite, source_column, vectors_without_models};

/// The rule.
#[derive(Debug, Default)]
struct ModelColumns {
    check: ModelRewrite,
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(ModelColumns::default())
}

impl AnalyzerRule for ModelColumns {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let checked = match &plan {
                LogicalPlan::Sort(_) | LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => {
                    self.checked(&plan, config)?
                }
                _ => None,
            };
            Ok(match checked {
                Some(checked) => Transformed::yes(checked),
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "model_columns"
    }
}

impl ModelColumns {
    fn checked(&self, plan: &LogicalPlan, config: &ConfigOptions) -> Result<Option<LogicalPlan>> {
        let inputs = plan.inputs();
        let [input] = *inputs.as_slice() else { return Ok(None) };
        let mut vectors: Vec<Column> = Vec::new();
        plan.apply_expressions(|expr| {
            expr.apply(|part| {
                vectors.extend(vectors_without_models(part, input.schema()));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        let mut wider: Option<LogicalPlan> = None;
        for vector in &vectors {
            let found = with_models(wider.as_ref().unwrap_or(input), vector)?;
            wider = found.or(wider);
        }
        let Some(wider) = wider else { return Ok(None) };
        let schema = Arc::clone(wider.schema());
        let names = NamePreserver::new(plan);
        let mut exprs = Vec::new();
        for expr in plan.expressions() {
            let name = names.save(&expr);
            let expr = expr.transform_up(|part| self.check.rewrite(part, &schema, config))?;
            exprs.push(name.restore(expr.data));
        }
        let columns: Vec<Expr> = plan.schema().iter().map(Expr::from).collect();
        let checked = plan.with_new_exprs(exprs, vec![wider])?;
        match checked {
            LogicalPlan::Projection(_) => Ok(Some(checked)),
            // Its columns are those of its input, and now it has more.
            other => LogicalPlanBuilder::from(other).project(columns)?.build().map(Some),
        }
    }
}

/// The plan with the column that names the models of the vectors in one of its columns, under the name that the
/// vectors' field tells and of the same table; `None` where it cannot be had.
fn with_models(plan: &LogicalPlan, vector: &Column) -> Result<Option<LogicalPlan>> {
    let schema = plan.schema();
    let Ok((table, field)) = schema.qualified_field_from_column(vector) else { return Ok(None) };
    let Some(name) = field.metadata().get(MODEL_COLUMN_TAG) else { return Ok(None) };
    if schema.iter().any(|(of, field)| of == table && field.name() == name) {
        return Ok(Some(plan.clone()));
    }
    // With a column of no table, others of its name could not be told apart.
    let is_ambiguous =
        schema.iter().any(|(of, field)| field.name() == name && (of.is_none() || table.is_none()));
    if is_ambiguous {
        return Ok(None);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let made_of = projection.expr.get(schema.index_of_column(vector)?);
            let Some(inner) = made_of.and_then(source_column) else { return Ok(None) };
            let Some(input) = with_models(&projection.input, inner)? else { return Ok(None) };
            let (of, _) = input.schema().qualified_field_from_column(inner)?;
            let model = Expr::Column(Column::new(of.cloned(), name));
            let model =
                if of == table { model } else { model.alias_qualified(table.cloned(), name) };
            let all = projection.expr.iter().cloned().chain([model]).collect::<Vec<_>>();
            LogicalPlanBuilder::from(input).project(all)?.build().map(Some)
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            // A second column of the name would get another one.
            if input.schema().has_column_with_unqualified_name(name) {
                return Ok(None);
            }
            let (of, field) = input.schema().qualified_field(schema.index_of_column(vector)?);
            let inner = Column::new(of.cloned(), field.name());
            let Some(input) = with_models(input, &inner)? else { return Ok(None) };
            let named = SubqueryAlias::try_new(Arc::new(input), alias.clone())?;
            Ok(Some(LogicalPlan::SubqueryAlias(named)))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Window(_) => {
            let inputs = plan.inputs();
            let [input] = inputs.as_slice() else { return Ok(None) };
            let Some(input) = with_models(input, vector)? else { return Ok(None) };
            plan.with_new_exprs(plan.expressions(), vec![input]).map(Some)
        }
        LogicalPlan::Join(join)
            if matches!(
                join.join_type,
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
            ) =>
        {
            let sides = if let Some(left) = with_models(&join.left, vector)? {
                vec![left, join.right.as_ref().clone()]
            } else if let Some(right) = with_models(&join.right, vector)? {
                vec![join.left.as_ref().clone(), right]
            } else {
                return Ok(None);
            };
            plan.with_new_exprs(plan.expressions(), sides).map(Some)
        }
        _ => Ok(None),
    }
}
