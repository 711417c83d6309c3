//! The vectors of a batch in eight bits, with how much the rounding has left out of each: a scan of
//! all rows reads those, a quarter of the memory, and whole vectors only of rows that may be among
//! the nearest.
//!
//! Nothing is estimated. A vector `x` is its steps `y` and a rest `r`, a query `q` of length 1 is
//! `p` and `s`, and `q·x = p·y + q·r + s·y`. The first product is summed exactly; the others are at
//! most `|r|` and `|s| (|x| + |r|)` (Cauchy and Schwarz). So each row's cosine lies between two
//! bounds, and a row whose upper bound is below the `k`-th greatest lower one is none of the `k`
//! nearest.

use super::codes::Steps;
use super::kernel::Metric;
use crate::tables::Vectors;

/// For what sums of `f32` do not tell.
const ROUNDING: f32 = 1e-5;

/// A batch's vectors.
#[derive(Debug)]
pub(super) struct Sketch {
    dimensions: usize,
    steps: Steps,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// One over the vector's length; 0 where there is no vector or one whose length is no normal
    /// number, which has to be looked at itself.
    over_length: f32,
    /// The length of what rounding has left out over the vector's.
    rest: f32,
}

/// A query of length 1.
pub(super) struct SketchQuery {
    dimensions: usize,
    steps: Steps,
    rest: f32,
}

/// The length of what rounding has left out of the vector `at`.
fn rest(steps: &Steps, vector: &[f32], at: usize) -> f64 {
    let (elements, scale) = steps.vector(vector.len(), at);
    let squares = vector.iter().zip(elements).map(|(value, step)| {
        let difference = f64::from(*value) - f64::from(*step) * f64::from(scale);
        difference * difference
    });
    squares.sum::<f64>().sqrt()
}

/// The least `f32` that is no less, but for its last bits.
#[expect(clippy::cast_possible_truncation, reason = "it is rounded up")]
fn up(value: f64) -> f32 {
    (value * (1.0 + 1e-6)) as f32
}

impl Sketch {
    /// `None` when the batch has no vectors of `dimensions` elements alone.
    #[expect(clippy::cast_possible_truncation, reason = "a factor of a sum of `f32`")]
    pub(super) fn new(vectors: &Vectors<'_>, rows: usize, dimensions: usize) -> Option<Self> {
        let mut flat: Vec<f32> = Vec::with_capacity(rows * dimensions);
        for row in 0..rows {
            match vectors.get(row) {
                Some(vector) if vector.len() == dimensions => flat.extend_from_slice(vector),
                Some(_) => return None,
                None => flat.resize(flat.len() + dimensions, 0.0),
            }
        }
        let steps = Steps::encode(dimensions, &flat);
        let of_row = |(at, vector): (usize, &[f32])| {
            let squares = vector.iter().map(|value| f64::from(*value) * f64::from(*value));
            let length = squares.sum::<f64>().sqrt();
            if !(length as f32).is_normal() || !(1.0 / length as f32).is_normal() {
                return Row { over_length: 0.0, rest: 0.0 };
            }
            let rest = up(rest(&steps, vector, at) / length);
            Row { over_length: (1.0 / length) as f32, rest }
        };
        let rows = flat.chunks_exact(dimensions.max(1)).enumerate().map(of_row).collect();
        Some(Self { dimensions, steps, rows })
    }

    /// The least and the greatest cosine distance that a row can have; `None` for a row that has to
    /// be looked at itself, as all have where the query has another number of elements: the sketch is that of the
    /// queries before.
    #[inline]
    pub(super) fn bounds(&self, query: &SketchQuery, row: usize) -> Option<(f32, f32)> {
        let Row { over_length, rest } = *self.rows.get(row)?;
        if over_length == 0.0 || self.dimensions != query.dimensions {
            return None;
        }
        let (probe, probe_scale) = query.steps.vector(self.dimensions, 0);
        let (elements, scale) = self.steps.vector(self.dimensions, row);
        let scale = scale * over_length * probe_scale;
        let distance = 1.0 + Metric::InnerProduct.distance_of_steps(probe, elements, scale);
        let error = rest + query.rest * (1.0 + rest) + ROUNDING;
        Some((distance - error, distance + error))
    }
}

impl SketchQuery {
    pub(super) fn new(query: &[f32]) -> Self {
        let steps = Steps::encode(query.len(), query);
        let rest = up(rest(&steps, query, 0));
        Self { dimensions: query.len(), steps, rest }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeListArray, RecordBatch};
    use arrow::datatypes::{Float32Type, Schema};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_distance_lies_between_its_bounds() {
        let Some(sentences) = vigil_test_data::sentences() else { return };
        const DIMENSIONS: usize = 150;
        let vectors: Vec<Vec<f32>> = sentences
            .iter()
            .take(500)
            .zip(1_u8..=u8::MAX)
            .map(|(sentence, number)| {
                let vector = vigil_test_data::vector_of_words(sentence, DIMENSIONS);
                vector.iter().map(|value| value * f32::from(number) * 0.1).collect()
            })
            .collect();
        let mut lists: Vec<Option<Vec<Option<f32>>>> =
            vectors.iter().map(|vector| Some(vector.iter().copied().map(Some).collect())).collect();
        lists.push(None);
        lists.push(Some(vec![Some(0.0); DIMENSIONS]));
        let array = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(lists, 150);
        let field =
            arrow::datatypes::Field::new("v", arrow::array::Array::data_type(&array).clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(array)]).expect("a batch");
        let all = Vectors::of(&batch, 0).expect("vectors");
        let sketch = Sketch::new(&all, batch.num_rows(), DIMENSIONS).expect("of one length");
        let mut widest = 0.0_f32;
        for text in sentences.iter().skip(1000).step_by(700).take(20) {
            let query = vigil_test_data::vector_of_words(text, DIMENSIONS);
            let sketched = SketchQuery::new(&query);
            for (row, vector) in vectors.iter().enumerate() {
                let (lower, upper) = sketch.bounds(&sketched, row).expect("a vector");
                let exact = super::super::scan::between(Metric::Cosine, &query, vector);
                let exact = exact.expect("it has a distance");
                assert!(lower <= exact && exact <= upper, "{row}: {lower} {exact} {upper}");
                widest = widest.max(upper - lower);
            }
            assert_eq!(sketch.bounds(&sketched, vectors.len()), None, "NULL");
            assert_eq!(sketch.bounds(&sketched, vectors.len() + 1), None, "zeros");
        }
        for dimensions in [DIMENSIONS - 20, DIMENSIONS + 20] {
            let longer_or_shorter = SketchQuery::new(&vec![0.1; dimensions]);
            assert_eq!(sketch.bounds(&longer_or_shorter, 0), None, "{dimensions} elements");
        }
        assert!(widest < 0.05, "bounds {widest} apart leave too much open");
        assert!(Sketch::new(&all, batch.num_rows(), DIMENSIONS + 1).is_none());
    }
}
