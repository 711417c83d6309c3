//! `current_setting('name' [, missing_ok])` and `current_schema()`: the session's settings in a query. The
//! function is replaced by the value when the statement is prepared.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value,
    VisitMut, VisitorMut,
};

use super::settings::Settings;
use crate::SqlError;

/// Replaces the calls in `statement`.
///
/// # Errors
/// SQLSTATE 42704 for an unknown name, unless `missing_ok` is true.
pub(super) fn fill_in(statement: &mut Statement, settings: &Settings) -> Result<(), SqlError> {
    match statement.visit(&mut Filler { settings }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Filler<'a> {
    settings: &'a Settings,
}

impl VisitorMut for Filler<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if is_current_schema(expr) {
            *expr = text(Value::SingleQuotedString(self.settings.default_schema()));
            return ControlFlow::Continue(());
        }
        let Some((name, missing_ok)) = call(expr) else { return ControlFlow::Continue(()) };
        let value = match self.settings.show(&name) {
            Ok((_, value)) => Value::SingleQuotedString(value),
            Err(_) if missing_ok => Value::Null,
            Err(error) => return ControlFlow::Break(error),
        };
        *expr = text(value);
        ControlFlow::Continue(())
    }
}

fn text(value: Value) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(value.into())),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}

fn is_current_schema(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let name = function.name.0.last().and_then(|part| part.as_ident());
    let is_it = name.is_some_and(|name| name.value.eq_ignore_ascii_case("current_schema"));
    is_it && matches!(&function.args, FunctionArguments::List(list) if list.args.is_empty())
}

/// The name that is asked for, and whether it may be missing.
fn call(expr: &Expr) -> Option<(String, bool)> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.0.last()?.as_ident()?;
    if !name.value.eq_ignore_ascii_case("current_setting") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let value = |at: usize| match list.args.get(at)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => Some(&value.value),
        _ => None,
    };
    match value(0)? {
        Value::SingleQuotedString(name) => {
            Some((name.clone(), matches!(value(1), Some(Value::Boolean(true)))))
        }
        _ => None,
    }
}
