//! What the distances of bits share: the DataFusion function around a count of bits.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::bits::{BitsOperand, bits_operand, is_bits_operand};
use super::types::field_type_names;
use crate::doc::FunctionDoc;
use crate::error::UdfError;

/// How two values of bits compare.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BitCounts {
    /// Places where both have a one.
    pub(super) both: u32,
    /// Places where one of them has a one.
    pub(super) either: u32,
}

/// A distance of bits.
pub(super) trait BitDistance: Debug + Eq + Hash + Send + Sync + 'static {
    /// The documentation, which has the name.
    const DOC: &'static FunctionDoc;

    /// Where the documentation is kept in DataFusion's shape.
    fn documentation() -> &'static LazyLock<Documentation>;

    /// The distance.
    fn of(counts: BitCounts) -> f64;
}

/// The function of a distance.
pub(super) fn udf<D: BitDistance>() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(BitFunction::<D> { signature, distance: PhantomData })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BitFunction<D> {
    signature: Signature,
    distance: PhantomData<D>,
}

impl<D: BitDistance> ScalarUDFImpl for BitFunction<D> {
    fn name(&self) -> &str {
        D::DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.iter().map(bits_operand).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let are_bits = args.arg_fields.iter().all(|field| is_bits_operand(field.data_type()));
        if args.arg_fields.len() != 2 || !are_bits {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: D::DOC.name, arguments }.into());
        }
        Ok(Arc::new(Field::new(D::DOC.name, DataType::Float64, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [left, right] = take_function_args(D::DOC.name, args.args)?;
        let (left, right) = (BitsOperand::read(&left)?, BitsOperand::read(&right)?);
        let is_constant = left.is_constant() && right.is_constant();
        let rows = if is_constant { 1 } else { rows };
        let distances = (0..rows).map(|row| match (left.row(row), right.row(row)) {
            (Some(left), Some(right)) => Ok(Some(D::of(count(&left, &right)?))),
            _ => Ok(None),
        });
        let distances: ArrayRef = Arc::new(distances.collect::<Result<Float64Array, UdfError>>()?);
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&distances, 0)?));
        }
        Ok(ColumnarValue::Array(distances))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(D::documentation())
    }
}

fn count(left: &BooleanBuffer, right: &BooleanBuffer) -> Result<BitCounts, UdfError> {
    if left.len() != right.len() {
        return Err(UdfError::DifferentBits { left: left.len(), right: right.len() });
    }
    let mut counts = BitCounts::default();
    let (left, right) = (left.bit_chunks(), right.bit_chunks());
    for (left, right) in left.iter_padded().zip(right.iter_padded()) {
        counts.both += (left & right).count_ones();
        counts.either += (left | right).count_ones();
    }
    Ok(counts)
}
