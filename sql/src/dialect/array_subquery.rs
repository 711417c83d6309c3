//! `ARRAY(SELECT …)` in catalog queries.
//!
//! DataFusion has no such constructor. psql's `\d+` and `\du` use it for options and memberships
//! that Vigil does not have, so in a catalog query it is NULL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArguments, Statement, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion_postgres::datafusion_pg_catalog::sql::rules::SqlStatementRewriteRule;

/// The rewrite.
#[derive(Debug)]
pub(super) struct ArraySubqueryToNull;

impl SqlStatementRewriteRule for ArraySubqueryToNull {
    fn rewrite(&self, mut statement: Statement) -> Statement {
        let _ = VisitMut::visit(&mut statement, &mut Replacer);
        statement
    }
}

struct Replacer;

impl VisitorMut for Replacer {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = &*expr
            && (is_array_subquery(function)
                || is_called(function, "array_to_string") && has_array_subquery(expr))
        {
            *expr = null_text();
        }
        ControlFlow::Continue(())
    }
}

fn is_called(function: &Function, name: &str) -> bool {
    function
        .name
        .0
        .last()
        .and_then(|part| part.as_ident())
        .is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
}

fn is_array_subquery(function: &Function) -> bool {
    matches!(function.args, FunctionArguments::Subquery(_)) && is_called(function, "array")
}

fn has_array_subquery(expr: &Expr) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if is_array_subquery(function) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(expr, &mut Finder).is_break()
}

fn null_text() -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::Null.into())),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}
