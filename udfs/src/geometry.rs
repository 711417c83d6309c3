//! Boxes in the frame: edges in pixels go in, areas and overlaps come out.
//!
//! A box is four numbers `x1, y1, x2, y2` of any numeric type, as in `detections`; `(x1, y1)` is
//! the top left corner. An inverted box has no area. NULL in, NULL out.

mod box_area;
mod iou;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use datafusion::scalar::ScalarValue;

use crate::doc::Function;
use crate::error::UdfError;
use crate::vector::field_type_names;

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    vec![iou::function(), box_area::function()]
}

const SECTION: &str = "Geometry";

/// `float8` for each argument, if there are `expected` ones and all are numbers.
fn coerce(expected: usize, types: &[DataType]) -> Vec<DataType> {
    let numeric = |data_type: &DataType| data_type.is_numeric() || data_type.is_null();
    if types.len() == expected && types.iter().all(numeric) {
        vec![DataType::Float64; expected]
    } else {
        types.to_vec()
    }
}

/// `float8`, for `expected` arguments of that type.
///
/// The check is here and not in `coerce`, whose errors DataFusion puts into a text of its own.
fn return_field(
    function: &'static str,
    expected: usize,
    fields: &[FieldRef],
) -> Result<FieldRef, UdfError> {
    let float8 = |field: &FieldRef| *field.data_type() == DataType::Float64;
    if fields.len() == expected && fields.iter().all(float8) {
        Ok(Arc::new(Field::new(function, DataType::Float64, true)))
    } else {
        Err(UdfError::NoFunction { function, arguments: field_type_names(fields) })
    }
}

/// Applies `compute` to each row of `N` columns of `float8`.
fn map_rows<const N: usize>(
    args: &ScalarFunctionArgs,
    compute: impl Fn([f64; N]) -> f64,
) -> Result<ColumnarValue> {
    let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { args.number_rows };
    let arrays =
        args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
    let columns: Vec<&Float64Array> =
        arrays.iter().filter_map(|array| array.as_primitive_opt::<Float64Type>()).collect();
    let Ok(columns) = <[&Float64Array; N]>::try_from(columns) else {
        return internal_err!("expected {N} columns of float8");
    };
    let nulls = NullBuffer::union_many(columns.map(|column| column.nulls()));
    let values = columns.map(|column| &column.values()[..rows]);
    let results = (0..rows).map(|row| compute(values.map(|column| column[row]))).collect();
    let results = PrimitiveArray::<Float64Type>::new(results, nulls);
    if constant {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&results, 0)?));
    }
    Ok(ColumnarValue::Array(Arc::new(results)))
}
