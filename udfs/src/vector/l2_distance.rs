//! `l2_distance` and `<->`: the straight distance between two points.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::distance::{self, Distance, Element};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "l2_distance",
    section: super::SECTION,
    syntax: &["l2_distance(vector, vector) → float8", "vector <-> vector → float8"],
    description: "Euclidean distance, the square root of the sum of squared differences. Vectors of different lengths are an error.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT l2_distance('[0,0]', '[3,4]')", result: "5" },
        Example { sql: "SELECT '[1,1]'::vector <-> ARRAY[1, 3]", result: "2" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| distance::udf::<L2Distance>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct L2Distance;

impl Distance for L2Distance {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn between<L: Element, R: Element>(left: &[L], right: &[R]) -> f64 {
        let [squares] = distance::sums(left, right, |l, r| [(l - r) * (l - r)]);
        squares.sqrt()
    }
}
