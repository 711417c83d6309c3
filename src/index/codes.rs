//! How an index keeps its vectors: whole, in half precision, or in eight bits.

use std::sync::Arc;

use super::kernel::{self, Half, Metric, Stored};

/// The precision of the vectors in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32 bits an element.
    #[default]
    Full,
    /// 16 bits an element.
    Half,
    /// 8 bits an element, and one scale for each vector: its greatest element is 127.
    Int8,
}

/// The vectors of one chunk, one after the other.
#[derive(Clone, Debug)]
pub(super) enum Codes {
    Full(Arc<[f32]>),
    Half(Arc<[Half]>),
    Int8 { elements: Arc<[i8]>, scales: Arc<[f32]> },
}

impl Codes {
    /// Encodes vectors of `dimensions` elements each.
    pub(super) fn encode(precision: Precision, dimensions: usize, vectors: Vec<f32>) -> Self {
        match precision {
            Precision::Full => Self::Full(vectors.into()),
            Precision::Half => Self::Half(vectors.into_iter().map(Half::nearest).collect()),
            Precision::Int8 => {
                let vectors = vectors.chunks_exact(dimensions.max(1));
                let scales: Arc<[f32]> = vectors.clone().map(scale).collect();
                let elements = vectors
                    .zip(scales.iter())
                    .flat_map(|(vector, scale)| vector.iter().map(move |value| value / scale))
                    .map(|value| value.round() as i8)
                    .collect();
                Self::Int8 { elements, scales }
            }
        }
    }

    /// The distance of `query` and the vector `at`.
    #[inline]
    pub(super) fn distance(&self, metric: Metric, query: &[f32], at: usize) -> f32 {
        let span = at * query.len()..(at + 1) * query.len();
        match self {
            Self::Full(elements) => metric.distance(query, &elements[span], 1.0),
            Self::Half(elements) => metric.distance(query, &elements[span], 1.0),
            Self::Int8 { elements, scales } => metric.distance(query, &elements[span], scales[at]),
        }
    }

    /// The vector `at`, as far as it was kept.
    pub(super) fn decode<'a>(
        &'a self,
        dimensions: usize,
        at: usize,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        let span = at * dimensions..(at + 1) * dimensions;
        match self {
            Self::Full(elements) => return &elements[span],
            Self::Half(elements) => {
                scratch.clear();
                scratch.extend(elements[span].iter().map(|element| element.widen()));
            }
            Self::Int8 { elements, scales } => {
                scratch.clear();
                scratch.extend(elements[span].iter().map(|element| element.widen() * scales[at]));
            }
        }
        scratch
    }

    /// Whether two vectors are kept as the same one.
    pub(super) fn same(&self, at: usize, other: &Self, other_at: usize, dimensions: usize) -> bool {
        let span = at * dimensions..(at + 1) * dimensions;
        let other_span = other_at * dimensions..(other_at + 1) * dimensions;
        match (self, other) {
            (Self::Full(left), Self::Full(right)) => left[span] == right[other_span],
            (Self::Half(left), Self::Half(right)) => left[span] == right[other_span],
            (
                Self::Int8 { elements: left, scales: left_scales },
                Self::Int8 { elements: right, scales: right_scales },
            ) => left_scales[at] == right_scales[other_at] && left[span] == right[other_span],
            _ => false,
        }
    }

    /// Asks the memory for the vector `at`.
    #[inline]
    pub(super) fn prefetch(&self, dimensions: usize, at: usize) {
        let span = at * dimensions..(at + 1) * dimensions;
        match self {
            Self::Full(elements) => kernel::prefetch(&elements[span]),
            Self::Half(elements) => kernel::prefetch(&elements[span]),
            Self::Int8 { elements, .. } => kernel::prefetch(&elements[span]),
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Full(elements) => size_of_val(elements.as_ref()),
            Self::Half(elements) => size_of_val(elements.as_ref()),
            Self::Int8 { elements, scales } => {
                size_of_val(elements.as_ref()) + size_of_val(scales.as_ref())
            }
        }
    }
}

/// What one step of an eight-bit element counts.
fn scale(vector: &[f32]) -> f32 {
    let greatest = vector.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    if greatest > 0.0 { greatest / 127.0 } else { 1.0 }
}
