//! The casts `'[1,2,3]'::vector(3)`, `ARRAY[1,2,3]::halfvec`, `v::text` and their like.
//!
//! Arrow's own casts know nothing of pgvector's text format, so casts to and from its types become
//! calls of functions when the query is analysed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, lit};

use super::bit::{self, Length};
use super::bits::{bits_operand, is_bits, is_bits_operand, most_bits};
use super::kind::VectorKind;
use super::types::{item, kind_of, operand_type};
use super::{array, to_vector, vector_out};

/// Turns casts to `vector`, `halfvec` and `bit`, and those of a vector to an array and of
/// these types to a text, into calls of functions.
#[derive(Debug)]
pub struct VectorCast {
    to_vector: Arc<ScalarUDF>,
    to_halfvec: Arc<ScalarUDF>,
    to_bit: Arc<ScalarUDF>,
    to_varbit: Arc<ScalarUDF>,
    to_array: Arc<ScalarUDF>,
    vector_out: Arc<ScalarUDF>,
    bit_out: Arc<ScalarUDF>,
}

impl Default for VectorCast {
    fn default() -> Self {
        let to_vector = Arc::new(to_vector::udf(VectorKind::Vector));
        let to_halfvec = Arc::new(to_vector::udf(VectorKind::Halfvec));
        let to_bit = Arc::new(bit::udf(Length::Exact));
        let to_varbit = Arc::new(bit::udf(Length::AtMost));
        let to_array = Arc::new(array::udf());
        let (vector_out, bit_out) = (Arc::new(vector_out::udf()), Arc::new(bit::out()));
        Self { to_vector, to_halfvec, to_bit, to_varbit, to_array, vector_out, bit_out }
    }
}

impl VectorCast {
    /// The function that writes values of the field.
    fn text_of(&self, field: &Field) -> Option<&Arc<ScalarUDF>> {
        match is_bits(field.data_type()) {
            true => Some(&self.bit_out),
            false => kind_of(field).map(|_| &self.vector_out),
        }
    }
}

/// The function that writes the values of an expression, where they are vectors or bits.
pub(crate) fn writer_of(value: &Expr, schema: &DFSchema) -> Option<ScalarUDF> {
    let (_, field) = value.to_field(schema).ok()?;
    match is_bits(field.data_type()) {
        true => Some(bit::out()),
        false => kind_of(&field).map(|_| vector_out::udf()),
    }
}

impl FunctionRewrite for VectorCast {
    fn name(&self) -> &str {
        "vector_cast"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let (value, field) = match expr {
            Expr::Cast(Cast { expr, field }) if kind_of(&field).is_some() => (expr, field),
            Expr::Cast(Cast { expr, field }) if is_bits(field.data_type()) => {
                if !is_bits_operand(&bits_operand(&expr.get_type(schema)?)) {
                    return Ok(Transformed::no(Expr::Cast(Cast { expr, field })));
                }
                let (function, bits) = match field.data_type() {
                    DataType::FixedSizeList(_, bits) => (&self.to_bit, Some(i64::from(*bits))),
                    _ => (&self.to_varbit, most_bits(&field)),
                };
                let args = std::iter::once(*expr).chain(bits.map(lit)).collect();
                return Ok(Transformed::yes(function.call(args)));
            }
            // Arrow has one type for both, so the cast would be taken away with the tag left.
            Expr::Cast(Cast { expr, field })
                if matches!(field.data_type(), DataType::List(_))
                    && kind_of(expr.to_field(schema)?.1.as_ref()).is_some() =>
            {
                let array = self.to_array.call(vec![*expr]);
                let float4 = DataType::List(item(DataType::Float32));
                return Ok(Transformed::yes(match *field.data_type() == float4 {
                    true => array,
                    false => Expr::Cast(Cast { expr: Box::new(array), field }),
                }));
            }
            // Arrow's text of a list has spaces and decimal points, and it would keep the tag.
            Expr::Cast(Cast { expr, field })
                if is_text(field.data_type())
                    && let Some(function) = self.text_of(expr.to_field(schema)?.1.as_ref()) =>
            {
                let text = function.call(vec![*expr]);
                return Ok(Transformed::yes(match *field.data_type() == DataType::Utf8 {
                    true => text,
                    false => Expr::Cast(Cast { expr: Box::new(text), field }),
                }));
            }
            other => return Ok(Transformed::no(other)),
        };
        if operand_type(&value.get_type(schema)?).is_none() {
            return Ok(Transformed::no(Expr::Cast(Cast { expr: value, field })));
        }
        let function = match kind_of(&field) {
            Some(VectorKind::Halfvec) => &self.to_halfvec,
            _ => &self.to_vector,
        };
        let mut args = vec![*value];
        if let DataType::FixedSizeList(_, dimensions) = field.data_type() {
            args.push(lit(i64::from(*dimensions)));
        }
        let call = ScalarFunction::new_udf(Arc::clone(function), args);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
