//! `binary_quantize`: the signs of a vector as a text of bits.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::Documentation;

use super::unary::{self, NO_ALIASES, Unary};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "binary_quantize",
    section: super::SECTION,
    syntax: &["binary_quantize(vector) → text"],
    description: "One bit an element, `1` where it is greater than 0. pgvector's has the type `bit`; here it is the same bits as a text, which `<~>` and `<%>` compare.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[Example { sql: "SELECT binary_quantize('[1,-2,3,0]')", result: "1010" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| unary::udf::<BinaryQuantize>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BinaryQuantize;

impl Unary for BinaryQuantize {
    const DOC: &'static FunctionDoc = &DOC;
    const TYPE: DataType = DataType::Utf8;

    fn aliases() -> &'static LazyLock<Vec<String>> {
        &NO_ALIASES
    }

    fn documentation() -> &'static LazyLock<Documentation> {
        &DOCUMENTATION
    }

    fn column(vectors: &mut dyn Iterator<Item = Result<Option<Vec<f64>>>>) -> Result<ArrayRef> {
        let bit = |value: &f64| if *value > 0.0 { '1' } else { '0' };
        let bits = vectors
            .map(|vector| Ok(vector?.map(|vector| vector.iter().map(bit).collect::<String>())));
        Ok(Arc::new(bits.collect::<Result<StringArray>>()?))
    }
}
