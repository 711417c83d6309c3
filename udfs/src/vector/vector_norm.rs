//! `vector_norm`, also `l2_norm`: the Euclidean length of a vector.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::Documentation;

use super::unary::{self, Unary};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_norm",
    section: super::SECTION,
    syntax: &["vector_norm(vector) → float8", "l2_norm(vector) → float8"],
    description: "The Euclidean length of a vector.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT vector_norm('[3,4]')", result: "5" },
        Example { sql: "SELECT l2_norm('[0,0]'::vector)", result: "0" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());
static ALIASES: LazyLock<Vec<String>> = LazyLock::new(|| vec!["l2_norm".to_owned()]);

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| unary::udf::<VectorNorm>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorNorm;

impl Unary for VectorNorm {
    const DOC: &'static FunctionDoc = &DOC;
    const TYPE: DataType = DataType::Float64;

    fn aliases() -> &'static LazyLock<Vec<String>> {
        &ALIASES
    }

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn column(vectors: &mut dyn Iterator<Item = Result<Option<Vec<f64>>>>) -> Result<ArrayRef> {
        let norm = |vector: Vec<f64>| vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        let norms = vectors.map(|vector| Ok(vector?.map(norm)));
        Ok(Arc::new(norms.collect::<Result<Float64Array>>()?))
    }
}
