//! `inner_product` and `<#>`: the sum of products of two vectors.

use std::sync::LazyLock;

use datafusion::logical_expr::Documentation;

use super::distance::{self, Distance, Element};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "inner_product",
    section: super::SECTION,
    syntax: &["inner_product(vector, vector) → float8", "vector <#> vector → float8"],
    description: "Inner product, `a·b`. The operator `<#>` gives its negative, so that `ORDER BY a <#> b` begins with the nearest. Vectors of different lengths are an error.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT inner_product('[1,2]', '[3,4]')", result: "11" },
        Example { sql: "SELECT '[1,2]'::vector <#> '[3,4]'", result: "-11" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| distance::udf::<InnerProduct>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InnerProduct;

impl Distance for InnerProduct {
    const DOC: &'static FunctionDoc = &DOC;

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn between<L: Element, R: Element>(left: &[L], right: &[R]) -> f64 {
        let [products] = distance::sums(left, right, |l, r| [l * r]);
        products
    }
}
