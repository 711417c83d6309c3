//! NULLs and quoted literals in `VALUES` beside vectors, which PostgreSQL takes for such.
//!
//! DataFusion does so by itself for types of Arrow. A `vector` is one with a mark, and what has no mark is
//! refused beside it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Query, SetExpr, Statement, Value, Values, VisitMut, VisitorMut,
};

use super::forms::cast;

/// Rewrites the lists in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            let columns = values.rows.first().map_or(0, |row| row.len());
            (0..columns).for_each(|column| give_type(values, column));
        }
        ControlFlow::Continue(())
    }
}

/// Casts the literals without a type of a column as the first vector of it, whatever its length is.
fn give_type(values: &mut Values, column: usize) {
    let in_column = values.rows.iter().filter_map(|row| row.get(column));
    let Some(data_type) = in_column.filter_map(marked_type).next() else { return };
    for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
        if has_no_type(value) {
            let literal = std::mem::replace(value, Expr::value(Value::Null));
            *value = cast(literal, data_type.clone());
        }
    }
}

/// The type with a mark that a value is a cast to, without a length.
fn marked_type(value: &Expr) -> Option<DataType> {
    let Expr::Cast { data_type: DataType::Custom(name, _), .. } = value else { return None };
    let last = name.0.last()?.as_ident()?;
    let is_marked =
        ["vector", "halfvec"].iter().any(|known| last.value.eq_ignore_ascii_case(known));
    is_marked.then(|| DataType::Custom(name.clone(), Vec::new()))
}

fn has_no_type(value: &Expr) -> bool {
    matches!(value, Expr::Value(literal)
        if matches!(literal.value, Value::Null | Value::SingleQuotedString(_)))
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn what_has_no_type_has_that_of_the_column() {
        assert_eq!(
            planned("VALUES (1, NULL), (NULL, '[1]'::vector(1)), (2, '[2]')"),
            "VALUES (1, CAST(NULL AS vector)), (NULL, '[1]'::vector(1)), (2, CAST('[2]' AS vector))"
        );
        let of_arrow = "VALUES ('1'), (2::BIGINT), ('3')";
        assert_eq!(planned(of_arrow), of_arrow);
    }
}
