//! `cosine_distance` and `<=>`: one minus the cosine of the angle between two vectors.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::distance::{self, Distance, Element};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "cosine_distance",
    section: super::SECTION,
    syntax: &["cosine_distance(vector, vector) → float8", "vector <=> vector → float8"],
    description: "Cosine distance, `1 - a·b / (|a| |b|)`: 0 for the same direction, 1 for a right angle, 2 for the opposite one. A vector of zeros has no direction and gives NULL, which sorts last (pgvector gives `NaN`, which sorts last as well, but passes a `WHERE` such as `distance > 0.5`). Vectors of different lengths are an error.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT cosine_distance('[1,0]', '[0,2]')", result: "1" },
        Example { sql: "SELECT '[1,2,2]'::vector(3) <=> '[-1,-2,-2]'", result: "2" },
        Example { sql: "SELECT ARRAY[0, 0] <=> '[1,1]'", result: "" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| distance::udf::<CosineDistance>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CosineDistance;

impl Distance for CosineDistance {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn between<L: Element, R: Element>(left: &[L], right: &[R]) -> f64 {
        let [product, left, right] = distance::sums(left, right, |l, r| [l * r, l * l, r * r]);
        // Rounding may push the cosine a little out of its range; a NaN stays one.
        1.0 - (product / (left * right).sqrt()).clamp(-1.0, 1.0)
    }
}
