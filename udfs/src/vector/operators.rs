//! pgvector's operators `<->`, `<=>`, `<#>` and `<+>`, and `+ - *` of vectors, planned as calls
//! of the functions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};

use super::arithmetic;
use super::cosine_distance::CosineDistance;
use super::distance;
use super::inner_product::InnerProduct;
use super::l1_distance::L1Distance;
use super::l2_distance::L2Distance;
use super::types::{is_tagged, operand_type, tagged, type_name};
use super::vector_add::VectorAdd;
use super::vector_mul::VectorMul;
use super::vector_sub::VectorSub;
use crate::error::UdfError;

/// Plans the operators; every other one passes.
#[derive(Debug)]
pub struct OperatorPlanner {
    cosine_distance: Arc<ScalarUDF>,
    l2_distance: Arc<ScalarUDF>,
    inner_product: Arc<ScalarUDF>,
    l1_distance: Arc<ScalarUDF>,
    add: Arc<ScalarUDF>,
    subtract: Arc<ScalarUDF>,
    multiply: Arc<ScalarUDF>,
}

impl Default for OperatorPlanner {
    fn default() -> Self {
        Self {
            cosine_distance: Arc::new(distance::udf::<CosineDistance>()),
            l2_distance: Arc::new(distance::udf::<L2Distance>()),
            inner_product: Arc::new(distance::udf::<InnerProduct>()),
            l1_distance: Arc::new(distance::udf::<L1Distance>()),
            add: Arc::new(arithmetic::udf::<VectorAdd>()),
            subtract: Arc::new(arithmetic::udf::<VectorSub>()),
            multiply: Arc::new(arithmetic::udf::<VectorMul>()),
        }
    }
}

enum Sign {
    Plain,
    Negative,
}

impl OperatorPlanner {
    /// `+ - *` where one side is a `vector`.
    fn plan_arithmetic(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match expr.op {
            BinaryOperator::Plus => &self.add,
            BinaryOperator::Minus => &self.subtract,
            BinaryOperator::Multiply => &self.multiply,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let is_vector = |side: &Expr| match side.to_field(schema) {
            Ok((_, field)) => is_tagged(&field),
            Err(_) => false,
        };
        if !is_vector(&expr.left) && !is_vector(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let args = vec![typed_parameter(expr.left), typed_parameter(expr.right)];
        let call = ScalarFunction::new_udf(Arc::clone(function), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }

    fn find(&self, operator: &BinaryOperator) -> Option<(&'static str, &Arc<ScalarUDF>, Sign)> {
        let spelling = match operator {
            BinaryOperator::LtDashGt => "<->",
            BinaryOperator::Spaceship => "<=>",
            BinaryOperator::Custom(spelling) => spelling,
            // `OPERATOR(public.<->)`, as dumps and ORMs write it.
            BinaryOperator::PGCustomBinaryOperator(parts) => parts.last()?,
            _ => return None,
        };
        match spelling {
            "<->" => Some(("<->", &self.l2_distance, Sign::Plain)),
            "<=>" => Some(("<=>", &self.cosine_distance, Sign::Plain)),
            "<#>" => Some(("<#>", &self.inner_product, Sign::Negative)),
            "<+>" => Some(("<+>", &self.l1_distance, Sign::Plain)),
            _ => None,
        }
    }
}

impl ExprPlanner for OperatorPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some((operator, function, sign)) = self.find(&expr.op) else {
            return self.plan_arithmetic(expr, schema);
        };
        let left = typed_parameter(expr.left);
        let right = typed_parameter(expr.right);
        let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
        if [&left_type, &right_type].into_iter().any(|operand| operand_type(operand).is_none()) {
            let name = |data_type: &DataType| type_name(data_type);
            let (left, right) = (name(&left_type), name(&right_type));
            return Err(UdfError::NoOperator { operator, left, right }.into());
        }
        let call = ScalarFunction::new_udf(Arc::clone(function), vec![left, right]);
        let call = Expr::ScalarFunction(call);
        Ok(PlannerResult::Planned(match sign {
            Sign::Plain => call,
            Sign::Negative => Expr::Negative(Box::new(call)),
        }))
    }
}

/// A parameter that has no type yet is a `vector` here, as PostgreSQL infers it.
fn typed_parameter(operand: Expr) -> Expr {
    match operand {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Arc::new(tagged("", None));
            Expr::Placeholder(Placeholder { id, field: Some(field) })
        }
        other => other,
    }
}
