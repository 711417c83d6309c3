//! `(positions[1]).frame_number`, PostgreSQL's way to a field of a composite value. DataFusion
//! plans `value['field']`, which says the same.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Statement, Subscript, Value, VisitMut, VisitorMut,
};

/// Rewrites every such access in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Fields);
}

struct Fields;

impl VisitorMut for Fields {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else {
            return ControlFlow::Continue(());
        };
        // Without parentheses or a subscript a dot leads to a column of a table.
        let mut is_value = matches!(**root, Expr::Nested(_));
        for access in access_chain {
            match access {
                AccessExpr::Dot(Expr::Identifier(field)) if is_value => {
                    let name = match field.quote_style {
                        Some(_) => field.value.clone(),
                        None => field.value.to_lowercase(),
                    };
                    let index = Expr::value(Value::SingleQuotedString(name));
                    *access = AccessExpr::Subscript(Subscript::Index { index });
                }
                _ => is_value = true,
            }
        }
        ControlFlow::Continue(())
    }
}
