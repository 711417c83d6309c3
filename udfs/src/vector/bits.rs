//! What the distances of bit texts share: the DataFusion function around a count of bits.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::types::field_type_names;
use crate::doc::FunctionDoc;
use crate::error::UdfError;

/// How two bit texts compare.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BitCounts {
    /// Places where both have a one.
    pub(super) both: u32,
    /// Places where one of them has a one.
    pub(super) either: u32,
}

/// A distance of two bit texts.
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
        let text = |found: &DataType| {
            if found.is_string() || found.is_null() { DataType::Utf8 } else { found.clone() }
        };
        Ok(types.iter().map(text).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = |field: &FieldRef| *field.data_type() == DataType::Utf8;
        if args.arg_fields.len() != 2 || !args.arg_fields.iter().all(text) {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: D::DOC.name, arguments }.into());
        }
        Ok(Arc::new(Field::new(D::DOC.name, DataType::Float64, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [left, right] = take_function_args(D::DOC.name, args.args)?;
        let constant =
            matches!((&left, &right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { rows };
        let (left, right) = (left.into_array(rows)?, right.into_array(rows)?);
        let (left, right) = (left.as_string::<i32>(), right.as_string::<i32>());
        let distances = left.iter().zip(right).map(|pair| match pair {
            (Some(left), Some(right)) => Ok(Some(D::of(count(left, right)?))),
            _ => Ok(None),
        });
        let distances: ArrayRef = Arc::new(distances.collect::<Result<Float64Array, UdfError>>()?);
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&distances, 0)?));
        }
        Ok(ColumnarValue::Array(distances))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(D::documentation())
    }
}

fn count(left: &str, right: &str) -> Result<BitCounts, UdfError> {
    if let Some(digit) = left.chars().chain(right.chars()).find(|bit| !matches!(bit, '0' | '1')) {
        return Err(UdfError::BitSyntax { digit });
    }
    if left.len() != right.len() {
        return Err(UdfError::DifferentBits { left: left.len(), right: right.len() });
    }
    let mut counts = BitCounts::default();
    for pair in left.bytes().zip(right.bytes()) {
        counts.both += u32::from(pair == (b'1', b'1'));
        counts.either += u32::from(pair != (b'0', b'0'));
    }
    Ok(counts)
}
