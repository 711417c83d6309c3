//! Rows as values: `(a, b) IN ((c, d), …)`, `(a, b) < (c, d)`, `OVERLAPS`; [`quantified`] has those in sub-queries.
//!
//! DataFusion compares structs, in which a NULL is a value like others. So a comparison of rows becomes one of
//! their fields, in PostgreSQL's order and with its NULLs.
//!
//! [`quantified`]: super::quantified

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    SelectItem, SetExpr, Statement, VisitMut, VisitorMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::calls::name_of;
use crate::session::names;

/// Rewrites the comparisons in `statement`; columns of select lists keep the names that they have.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Names);
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Some(text) = rewritten(expr)
            && let Some(rewritten) = parsed(&text)
        {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    });
}

/// Names the columns of select lists that are such a comparison.
struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && (matches!(expr, Expr::AnyOp { .. } | Expr::AllOp { .. })
                    || rewritten(expr).is_some())
            {
                names::keep(item);
            }
        }
        ControlFlow::Continue(())
    }
}

/// What stands for `expr`; `None` where it may stay.
fn rewritten(expr: &Expr) -> Option<String> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => {
            let (left, right) = (fields(left)?, fields(right)?);
            let ([start, end], [start_2, end_2]) = (left.as_slice(), right.as_slice()) else {
                return None;
            };
            overlap((start, end), (start_2, end_2))
        }
        Expr::BinaryOp { left, op, right } => compared(&fields(left)?, op, &fields(right)?),
        Expr::InList { expr, list, negated } => {
            let row = fields(expr)?;
            let equal = |other: &Expr| compared(&row, &BinaryOperator::Eq, &fields(other)?);
            let equal = list.iter().map(equal).collect::<Option<Vec<_>>>()?;
            Some(format!("{}({})", not(*negated), equal.join(" OR ")))
        }
        _ => None,
    }
}

/// The fields of `(a, b)` and `ROW(a, b)`, each as an operand.
pub(super) fn fields(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Tuple(fields) => Some(fields.iter().map(operand).collect()),
        Expr::Function(function) if name_of(function).as_deref() == Some("row") => {
            fields_of_call(function)
        }
        Expr::Nested(inner) => fields(inner),
        _ => None,
    }
}

fn fields_of_call(function: &Function) -> Option<Vec<String>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let field = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(operand(expr)),
        _ => None,
    };
    list.args.iter().map(field).collect()
}

pub(super) fn operand(expr: &Expr) -> String {
    format!("({expr})")
}

/// One comparison of two rows of the same length.
fn compared(left: &[String], op: &BinaryOperator, right: &[String]) -> Option<String> {
    if left.len() != right.len() || left.is_empty() {
        return None;
    }
    let pairs = left.iter().zip(right);
    let each = |op: &str, between: &str| {
        let each = pairs.clone().map(|(left, right)| format!("{left} {op} {right}"));
        format!("({})", each.collect::<Vec<_>>().join(between))
    };
    Some(match op {
        BinaryOperator::Eq => each("=", " AND "),
        BinaryOperator::NotEq => each("<>", " OR "),
        BinaryOperator::Lt | BinaryOperator::LtEq => in_order(left, "<", op, right),
        BinaryOperator::Gt | BinaryOperator::GtEq => in_order(left, ">", op, right),
        _ => return None,
    })
}

/// The first fields that differ decide: `a < c OR a = c AND b < d`, the last pair by `last`.
fn in_order(left: &[String], strict: &str, last: &BinaryOperator, right: &[String]) -> String {
    match (left, right) {
        ([left], [right]) => format!("({left} {last} {right})"),
        ([left, more @ ..], [right, others @ ..]) => {
            let rest = in_order(more, strict, last, others);
            format!("({left} {strict} {right} OR ({left} = {right} AND {rest}))")
        }
        _ => String::new(),
    }
}

/// PostgreSQL's: ends may be in either order, and of two that begin together nothing else is asked.
fn overlap(one: (&String, &String), other: (&String, &String)) -> Option<String> {
    let (start, end) =
        (format!("least({}, {})", one.0, one.1), format!("greatest({}, {})", one.0, one.1));
    let (start_2, end_2) =
        (format!("least({}, {})", other.0, other.1), format!("greatest({}, {})", other.0, other.1));
    let has_length = [one.1, other.1].iter().any(|end| end.to_uppercase().contains("INTERVAL"));
    if has_length {
        return None;
    }
    Some(format!(
        "(CASE WHEN {start} > {start_2} THEN {start} < {end_2} \
         WHEN {start} < {start_2} THEN {start_2} < {end} ELSE {start} = {start_2} END)"
    ))
}

fn not(is_negated: bool) -> &'static str {
    if is_negated { "NOT " } else { "" }
}

pub(super) fn parsed(text: &str) -> Option<Expr> {
    let dialect = PostgreSqlDialect {};
    Parser::new(&dialect).try_with_sql(text).ok()?.parse_expr().ok()
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn rows_are_compared_field_by_field() {
        assert_eq!(
            planned("SELECT 1 FROM t WHERE (a, b) = (1, 2)"),
            "SELECT 1 FROM t WHERE ((a) = (1) AND (b) = (2))"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE (a, b) <= ROW(1, 2)"),
            "SELECT 1 FROM t WHERE ((a) < (1) OR ((a) = (1) AND ((b) <= (2))))"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE (a, b) NOT IN ((1, 2), (3, 4))"),
            "SELECT 1 FROM t WHERE NOT (((a) = (1) AND (b) = (2)) OR ((a) = (3) AND (b) = (4)))"
        );
    }
}
