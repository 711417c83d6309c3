//! How an index keeps its vectors: whole, in half precision, or in eight bits.
//!
//! A walk through a graph asks for thousands of distances and needs few of them exactly. So whole
//! vectors are kept in eight bits as well, where the metric is a product and there are enough
//! elements for their errors to even out: a walk reads a quarter of the memory, and what it finds
//! is ranked by the whole vectors.

use std::ops::Range;
use std::sync::Arc;

use super::kernel::{self, Half, Metric, Stored};

/// The precision of the vectors in an index, the highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// 32 bits an element.
    #[default]
    Full,
    /// 16 bits an element.
    Half,
    /// 8 bits an element, and one scale for each vector: its greatest element is 127.
    Int8,
}

/// Elements from which on products of eight bits are near enough to walk by. Rounding errs by up to
/// half a step in each element, so the cosine of vectors of `d` elements, the greatest of which is
/// about `3 / sqrt(d)`, by about `0.007 / sqrt(d)` for each of the two: 0.0009 for 128.
const STEPS_FROM: usize = 128;

/// Whether a graph is walked by products of eight bits, where it has them.
pub(super) fn walks_by_steps(metric: Metric, dimensions: usize) -> bool {
    matches!(metric, Metric::Cosine | Metric::InnerProduct) && dimensions >= STEPS_FROM
}

/// Steps of the greatest element of a vector.
const GREATEST: f32 = 127.0;

/// Vectors in eight bits, one after the other, each with what a step of it counts behind it: a walk reads both, and
/// what lies together comes from the memory together.
#[derive(Clone, Debug)]
pub(super) struct Steps(Arc<[i8]>);

/// Bytes of what a step counts.
const SCALE: usize = size_of::<f32>();

impl Steps {
    pub(super) fn encode(dimensions: usize, vectors: &[f32]) -> Self {
        let vectors = vectors.chunks_exact(dimensions.max(1));
        let mut bytes = Vec::with_capacity(vectors.len() * (dimensions + SCALE));
        for vector in vectors {
            let scale = scale(vector);
            // What `round` does, without a call for each element. A scale that is hardly a number may be too small.
            let round = |value: &f32| (value / scale + 0.5_f32.copysign(*value)) as i8;
            let step = |value| round(value).max(-i8::MAX);
            bytes.extend(vector.iter().map(step));
            bytes.extend(scale.to_ne_bytes().map(u8::cast_signed));
        }
        Self(bytes.into())
    }

    /// What is kept of the vector `at`.
    #[inline]
    fn record(&self, dimensions: usize, at: usize) -> &[i8] {
        let length = dimensions + SCALE;
        &self.0[at * length..(at + 1) * length]
    }

    /// The vector `at` and what a step of it counts.
    #[inline]
    pub(super) fn vector(&self, dimensions: usize, at: usize) -> (&[i8], f32) {
        let (elements, scale) = self.record(dimensions, at).split_at(dimensions);
        // Written out, as a `map` is a call where it is not optimized away.
        let scale = match *scale {
            [a, b, c, d] => f32::from_ne_bytes([
                a.cast_unsigned(),
                b.cast_unsigned(),
                c.cast_unsigned(),
                d.cast_unsigned(),
            ]),
            _ => 0.0,
        };
        (elements, scale)
    }

    /// The vector `at` as others are compared with it.
    #[inline]
    pub(super) fn probe(&self, dimensions: usize, at: usize) -> Probe<'_> {
        let (elements, scale) = self.vector(dimensions, at);
        Probe::Steps { elements, scale }
    }

    /// How far the product of these steps of `query` and of the vector `at` may be from the product of
    /// what they stand for. With `q'` and `v'` for what steps count, `q·v - q'·v' = (q - q')·v' +
    /// q·(v - v')`, and rounding errs by half a step in each element.
    fn error(&self, query: &Steps, lengths: Lengths, at: usize) -> f32 {
        let dimensions = query.0.len().saturating_sub(SCALE);
        let elements = (dimensions as f32).sqrt();
        let ((_, query_step), (_, step)) =
            (query.vector(dimensions, 0), self.vector(dimensions, at));
        let rounded = |step: f32| elements * step / 2.0;
        let length = lengths.stored.map_or(elements * step * GREATEST, |one| one + rounded(step));
        rounded(query_step) * length + lengths.query * rounded(step)
    }

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_ref())
    }
}

/// What is known of the lengths of a query and of the vectors that it is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) query: f32,
    /// `None` when they have different ones.
    pub(super) stored: Option<f32>,
}

/// A vector that others are compared with on a walk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe<'a> {
    Whole(&'a [f32]),
    Steps { elements: &'a [i8], scale: f32 },
}

/// The vectors of one chunk, one after the other.
#[derive(Clone, Debug)]
pub(super) enum Codes {
    /// With eight bits to walk by, or without.
    Full(Arc<[f32]>, Option<Steps>),
    Half(Arc<[Half]>),
    Int8(Steps),
}

impl Codes {
    /// Encodes vectors of `dimensions` elements each.
    pub(super) fn encode(
        precision: Precision,
        metric: Metric,
        dimensions: usize,
        vectors: Vec<f32>,
    ) -> Self {
        match precision {
            Precision::Full => {
                let steps =
                    walks_by_steps(metric, dimensions).then(|| Steps::encode(dimensions, &vectors));
                Self::Full(vectors.into(), steps)
            }
            Precision::Half => Self::Half(vectors.into_iter().map(Half::nearest).collect()),
            Precision::Int8 => Self::Int8(Steps::encode(dimensions, &vectors)),
        }
    }

    /// The distance of a probe and the vector `at`, as far as a walk needs it. A probe of steps is
    /// for graphs that are walked by them.
    #[inline]
    pub(super) fn walk_distance(&self, metric: Metric, probe: Probe<'_>, at: usize) -> f32 {
        match (probe, self) {
            (Probe::Whole(query), _) => self.distance(metric, query, at),
            (
                Probe::Steps { elements: query, scale },
                Self::Full(_, Some(steps)) | Self::Int8(steps),
            ) => {
                let (elements, step) = steps.vector(query.len(), at);
                metric.distance_of_steps(query, elements, scale * step)
            }
            // No graph has both; a distance that is never the least one leads nowhere.
            (Probe::Steps { .. }, Self::Full(_, None) | Self::Half(_)) => f32::INFINITY,
        }
    }

    /// How far a distance that a walk goes by may be from that of the whole vectors; `None` where
    /// that is the same.
    pub(super) fn walk_error(&self, query: &Steps, lengths: Lengths, at: usize) -> Option<f32> {
        match self {
            Self::Full(_, Some(steps)) => Some(steps.error(query, lengths, at)),
            _ => None,
        }
    }

    /// The vector `at` as others are compared with it on a walk.
    #[inline]
    pub(super) fn probe<'a>(
        &'a self,
        metric: Metric,
        dimensions: usize,
        at: usize,
        scratch: &'a mut Vec<f32>,
    ) -> Probe<'a> {
        match self {
            Self::Full(_, Some(steps)) => steps.probe(dimensions, at),
            Self::Int8(steps) if walks_by_steps(metric, dimensions) => steps.probe(dimensions, at),
            _ => Probe::Whole(self.decode(dimensions, at, scratch)),
        }
    }

    /// The distance of `query` and the vector `at`.
    #[inline]
    pub(super) fn distance(&self, metric: Metric, query: &[f32], at: usize) -> f32 {
        let span = at * query.len()..(at + 1) * query.len();
        match self {
            Self::Full(elements, _) => metric.distance(query, &elements[span], 1.0),
            Self::Half(elements) => metric.distance(query, &elements[span], 1.0),
            Self::Int8(steps) => {
                let (elements, scale) = steps.vector(query.len(), at);
                metric.distance(query, elements, scale)
            }
        }
    }

    /// The vector `at`, as far as it was kept.
    fn decode<'a>(&'a self, dimensions: usize, at: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let span = at * dimensions..(at + 1) * dimensions;
        match self {
            Self::Full(elements, _) => return &elements[span],
            Self::Half(elements) => {
                scratch.clear();
                scratch.extend(elements[span].iter().map(|element| element.widen()));
            }
            Self::Int8(steps) => {
                let (elements, scale) = steps.vector(dimensions, at);
                scratch.clear();
                scratch.extend(elements.iter().map(|element| element.widen() * scale));
            }
        }
        scratch
    }

    /// Whether two vectors are kept as the same one.
    pub(super) fn same(&self, at: usize, other: &Self, other_at: usize, dimensions: usize) -> bool {
        let span = at * dimensions..(at + 1) * dimensions;
        let other_span = other_at * dimensions..(other_at + 1) * dimensions;
        match (self, other) {
            (Self::Full(left, _), Self::Full(right, _)) => left[span] == right[other_span],
            (Self::Half(left), Self::Half(right)) => left[span] == right[other_span],
            (Self::Int8(left), Self::Int8(right)) => {
                left.record(dimensions, at) == right.record(dimensions, other_at)
            }
            _ => false,
        }
    }

    /// Asks the memory for what a walk reads of the vector `at`.
    #[inline]
    pub(super) fn prefetch(&self, dimensions: usize, at: usize) {
        let span = at * dimensions..(at + 1) * dimensions;
        match self {
            Self::Full(elements, None) => kernel::prefetch(&elements[span]),
            Self::Half(elements) => kernel::prefetch(&elements[span]),
            Self::Full(_, Some(steps)) | Self::Int8(steps) => {
                kernel::prefetch(steps.record(dimensions, at));
            }
        }
    }

    /// Asks the memory for a whole vector.
    #[inline]
    pub(super) fn prefetch_whole(&self, dimensions: usize, at: usize) {
        if let Self::Full(elements, _) = self {
            kernel::prefetch_whole(&elements[at * dimensions..(at + 1) * dimensions]);
        }
    }

    /// Where the vectors lie.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (whole, steps) = match self {
            Self::Full(elements, steps) => (Some(addresses(elements)), steps.as_ref()),
            Self::Half(elements) => (Some(addresses(elements)), None),
            Self::Int8(steps) => (None, Some(steps)),
        };
        whole.into_iter().chain(steps.map(|steps| addresses(&steps.0)))
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Full(elements, steps) => {
                size_of_val(elements.as_ref()) + steps.as_ref().map_or(0, Steps::bytes)
            }
            Self::Half(elements) => size_of_val(elements.as_ref()),
            Self::Int8(steps) => steps.bytes(),
        }
    }
}

/// Where elements lie.
pub(super) fn addresses<T>(elements: &[T]) -> Range<usize> {
    let Range { start, end } = elements.as_ptr_range();
    start.addr()..end.addr()
}

/// What one step of an eight-bit element counts.
fn scale(vector: &[f32]) -> f32 {
    let greatest = vector.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    if greatest > 0.0 { greatest / GREATEST } else { 1.0 }
}
