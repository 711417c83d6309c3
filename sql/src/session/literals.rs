//! Whole numbers in a select list are `integer`, as PostgreSQL has them where they fit: `SELECT 1` is told as one.
//!
//! Within a statement they are of DataFusion's type, a `bigint`, so that no comparison and no sum with a column
//! is another than it was; the answer is cast. One that does not fit is out of range, as in PostgreSQL.

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, SelectItem, SetExpr, Statement, UnaryOperator, Value,
};

/// Which columns of the answer of `statement` are made of such numbers alone; none of them where it is not known
/// which columns those are.
pub(super) fn places(statement: &Statement) -> Vec<bool> {
    let Statement::Query(query) = statement else { return Vec::new() };
    let SetExpr::Select(select) = query.body.as_ref() else { return Vec::new() };
    let written = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(is_integer(expr))
        }
        _ => None,
    });
    written.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The columns with those `integer` that are in these places.
pub(super) fn as_integers(schema: SchemaRef, places: &[bool]) -> SchemaRef {
    if places.len() != schema.fields().len() || !places.contains(&true) {
        return schema;
    }
    let fields = schema.fields().iter().zip(places).map(|(field, is_integer)| {
        if *is_integer && *field.data_type() == DataType::Int64 {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Int32))
        } else {
            Arc::clone(field)
        }
    });
    let fields = fields.collect::<Fields>();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn is_integer(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i32>().is_ok(),
            _ => false,
        },
        Expr::Nested(inner) => is_integer(inner),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr } => is_integer(expr),
        Expr::BinaryOp { left, op, right } => {
            use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};

            matches!(op, Plus | Minus | Multiply | Divide | Modulo)
                && is_integer(left)
                && is_integer(right)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;
    use crate::dialect::parse_made;

    #[test]
    fn numbers_that_fit_are_integers() {
        let types = |sql: &str, columns: usize| {
            let statement = parse_made(sql).expect(sql);
            let field = |at| Field::new(format!("c{at}"), DataType::Int64, true);
            let schema = Schema::new((0..columns).map(field).collect::<Vec<_>>());
            let schema = as_integers(Arc::new(schema), &places(&statement));
            schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
        };
        use DataType::{Int32, Int64};
        assert_eq!(types("SELECT 1, -2 AS a, (3 + 4) * 5, 2147483647", 4), vec![Int32; 4]);
        assert_eq!(types("SELECT 2147483648, a, a + 1, count(*)", 4), vec![Int64; 4]);
        assert_eq!(types("SELECT 1, * FROM t", 3), vec![Int64; 3]);
        assert_eq!(types("SELECT 1 UNION SELECT 2", 1), vec![Int64]);
    }
}
