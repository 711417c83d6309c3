//! `vector_out`, and the cast `v::text` that means it: a vector as pgvector writes it.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{Documentation, ScalarUDF};

use super::unary::{self, NO_ALIASES, Unary};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_out",
    section: super::SECTION,
    syntax: &["vector_out(vector) → text", "vector::text"],
    description: "A vector as a text, with the shortest digits that give the same elements again.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT '[1, 2.50]'::vector::text", result: "[1,2.5]" },
        Example { sql: "SELECT vector_out('[1e10,1e-5]'::vector)", result: "[1e+10,1e-05]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

pub(super) fn udf() -> ScalarUDF {
    unary::udf::<VectorOut>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorOut;

impl Unary for VectorOut {
    const DOC: &'static FunctionDoc = &DOC;
    const TYPE: DataType = DataType::Utf8;

    fn aliases() -> &'static LazyLock<Vec<String>> {
        &NO_ALIASES
    }

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn column(vectors: &mut dyn Iterator<Item = Result<Option<Vec<f64>>>>) -> Result<ArrayRef> {
        let texts = vectors.map(|vector| {
            Ok(vector?.map(|vector| vector_text(vector.iter().map(|value| *value as f32))))
        });
        Ok(Arc::new(texts.collect::<Result<StringArray>>()?))
    }
}

/// A vector as pgvector writes it.
pub fn vector_text(elements: impl Iterator<Item = f32>) -> String {
    let elements: Vec<String> = elements.map(shortest).collect();
    format!("[{}]", elements.join(","))
}

/// The shortest digits of a `float4`, with an exponent where PostgreSQL writes one.
pub(super) fn shortest(value: f32) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postgresql_writes_them() {
        // What PostgreSQL 15 gives for `value::float4::text`.
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1.0, "1"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e10, "1e+10"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-2.5e-30, "-2.5e-30"),
            (f32::MAX, "3.4028235e+38"),
        ];
        for (value, expected) in cases {
            assert_eq!(shortest(value), expected);
        }
    }
}
