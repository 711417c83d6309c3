//! pgvector's operators `<->`, `<=>`, `<#>` and `<+>`, `<~>` and `<%>` of bits, `+ - * ||` and
//! comparisons of vectors, planned as calls of the functions.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::scalar::ScalarValue;

use super::bits::{bits_field, is_bits};
use super::compare::Operands;
use super::cosine_distance::CosineDistance;
use super::hamming_distance::HammingDistance;
use super::inner_product::InnerProduct;
use super::jaccard_distance::JaccardDistance;
use super::kind::{VectorKind, is_halfvec};
use super::l1_distance::L1Distance;
use super::l2_distance::L2Distance;
use super::types::{field_of, field_type_names, is_tagged, kind_of, operand_type, type_name};
use super::vector_add::VectorAdd;
use super::vector_concat::VectorConcat;
use super::vector_mul::VectorMul;
use super::vector_sub::VectorSub;
use super::{arithmetic, bit_distance, compare, distance};
use crate::error::UdfError;
use crate::operands::field_of_operand;

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
            hamming_distance: Arc::new(bit_distance::udf::<HammingDistance>()),
            jaccard_distance: Arc::new(bit_distance::udf::<JaccardDistance>()),
        }
    }
}

enum Sign {
    Plain,
    Negative,
}

impl OperatorPlanner {
    /// `+ - * ||` and comparisons where one side is a `vector` or a `halfvec`, comparisons of bits.
    fn plan_arithmetic(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let sides = [&expr.left, &expr.right].map(|side| field_of_operand(side, schema));
        let mut fields = sides.iter().flatten();
        if fields.clone().any(|field| is_bits(field.data_type())) {
            return Ok(match compare::of_operator(&expr.op, Operands::Bits) {
                Some(function) => {
                    let args = vec![typed_bits(expr.left), typed_bits(expr.right)];
                    PlannerResult::Planned(function.call(args))
                }
                None => PlannerResult::Original(expr),
            });
        }
        if !fields.any(|field| kind_of(field).is_some()) && !has_lost_mark(&expr, &sides) {
            return Ok(PlannerResult::Original(expr));
        }
        let function = match &expr.op {
            BinaryOperator::Plus => Arc::clone(&self.add),
            BinaryOperator::Minus => Arc::clone(&self.subtract),
            BinaryOperator::Multiply => Arc::clone(&self.multiply),
            BinaryOperator::StringConcat => Arc::clone(&self.concatenate),
            other => match compare::of_operator(other, Operands::Vectors) {
                Some(function) => Arc::new(function),
                None => return Ok(PlannerResult::Original(expr)),
            },
        };
        let (left, right) = operands(expr.left, expr.right, schema);
        let args = vec![left, right];
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

/// Whether one side is a list whose mark DataFusion has lost, such as a `CASE` of vectors, and the other a literal of
/// a vector: one of an array is in braces.
fn has_lost_mark(expr: &RawBinaryExpr, sides: &[Option<FieldRef>; 2]) -> bool {
    let is_list = |side: &Option<FieldRef>| {
        let item = side.as_ref().and_then(|field| match field.data_type() {
            DataType::List(item) | DataType::FixedSizeList(item, _) => Some(item),
            _ => None,
        });
        item.is_some_and(|item| *item.data_type() == DataType::Float32)
    };
    let is_vector = |side: &Expr| {
        matches!(side, Expr::Literal(ScalarValue::Utf8(Some(text)), _)
            if text.trim_start().starts_with('['))
    };
    let [left, right] = sides;
    (is_list(left) && is_vector(&expr.right)) || (is_list(right) && is_vector(&expr.left))
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
        let (left, right) = operands(expr.left, expr.right, schema);
        let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
        let is_none = |side: &Expr, found: &DataType| match operand_type(found) {
            // A literal may be of any type; what a column holds is none that is not marked so.
            Some(DataType::Utf8) => side.any_column_refs() || side.contains_outer(),
            found => found.is_none(),
        };
        if is_none(&left, &left_type) || is_none(&right, &right_type) {
            let name = |side: &Expr, found: &DataType| match side.to_field(schema) {
                Ok((_, field)) => field_type_names(&[field]),
                Err(_) => type_name(found),
            };
            let (left, right) = (name(&left, &left_type), name(&right, &right_type));
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

/// Operands as PostgreSQL infers them: a parameter that has no type yet is a `vector`, and beside a
/// `halfvec` both it and a `vector` are one.
fn operands(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let is_half = |side: &Expr| side.get_type(schema).is_ok_and(|found| is_halfvec(&found));
    if !is_half(&left) && !is_half(&right) {
        let kind = VectorKind::Vector;
        return (typed_parameter(left, kind), typed_parameter(right, kind));
    }
    let half = |side: Expr| {
        let side = typed_parameter(side, VectorKind::Halfvec);
        let kind = side.to_field(schema).ok().and_then(|(_, field)| kind_of(&field));
        if kind != Some(VectorKind::Vector) {
            return side;
        }
        let field = Arc::new(field_of(VectorKind::Halfvec, "", None));
        Expr::Cast(Cast { expr: Box::new(side), field })
    };
    (half(left), half(right))
}

/// A parameter that has no type yet is bits beside bits.
fn typed_bits(operand: Expr) -> Expr {
    match operand {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Some(Arc::new(bits_field("", None)));
            Expr::Placeholder(Placeholder { id, field })
        }
        other => other,
    }
}

fn typed_parameter(operand: Expr, kind: VectorKind) -> Expr {
    let field = || Arc::new(field_of(kind, "", None));
    match operand {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            Expr::Placeholder(Placeholder { id, field: Some(field()) })
        }
        // The cast that a parameter gets whose type is not known before the statement is planned.
        Expr::Cast(cast)
            if matches!(cast.expr.as_ref(), Expr::Placeholder(_))
                && *cast.field.data_type() == VectorKind::Vector.list()
                && is_tagged(&cast.field) =>
        {
            Expr::Cast(Cast { expr: cast.expr, field: field() })
        }
        other => other,
    }
}
