//! What planners of operators ask their operands.

use arrow::datatypes::FieldRef;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};

/// The field of an operand that may be of a type of ours: a vector, bits, `json`. `None` for what operators
/// give that are left to DataFusion: numbers, texts, times and booleans, and for what has no type yet.
///
/// DataFusion gives a field its name, which is made of all names below. Of `1 + 1 + …` each level would be
/// asked for as long as the chain is, squared.
pub(crate) fn field_of_operand(operand: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    match operand {
        Expr::BinaryExpr(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Like(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_) => None,
        other => other.to_field(schema).ok().map(|(_, field)| field),
    }
}
