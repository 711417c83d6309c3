//! `FETCH FIRST n ROWS ONLY`, the standard's words for `LIMIT n`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Statement, Value, VisitMut, VisitorMut,
};

/// Rewrites the clauses in `statement`. With ties it stays, and is refused by DataFusion.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Fetches);
}

struct Fetches;

impl VisitorMut for Fetches {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if query.fetch.as_ref().is_none_or(|fetch| fetch.with_ties || fetch.percent) {
            return ControlFlow::Continue(());
        }
        let offset = match query.limit_clause.take() {
            None => None,
            Some(LimitClause::LimitOffset { limit: None, offset, limit_by })
                if limit_by.is_empty() =>
            {
                offset
            }
            other => {
                query.limit_clause = other;
                return ControlFlow::Continue(());
            }
        };
        let one = || Expr::value(Value::Number("1".into(), false));
        let rows = query.fetch.take().and_then(|fetch| fetch.quantity).unwrap_or_else(one);
        query.limit_clause =
            Some(LimitClause::LimitOffset { limit: Some(rows), offset, limit_by: Vec::new() });
        ControlFlow::Continue(())
    }
}
