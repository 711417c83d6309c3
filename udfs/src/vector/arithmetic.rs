//! What `+ - * ||` of vectors share: the DataFusion function around a kernel over two slices.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::kind::VectorKind;
use super::operand::Operand;
use super::output::VectorColumn;
use super::types::{MAX_DIMENSIONS, check_operands, coerce, field_of};
use crate::doc::FunctionDoc;
use crate::error::UdfError;

/// A vector made of two.
pub(super) trait Arithmetic: Debug + Eq + Hash + Send + Sync + 'static {
    /// The documentation, which has the name.
    const DOC: &'static FunctionDoc;

    /// Where the documentation is kept in DataFusion's shape.
    fn documentation() -> &'static LazyLock<Documentation>;

    /// Appends the elements of the result; both vectors hold `float4` values and are of the kind.
    fn combine(
        kind: VectorKind,
        left: &[f64],
        right: &[f64],
        result: &mut Vec<f32>,
    ) -> Result<(), UdfError>;
}

/// The function.
pub(super) fn udf<A: Arithmetic>() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(ArithmeticFunction::<A> { signature, function: PhantomData })
}

/// Element by element, for vectors of the same length. A result that an element cannot be is an
/// error, and so is a product that becomes 0 without a factor of 0.
pub(super) fn each_pair(
    kind: VectorKind,
    left: &[f64],
    right: &[f64],
    result: &mut Vec<f32>,
    term: impl Fn(f32, f32) -> f32,
    may_vanish: impl Fn(f32, f32) -> bool,
) -> Result<(), UdfError> {
    if left.len() != right.len() {
        return Err(UdfError::DifferentDimensions { kind, left: left.len(), right: right.len() });
    }
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (*left as f32, *right as f32);
        let value = kind.nearest(term(left, right));
        if value.is_infinite() {
            return Err(UdfError::Overflow);
        }
        if value == 0.0 && !may_vanish(left, right) {
            return Err(UdfError::Underflow);
        }
        result.push(value);
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArithmeticFunction<A> {
    signature: Signature,
    function: PhantomData<A>,
}

impl<A: Arithmetic> ScalarUDFImpl for ArithmeticFunction<A> {
    fn name(&self) -> &str {
        A::DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(coerce(types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", A::DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(A::DOC.name, 2, args.arg_fields)?;
        Ok(Arc::new(field_of(VectorKind::of_fields(args.arg_fields), A::DOC.name, None)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [left, right] = take_function_args(A::DOC.name, args.args)?;
        let (left, right) = (Operand::read(&left, kind)?, Operand::read(&right, kind)?);
        let constant = left.is_constant() && right.is_constant();
        let rows = if constant { 1 } else { rows };
        let mut column = VectorColumn::new(&data_type, rows)?;
        let (mut widened, mut other, mut result) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let (Some(span), Some(other_span)) = (left.span(row)?, right.span(row)?) else {
                column.push_null();
                continue;
            };
            left.elements.widen_into(span, &mut widened);
            right.elements.widen_into(other_span, &mut other);
            result.clear();
            A::combine(kind, &widened, &other, &mut result)?;
            if result.len() > MAX_DIMENSIONS {
                return Err(UdfError::TooManyDimensions { kind, max: MAX_DIMENSIONS }.into());
            }
            column.push(result.iter().copied())?;
        }
        let column = column.finish()?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(A::documentation())
    }
}
