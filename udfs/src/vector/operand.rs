//! Reading an operand: a column or a constant of any vector type goes in, slices of numbers come
//! out, without a copy except for texts.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{exec_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

use super::text::parse_vector_into;
use crate::error::UdfError;

/// The vectors of a batch, or the one vector that all its rows share.
pub(super) struct Operand {
    pub(super) elements: Elements,
    spans: Spans,
    nulls: Option<NullBuffer>,
    element_nulls: Option<NullBuffer>,
    constant: bool,
}

/// The numbers of all vectors, one after the other.
pub(super) enum Elements {
    F32(ScalarBuffer<f32>),
    F64(ScalarBuffer<f64>),
}

impl Elements {
    /// Replaces what is in `widened` by the elements of the span.
    pub(super) fn widen_into(&self, span: Range<usize>, widened: &mut Vec<f64>) {
        widened.clear();
        match self {
            Self::F32(elements) => {
                widened.extend(elements[span].iter().map(|value| f64::from(*value)));
            }
            Self::F64(elements) => widened.extend_from_slice(&elements[span]),
        }
    }
}

enum Spans {
    Fixed(usize),
    Offsets(OffsetBuffer<i32>),
    LargeOffsets(OffsetBuffer<i64>),
    AllNull,
}

impl Operand {
    /// Reads a value of any type that `operand_type` takes; those that it gives, without a copy.
    pub(super) fn read(value: &ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::read_array(array, false),
            ColumnarValue::Scalar(scalar) => Self::read_array(&scalar.to_array()?, true),
        }
    }

    fn read_array(array: &ArrayRef, constant: bool) -> Result<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let (child, spans) = match array.data_type() {
            DataType::Null => {
                let elements = Elements::F32(ScalarBuffer::from(Vec::new()));
                let spans = Spans::AllNull;
                return Ok(Self { elements, spans, nulls: None, element_nulls: None, constant });
            }
            DataType::Utf8 => {
                let (elements, spans) = parse_all(array.as_string())?;
                return Ok(Self { elements, spans, nulls, element_nulls: None, constant });
            }
            DataType::LargeUtf8 | DataType::Utf8View => {
                return Self::read_array(&cast(array, &DataType::Utf8)?, constant);
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (list.values(), Spans::Offsets(list.offsets().clone()))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (list.values(), Spans::LargeOffsets(list.offsets().clone()))
            }
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length)
                    .map_err(|_| exec_datafusion_err!("negative length {length} of a list"))?;
                (array.as_fixed_size_list().values(), Spans::Fixed(length))
            }
            other => return internal_err!("{other} is not a vector"),
        };
        let elements = match child.data_type() {
            DataType::Float32 => {
                Elements::F32(child.as_primitive::<Float32Type>().values().clone())
            }
            DataType::Float64 => {
                Elements::F64(child.as_primitive::<Float64Type>().values().clone())
            }
            other if other.is_numeric() || other.is_null() => {
                let child = cast(child, &DataType::Float64)?;
                Elements::F64(child.as_primitive::<Float64Type>().values().clone())
            }
            other => return internal_err!("{other} is not an element of a vector"),
        };
        let element_nulls = child.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        Ok(Self { elements, spans, nulls, element_nulls, constant })
    }

    /// Whether all rows share one value.
    pub(super) fn is_constant(&self) -> bool {
        self.constant
    }

    /// Where the row's elements are; `None` when it is NULL.
    ///
    /// # Errors
    /// [`UdfError::NullElement`] and [`UdfError::NoDimensions`], as pgvector's cast from an array.
    pub(super) fn span(&self, row: usize) -> Result<Option<Range<usize>>, UdfError> {
        let row = if self.constant { 0 } else { row };
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let span = match &self.spans {
            Spans::Fixed(length) => row * length..(row + 1) * length,
            Spans::Offsets(offsets) => range(offsets, row),
            Spans::LargeOffsets(offsets) => range(offsets, row),
            Spans::AllNull => return Ok(None),
        };
        if span.is_empty() {
            return Err(UdfError::NoDimensions);
        }
        if let Some(nulls) = &self.element_nulls
            && nulls.slice(span.start, span.len()).null_count() > 0
        {
            return Err(UdfError::NullElement);
        }
        Ok(Some(span))
    }
}

fn range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, row: usize) -> Range<usize> {
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

/// Parses each text that is not NULL.
fn parse_all(texts: &StringArray) -> Result<(Elements, Spans), UdfError> {
    let mut values = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    for text in texts {
        lengths.push(match text {
            Some(text) => parse_vector_into(text, &mut values)?,
            None => 0,
        });
    }
    let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
    Ok((Elements::F32(ScalarBuffer::from(values)), Spans::LargeOffsets(offsets)))
}
