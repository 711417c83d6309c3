//! Making vectors: values of `float4` go in row by row, a column of the type `vector` or `halfvec`
//! comes out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;
use half::f16;

use super::distance::list_of;
use super::kind::VectorKind;
use super::operand::Operand;
use super::text::check_dimensions;
use super::types::item;
use crate::error::UdfError;

/// A column of vectors in the making.
pub(crate) struct VectorColumn {
    values: Vec<f32>,
    lengths: Vec<usize>,
    present: Vec<bool>,
    dimensions: Option<usize>,
    kind: VectorKind,
}

impl VectorColumn {
    /// A column of the type, which is a `FixedSizeList` or a `List` of `Float32` or `Float16`.
    pub(crate) fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        let dimensions = match data_type {
            DataType::List(_) => None,
            DataType::FixedSizeList(_, length) => usize::try_from(*length).ok(),
            other => return internal_err!("{other} is not the type of a vector"),
        };
        let values = Vec::with_capacity(rows * dimensions.unwrap_or(0));
        let (lengths, present) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let kind = VectorKind::of([data_type]);
        Ok(Self { values, lengths, present, dimensions, kind })
    }

    /// Appends NULL.
    pub(crate) fn push_null(&mut self) {
        let padding = self.dimensions.unwrap_or(0);
        self.values.resize(self.values.len() + padding, 0.0);
        self.lengths.push(padding);
        self.present.push(false);
    }

    /// Appends a vector; an error when it is not as long as the type says.
    pub(crate) fn push(&mut self, vector: impl ExactSizeIterator<Item = f32>) -> Result<()> {
        if let Some(dimensions) = self.dimensions {
            check_dimensions(dimensions, vector.len())?;
        }
        self.lengths.push(vector.len());
        self.values.extend(vector);
        self.present.push(true);
        Ok(())
    }

    /// The column.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let nulls = Some(NullBuffer::from(self.present)).filter(|nulls| nulls.null_count() > 0);
        let values: ArrayRef = match self.kind {
            VectorKind::Vector => Arc::new(Float32Array::from(self.values)),
            VectorKind::Halfvec => {
                let halves = self.values.into_iter().map(f16::from_f32);
                Arc::new(Float16Array::from_iter_values(halves))
            }
        };
        let item = item(self.kind.element());
        Ok(match self.dimensions {
            Some(dimensions) => {
                let length = i32::try_from(dimensions).unwrap_or(i32::MAX);
                Arc::new(FixedSizeListArray::try_new(item, length, values, nulls)?)
            }
            None => {
                let offsets = OffsetBuffer::from_lengths(self.lengths);
                Arc::new(ListArray::try_new(item, offsets, values, nulls)?)
            }
        })
    }
}

/// A vector for each row of `operand`: what `map` appends for the operand's value.
pub(super) fn map_vectors(
    operand: &Operand,
    rows: usize,
    data_type: &DataType,
    map: impl Fn(&[f64], &mut VectorColumn) -> Result<()>,
) -> Result<ColumnarValue> {
    let mut widened = Vec::new();
    map_spans(operand, rows, data_type, |span, column| {
        operand.elements.widen_into(span, &mut widened);
        map(&widened, column)
    })
}

/// The same for who looks at the elements of the operand's value without a copy of them.
pub(super) fn map_spans(
    operand: &Operand,
    rows: usize,
    data_type: &DataType,
    mut map: impl FnMut(Range<usize>, &mut VectorColumn) -> Result<()>,
) -> Result<ColumnarValue> {
    let rows = if operand.is_constant() { 1 } else { rows };
    let mut column = VectorColumn::new(data_type, rows)?;
    for row in 0..rows {
        match operand.span(row)? {
            Some(span) => map(span, &mut column)?,
            None => column.push_null(),
        }
    }
    let column = column.finish()?;
    if operand.is_constant() {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
    }
    Ok(ColumnarValue::Array(column))
}

/// A `halfvec` as a value of the type that a statement wants, which is a list of them.
///
/// # Errors
/// [`UdfError::UnexpectedDimensions`] (22000) for another length than the type's.
pub fn halfvec_value(elements: &[f32], wanted: Option<&DataType>) -> Result<ScalarValue, UdfError> {
    match wanted {
        Some(DataType::FixedSizeList(_, length)) => {
            check_dimensions(usize::try_from(*length).unwrap_or_default(), elements.len())?;
            let values: ArrayRef = Arc::new(Float16Array::from_iter_values(
                elements.iter().map(|value| f16::from_f32(*value)),
            ));
            let item = item(DataType::Float16);
            let list = FixedSizeListArray::new(item, *length, values, None);
            Ok(ScalarValue::FixedSizeList(Arc::new(list)))
        }
        _ => Ok(list_of(VectorKind::Halfvec, elements.to_vec())),
    }
}
