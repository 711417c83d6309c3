//! `jaccard_distance`: how few ones two values of bits have in common.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::bit_distance::{self, BitCounts, BitDistance};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "jaccard_distance",
    section: super::SECTION,
    syntax: &["jaccard_distance(bits, bits) → float8", "bits <%> bits → float8"],
    description: "One minus the share of common ones among all ones of two values of bits; 1 where there is no one in common. Bits of different lengths are an error.",
    arguments: &[("bits", "bits, as `binary_quantize` gives them, or a text of `0` and `1`")],
    examples: &[Example {
        sql: "SELECT jaccard_distance('1010', '1011')",
        result: "0.33333333333333337",
    }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| bit_distance::udf::<JaccardDistance>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JaccardDistance;

impl BitDistance for JaccardDistance {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn of(counts: BitCounts) -> f64 {
        if counts.both == 0 { 1.0 } else { 1.0 - f64::from(counts.both) / f64::from(counts.either) }
    }
}
