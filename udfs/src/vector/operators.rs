//! pgvector's operators `<->`, `<=>`, `<#>` and `<+>`, `<~>` and `<%>` of bits, `+ - * ||` and
//! comparisons of vectors, planned as calls of the functions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};

use super::cosine_distance::CosineDistance;
use super::hamming_distance::HammingDistance;
use super::inner_product::InnerProduct;
use super::jaccard_distance::JaccardDistance;
use super::l1_distance::L1Distance;
use super::l2_distance::L2Distance;
use super::types::{is_vector, operand_type, tagged, type_name};
use super::vector_add::VectorAdd;
use super::vector_concat::VectorConcat;
use super::vector_mul::VectorMul;
use super::vector_sub::VectorSub;
use super::{arithmetic, bits, compare, distance};
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
    concatenate: Arc<ScalarUDF>,
    hamming_distance: Arc<ScalarUDF>,
    jaccard_distance: Arc<ScalarUDF>,
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
            concatenate: Arc::new(arithmetic::udf::<VectorConcat>()),
            hamming_distance: Arc::new(bits::udf::<HammingDistance>()),
            jaccard_distance: Arc::new(bits::udf::<JaccardDistance>()),
        }
    }
}

enum Sign {
    Plain,
    Negative,
}

impl OperatorPlanner {
    /// `+ - * ||` and comparisons where one side is a `vector`.
    fn plan_arithmetic(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match &expr.op {
            BinaryOperator::Plus => Arc::clone(&self.add),
            BinaryOperator::Minus => Arc::clone(&self.subtract),
            BinaryOperator::Multiply => Arc::clone(&self.multiply),
            BinaryOperator::StringConcat => Arc::clone(&self.concatenate),
            other => match compare::of_operator(other) {
                Some(function) => Arc::new(function),
                None => return Ok(PlannerResult::Original(expr)),
            },
        };
        let is_vector = |side: &Expr| match side.to_field(schema) {
            Ok((_, field)) => is_vector(&field),
            Err(_) => false,
        };
        if !is_vector(&expr.left) && !is_vector(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let args = vec![typed_parameter(expr.left), typed_parameter(expr.right)];
        let call = ScalarFunction::new_udf(function, args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }

    /// The distance of bits that an operator means.
    fn of_bits(&self, operator: &BinaryOperator) -> Option<&Arc<ScalarUDF>> {
        match spelling(operator)? {
            "<~>" => Some(&self.hamming_distance),
            "<%>" => Some(&self.jaccard_distance),
            _ => None,
        }
    }

    fn find(&self, operator: &BinaryOperator) -> Option<(&'static str, &Arc<ScalarUDF>, Sign)> {
        match spelling(operator)? {
            "<->" => Some(("<->", &self.l2_distance, Sign::Plain)),
            "<=>" => Some(("<=>", &self.cosine_distance, Sign::Plain)),
            "<#>" => Some(("<#>", &self.inner_product, Sign::Negative)),
            "<+>" => Some(("<+>", &self.l1_distance, Sign::Plain)),
            _ => None,
        }
    }
}

fn spelling(operator: &BinaryOperator) -> Option<&str> {
    Some(match operator {
        BinaryOperator::LtDashGt => "<->",
        BinaryOperator::Spaceship => "<=>",
        BinaryOperator::Custom(spelling) => spelling,
        // `OPERATOR(public.<->)`, as dumps and ORMs write it.
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last()?,
        _ => return None,
    })
}

impl ExprPlanner for OperatorPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(function) = self.of_bits(&expr.op) {
            return Ok(PlannerResult::Planned(function.call(vec![expr.left, expr.right])));
        }
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
