//! `l1_distance` and `<+>`: the distance along the axes.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::distance::{self, Distance, Element};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "l1_distance",
    section: super::SECTION,
    syntax: &["l1_distance(vector, vector) → float8", "vector <+> vector → float8"],
    description: "Taxicab distance, the sum of absolute differences. Vectors of different lengths are an error.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT l1_distance('[0,0]', '[3,-4]')", result: "7" },
        Example { sql: "SELECT '[1,1]'::vector <+> '[2,3]'", result: "3" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| distance::udf::<L1Distance>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct L1Distance;

impl Distance for L1Distance {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn between<L: Element, R: Element>(left: &[L], right: &[R]) -> f64 {
        let [differences] = distance::sums(left, right, |l, r| [(l - r).abs()]);
        differences
    }
}
