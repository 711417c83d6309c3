//! `vector_concat` and `||`: two vectors one after the other.

use std::sync::LazyLock;

use datafusion::error::Result;
use datafusion::logical_expr::Documentation;

use super::arithmetic::{self, Arithmetic};
use super::kind::VectorKind;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_concat",
    section: super::SECTION,
    syntax: &["vector_concat(vector, vector) → vector", "vector || vector → vector"],
    description: "The elements of both vectors, one after the other.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT vector_concat('[1,2]', '[3]')", result: "[1,2,3]" },
        Example { sql: "SELECT '[1,2]'::vector || '[3]'", result: "[1,2,3]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| arithmetic::udf::<VectorConcat>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct VectorConcat;

impl Arithmetic for VectorConcat {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn combine(
        _kind: VectorKind,
        left: &[f64],
        right: &[f64],
        result: &mut Vec<f32>,
    ) -> Result<(), UdfError> {
        result.extend(left.iter().chain(right).map(|value| *value as f32));
        Ok(())
    }
}
