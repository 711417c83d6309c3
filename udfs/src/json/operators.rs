//! `@>`, `<@`, `||`, `-`, `#-`, `?|` and `?&` of a `json`, planned as calls of the functions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ScalarUDF, cast, lit, when};
use datafusion::scalar::ScalarValue;
use datafusion_functions_json::JSON_UNION_DATA_TYPE;
use datafusion_functions_json::functions::json_union_to_text;
use datafusion_functions_json::udfs::json_length_udf;

use super::{is_json, parts};
use crate::operands::field_of_operand;

/// Plans the operators; every other one passes.
#[derive(Debug)]
pub struct JsonPlanner {
    contains: Arc<ScalarUDF>,
    concat: Arc<ScalarUDF>,
    minus: Arc<ScalarUDF>,
    delete_path: Arc<ScalarUDF>,
    exists_any: Arc<ScalarUDF>,
    exists_all: Arc<ScalarUDF>,
}

impl Default for JsonPlanner {
    fn default() -> Self {
        Self {
            contains: Arc::new(parts::contains()),
            concat: Arc::new(parts::concat()),
            minus: Arc::new(parts::minus()),
            delete_path: Arc::new(parts::delete_path()),
            exists_any: Arc::new(parts::exists_any()),
            exists_all: Arc::new(parts::exists_all()),
        }
    }
}

fn is_union(expr: &Expr, schema: &DFSchema) -> bool {
    field_of_operand(expr, schema).is_some_and(|field| *field.data_type() == *JSON_UNION_DATA_TYPE)
}

/// Whether an expression is a `json`.
fn is_of_json(expr: &Expr, schema: &DFSchema) -> bool {
    field_of_operand(expr, schema)
        .is_some_and(|field| *field.data_type() == *JSON_UNION_DATA_TYPE || is_json(&field))
}

/// Whether an operator means something else between `json`s.
fn is_of_interest(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Arrow
            | BinaryOperator::LongArrow
            | BinaryOperator::AtArrow
            | BinaryOperator::ArrowAt
            | BinaryOperator::StringConcat
            | BinaryOperator::Minus
            | BinaryOperator::HashMinus
            | BinaryOperator::QuestionPipe
            | BinaryOperator::QuestionAnd
    )
}

impl ExprPlanner for JsonPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if !is_of_interest(&expr.op) {
            return Ok(PlannerResult::Original(expr));
        }
        let (left, right) = (is_of_json(&expr.left, schema), is_of_json(&expr.right, schema));
        if left
            && matches!(expr.op, BinaryOperator::Arrow | BinaryOperator::LongArrow)
            && let Expr::Literal(ScalarValue::Int64(Some(back @ ..0)), _) = expr.right
        {
            // From the end; the library knows places from the beginning alone.
            let text = match is_union(&expr.left, schema) {
                true => json_union_to_text(expr.left.clone()),
                false => expr.left.clone(),
            };
            let place = cast(json_length_udf().call(vec![text]), DataType::Int64) + lit(back);
            // No array has the greatest place.
            let right = when(place.clone().gt_eq(lit(0_i64)), place).otherwise(lit(i64::MAX))?;
            return Ok(PlannerResult::Original(RawBinaryExpr { right, ..expr }));
        }
        let (function, is_turned) = match &expr.op {
            BinaryOperator::AtArrow if left || right => (&self.contains, false),
            BinaryOperator::ArrowAt if left || right => (&self.contains, true),
            // `json || text` is a text.
            BinaryOperator::StringConcat if left && right => (&self.concat, false),
            BinaryOperator::Minus if left => (&self.minus, false),
            BinaryOperator::HashMinus if left => (&self.delete_path, false),
            BinaryOperator::QuestionPipe if left => (&self.exists_any, false),
            BinaryOperator::QuestionAnd if left => (&self.exists_all, false),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let as_text = |side: Expr| match is_union(&side, schema) {
            true => json_union_to_text(side),
            false => side,
        };
        let (left, right) = (as_text(expr.left), as_text(expr.right));
        let args = if is_turned { vec![right, left] } else { vec![left, right] };
        Ok(PlannerResult::Planned(function.call(args)))
    }
}
