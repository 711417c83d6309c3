//! `vector_add` and `+`: the sums of elements.

use std::sync::LazyLock;

use datafusion::error::Result;
use datafusion::logical_expr::Documentation;

use super::arithmetic::{self, Arithmetic};
use super::kind::VectorKind;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_add",
    section: super::SECTION,
    syntax: &["vector_add(vector, vector) → vector", "vector + vector → vector"],
    description: "The sums of the elements. Vectors of different lengths are an error, and so is a sum that an element cannot be.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[Example { sql: "SELECT '[1,2]'::vector + '[3,4]'", result: "[4,6]" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| arithmetic::udf::<VectorAdd>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VectorAdd;

impl Arithmetic for VectorAdd {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn combine(
        kind: VectorKind,
        left: &[f64],
        right: &[f64],
        result: &mut Vec<f32>,
    ) -> Result<(), UdfError> {
        arithmetic::each_pair(kind, left, right, result, |left, right| left + right, |_, _| true)
    }
}
