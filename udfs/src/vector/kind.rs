//! The two types of vectors: `vector`, whose elements are `float4`, and `halfvec`, whose elements
//! have 16 bits (IEEE 754 binary16).
//!
//! A `halfvec` is told by its Arrow type: nothing else here is a list of `Float16`. So it stays one
//! through functions of DataFusion that forget a field's metadata.

use std::fmt;

use arrow::datatypes::{DataType, FieldRef};
use half::f16;

use super::types::item;
use super::vector_out::shortest;
use crate::error::UdfError;

/// A type of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VectorKind {
    /// Elements of 32 bits.
    Vector,
    /// Elements of 16 bits.
    Halfvec,
}

impl fmt::Display for VectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vector => "vector",
            Self::Halfvec => "halfvec",
        })
    }
}

impl VectorKind {
    /// The kind that operands of the types are read as: a `vector` beside a `halfvec` becomes one,
    /// as pgvector's implicit cast makes it.
    pub(super) fn of<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Self {
        match types.into_iter().any(is_halfvec) {
            true => Self::Halfvec,
            false => Self::Vector,
        }
    }

    /// The same of fields.
    pub(super) fn of_fields(fields: &[FieldRef]) -> Self {
        Self::of(fields.iter().map(|field| field.data_type()))
    }

    /// The Arrow type of an element.
    pub(super) fn element(self) -> DataType {
        match self {
            Self::Vector => DataType::Float32,
            Self::Halfvec => DataType::Float16,
        }
    }

    /// The Arrow type of vectors of any length.
    pub(super) fn list(self) -> DataType {
        DataType::List(item(self.element()))
    }

    /// The nearest number that an element can be, ties to even; infinite where it is beyond them.
    pub(super) fn nearest(self, value: f32) -> f32 {
        match self {
            Self::Vector => value,
            Self::Halfvec => f16::from_f32(value).to_f32(),
        }
    }

    /// The element that a number becomes.
    ///
    /// # Errors
    /// [`UdfError::VectorNan`], [`UdfError::VectorInfinite`] and [`UdfError::VectorRange`].
    #[expect(clippy::cast_possible_truncation, reason = "an element has 32 bits at most")]
    pub(super) fn checked(self, value: f64) -> Result<f32, UdfError> {
        let element = self.nearest(value as f32);
        if element.is_finite() {
            Ok(element)
        } else if value.is_nan() {
            Err(UdfError::VectorNan { kind: self })
        } else if value.is_infinite() {
            Err(UdfError::VectorInfinite { kind: self })
        } else {
            let element = match self {
                Self::Vector => value.to_string(),
                Self::Halfvec => shortest(value as f32),
            };
            Err(UdfError::VectorRange { kind: self, element })
        }
    }
}

/// Whether values of the type are a `halfvec`.
pub fn is_halfvec(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            *item.data_type() == DataType::Float16
        }
        _ => false,
    }
}
