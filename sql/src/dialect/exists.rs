//! `EXISTS (SELECT …)` as a value of a select list. DataFusion knows it in `WHERE` alone, so there it
//! becomes a count of rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, Query, SelectItem, SetExpr, Statement,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

/// Rewrites the select lists of `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut SelectLists);
}

struct SelectLists;

impl VisitorMut for SelectLists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut() {
            for item in &mut select.projection {
                match item {
                    SelectItem::UnnamedExpr(expr) if matches!(expr, Expr::Exists { .. }) => {
                        let _ = expr.visit(&mut Counter);
                        let alias = Ident::new("exists");
                        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                    }
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        let _ = expr.visit(&mut Counter);
                    }
                    _ => {}
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Replaces each `EXISTS` that is no condition of a subquery.
struct Counter;

impl VisitorMut for Counter {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        // Its conditions are DataFusion's, its select list is visited by itself.
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Exists { subquery, negated } = expr
            && let Some(counted) = counted(subquery)
        {
            let count = Expr::Nested(Box::new(Expr::Subquery(Box::new(counted))));
            *expr = if *negated {
                Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(count) }
            } else {
                count
            };
        }
        ControlFlow::Continue(())
    }
}

/// The query with `count(*) > 0` for its select list; `None` for one that is no plain `SELECT`.
fn counted(query: &Query) -> Option<Query> {
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let is_plain = matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if !is_plain || select.having.is_some() {
        return None;
    }
    let count = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("count")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
    let some = Expr::BinaryOp {
        left: Box::new(count),
        op: BinaryOperator::Gt,
        right: Box::new(Expr::Value(Value::Number("0".into(), false).into())),
    };
    select.projection = vec![SelectItem::UnnamedExpr(some)];
    select.distinct = None;
    query.order_by = None;
    query.limit_clause = None;
    query.fetch = None;
    Some(query)
}
