//! A sub-query without rows is NULL as a value, whatever its column says: one of a column that is never NULL
//! is planned by DataFusion as a value that is never NULL, so that `(SELECT …) IS NULL` is false without a
//! look.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(crate) struct NullableSubqueries;

impl AnalyzerRule for NullableSubqueries {
    fn name(&self) -> &str {
        "nullable_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            plan.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) if lacks_null(&subquery.subquery) => {
                        nullable(subquery).map(Transformed::yes)
                    }
                    other => Ok(Transformed::no(other)),
                })
            })?
            .map_data(|plan| plan.recompute_schema())
        })?;
        Ok(plan.data)
    }
}

fn lacks_null(plan: &LogicalPlan) -> bool {
    let fields = plan.schema().fields();
    fields.first().is_some_and(|field| !field.is_nullable()) && !has_a_row(plan)
}

/// Whether there is a row in any case.
fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(relation) => relation.produce_one_row,
        LogicalPlan::Values(values) => !values.values.is_empty(),
        _ => false,
    }
}

fn nullable(subquery: Subquery) -> Result<Expr> {
    let plan = subquery.subquery.as_ref().clone();
    let columns = plan.schema().iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        NULLABLE.call(vec![column]).alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = columns.collect::<Vec<_>>();
    let plan = Arc::new(LogicalPlanBuilder::from(plan).project(columns)?.build()?);
    Ok(Expr::ScalarSubquery(Subquery { subquery: plan, ..subquery }))
}

static NULLABLE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(Nullable { signature })
});

/// Its argument, which may be NULL for all that a plan knows.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        "perhaps_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [data_type] = take_function_args(self.name(), types)?;
        Ok(data_type.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(value)
    }
}
