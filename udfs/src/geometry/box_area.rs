//! `box_area`: how large a box is.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "box_area",
    section: super::SECTION,
    syntax: &["box_area(x1, y1, x2, y2) → float8"],
    description: "Area of a box, in square pixels when its edges are pixels. An inverted box has the area 0.",
    arguments: &[("x1, y1, x2, y2", "edges of the box, any numeric type")],
    examples: &[
        Example { sql: "SELECT box_area(10, 20, 30, 60)", result: "800" },
        Example { sql: "SELECT box_area(30, 20, 10, 60)", result: "0" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        ScalarUDF::from(BoxArea { signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BoxArea {
    signature: Signature,
}

impl ScalarUDFImpl for BoxArea {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(super::coerce(4, types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(super::return_field(DOC.name, 4, args.arg_fields)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::map_rows(&args, |[x1, y1, x2, y2]| (x2 - x1).max(0.0) * (y2 - y1).max(0.0))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
