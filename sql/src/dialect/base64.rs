//! `encode(bytes, 'base64')` with the padding that PostgreSQL writes; DataFusion's format of that name
//! has none.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, visit_expressions_mut,
};

/// Rewrites the calls in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && function.name.to_string().eq_ignore_ascii_case("encode")
            && let FunctionArguments::List(list) = &mut function.args
            && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(format)))] =
                list.args.as_mut_slice()
            && let Value::SingleQuotedString(name) = &mut format.value
            && name.eq_ignore_ascii_case("base64")
        {
            *name = "base64pad".into();
        }
        ControlFlow::Continue(())
    });
}
