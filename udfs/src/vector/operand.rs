//! Reading an operand: a column or a constant of any vector type goes in, slices of numbers come
//! out, without a copy except for texts.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use datafusion::common::{exec_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;

use super::kind::VectorKind;
use super::text::parse_into;
use crate::error::UdfError;

/// The vectors of a batch, or the one vector that all its rows share.
pub(super) struct Operand {
    pub(super) elements: Elements,
    /// What the elements were before they became those of a `halfvec`, where that is to be checked.
    unrounded: Option<Elements>,
    kind: VectorKind,
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

    /// The nearest elements of the kind.
    fn rounded(&self, kind: VectorKind) -> Self {
        Self::F32(match self {
            Self::F32(elements) => elements.iter().map(|value| kind.nearest(*value)).collect(),
            Self::F64(elements) => {
                elements.iter().map(|value| kind.nearest(*value as f32)).collect()
            }
        })
    }

    /// Whether all elements of the span are such that the kind can have them.
    fn check(&self, span: Range<usize>, kind: VectorKind) -> Result<(), UdfError> {
        match self {
            Self::F32(elements) => elements[span]
                .iter()
                .try_for_each(|value| kind.checked(f64::from(*value)).map(|_| ())),
            Self::F64(elements) => {
                elements[span].iter().try_for_each(|value| kind.checked(*value).map(|_| ()))
            }
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
    /// Reads a value of any type that `operand_type` takes; a `vector` without a copy.
    pub(super) fn read(value: &ColumnarValue, kind: VectorKind) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::read_array(array, kind, false),
            ColumnarValue::Scalar(scalar) => Self::read_array(&scalar.to_array()?, kind, true),
        }
    }

    fn read_array(array: &ArrayRef, kind: VectorKind, constant: bool) -> Result<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let of = |elements, spans, nulls| Self {
            elements,
            unrounded: None,
            kind,
            spans,
            nulls,
            element_nulls: None,
            constant,
        };
        let (child, spans) = match array.data_type() {
            DataType::Null => {
                let elements = Elements::F32(ScalarBuffer::from(Vec::new()));
                return Ok(of(elements, Spans::AllNull, None));
            }
            DataType::Utf8 => {
                let (elements, spans) = parse_all(array.as_string(), kind)?;
                return Ok(of(elements, spans, nulls));
            }
            DataType::LargeUtf8 | DataType::Utf8View => {
                return Self::read_array(&cast(array, &DataType::Utf8)?, kind, constant);
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
            DataType::Float16 => {
                let elements = child.as_primitive::<Float16Type>().values().iter();
                Elements::F32(elements.map(|element| element.to_f32()).collect())
            }
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
        let is_of_kind = *child.data_type() == DataType::Float16 || kind == VectorKind::Vector;
        let (elements, unrounded) = match is_of_kind {
            true => (elements, None),
            false => (elements.rounded(kind), Some(elements)),
        };
        Ok(Self { unrounded, element_nulls, ..of(elements, spans, nulls) })
    }

    /// Whether all rows share one value.
    pub(super) fn is_constant(&self) -> bool {
        self.constant
    }

    /// Where the row's elements are; `None` when it is NULL.
    ///
    /// # Errors
    /// [`UdfError::NullElement`] and [`UdfError::NoDimensions`], as pgvector's cast from an array; those
    /// of elements that a `halfvec` cannot have.
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
            return Err(UdfError::NoDimensions { kind: self.kind });
        }
        if let Some(nulls) = &self.element_nulls
            && nulls.slice(span.start, span.len()).null_count() > 0
        {
            return Err(UdfError::NullElement);
        }
        // The values beneath a NULL may be anything, so only now.
        if let Some(unrounded) = &self.unrounded {
            unrounded.check(span.clone(), self.kind)?;
        }
        Ok(Some(span))
    }
}

fn range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, row: usize) -> Range<usize> {
    offsets[row].as_usize()..offsets[row + 1].as_usize()
}

/// Parses each text that is not NULL.
fn parse_all(texts: &StringArray, kind: VectorKind) -> Result<(Elements, Spans), UdfError> {
    let mut values = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    for text in texts {
        lengths.push(match text {
            Some(text) => parse_into(text, kind, &mut values)?,
            None => 0,
        });
    }
    let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
    Ok((Elements::F32(ScalarBuffer::from(values)), Spans::LargeOffsets(offsets)))
}
