//! `iou`: how much two boxes overlap.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "iou",
    section: super::SECTION,
    syntax: &["iou(x1, y1, x2, y2, x1, y1, x2, y2) → float8"],
    description: "Intersection over union of two boxes, in 0..1. It is 0 where they do not overlap and where neither has an area; an inverted box has none.",
    arguments: &[
        ("x1, y1, x2, y2", "edges of the first box, any numeric type"),
        ("x1, y1, x2, y2", "edges of the second box"),
    ],
    examples: &[
        Example { sql: "SELECT iou(0, 0, 2, 2, 0, 0, 2, 4)", result: "0.5" },
        Example { sql: "SELECT iou(0, 0, 10, 10, 20, 20, 30, 30)", result: "0" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        ScalarUDF::from(Iou { signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Iou {
    signature: Signature,
}

impl ScalarUDFImpl for Iou {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(super::coerce(8, types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(super::return_field(DOC.name, 8, args.arg_fields)?)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::map_rows(&args, intersection_over_union)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The same rule as `vigil_models::BBox::iou`, in `f64`.
fn intersection_over_union([ax1, ay1, ax2, ay2, bx1, by1, bx2, by2]: [f64; 8]) -> f64 {
    let width = ax2.min(bx2) - ax1.max(bx1);
    let height = ay2.min(by2) - ay1.max(by1);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let area = |x1: f64, y1: f64, x2: f64, y2: f64| (x2 - x1).max(0.0) * (y2 - y1).max(0.0);
    let union = area(ax1, ay1, ax2, ay2) + area(bx1, by1, bx2, by2) - intersection;
    if union > 0.0 { intersection / union } else { 0.0 }
}
