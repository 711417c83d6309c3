//! `LIKE pattern ESCAPE 'c'` with another character than the backslash, which is DataFusion's
//! only one: the pattern is written anew with backslashes.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::Postgres;

/// Rewrites every such pattern in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }) =
            expr
        else {
            return ControlFlow::Continue(());
        };
        let escape = match escape_char.as_ref().map(|value| &value.value) {
            Some(Value::SingleQuotedString(escape)) if escape != "\\" => escape.clone(),
            _ => return ControlFlow::Continue(()),
        };
        // What is not understood stays as it is, and DataFusion says so.
        if escape.chars().count() <= 1
            && let Ok(written) = with_backslashes(pattern, &escape.replace('\'', "''"))
        {
            **pattern = written;
            *escape_char = None;
        }
        ControlFlow::Continue(())
    }
}

/// `pattern` with a backslash for each `escape`; the empty escape is none.
fn with_backslashes(pattern: &Expr, escape: &str) -> Result<Expr, ParserError> {
    let plain = format!("replace({pattern}, '\\', '\\\\')");
    let text = if escape.is_empty() {
        plain
    } else {
        // The escape twice stands for itself; a control character keeps its place meanwhile.
        format!(
            "replace(replace(replace({plain}, '{escape}{escape}', chr(1)), '{escape}', '\\'), chr(1), '{escape}')"
        )
    };
    Parser::new(&Postgres::for_text(&text)).try_with_sql(&text)?.parse_expr()
}
