//! `hamming_distance`: in how many places two values of bits differ.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::bit_distance::{self, BitCounts, BitDistance};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "hamming_distance",
    section: super::SECTION,
    syntax: &["hamming_distance(bits, bits) → float8", "bits <~> bits → float8"],
    description: "The number of places where two values of bits differ. Bits of different lengths are an error.",
    arguments: &[("bits", "bits, as `binary_quantize` gives them, or a text of `0` and `1`")],
    examples: &[Example { sql: "SELECT hamming_distance('101', '110')", result: "2" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| bit_distance::udf::<HammingDistance>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HammingDistance;

impl BitDistance for HammingDistance {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn of(counts: BitCounts) -> f64 {
        f64::from(counts.either - counts.both)
    }
}
