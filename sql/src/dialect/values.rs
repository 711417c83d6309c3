//! NULLs and quoted literals in `VALUES`, which PostgreSQL takes for the type of the other rows.
//!
//! DataFusion does so by itself for types of Arrow. A `vector` is one with a mark, and what has no mark is
//! refused beside it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, SetExpr, Statement, Value, Values, VisitMut, VisitorMut,
};

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

/// Casts the literals without a type of a column as the first value of it that is a cast.
fn give_type(values: &mut Values, column: usize) {
    let Some(cast @ Expr::Cast { .. }) = values
        .rows
        .iter()
        .filter_map(|row| row.get(column).cloned())
        .find(|value| matches!(value, Expr::Cast { .. }))
    else {
        return;
    };
    for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
        if has_no_type(value) {
            let literal = std::mem::replace(value, cast.clone());
            if let Expr::Cast { expr, .. } = value {
                **expr = literal;
            }
        }
    }
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
            planned("VALUES (1, NULL), (NULL, '[1]'::vector), (2, '[2]')"),
            "VALUES (1, NULL::vector), (NULL, '[1]'::vector), (2, '[2]'::vector)"
        );
    }
}
