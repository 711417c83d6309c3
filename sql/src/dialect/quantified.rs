//! `ANY` and `ALL` of a sub-query, and rows in one: `x > ALL (SELECT …)`, `(a, b) NOT IN (SELECT …)`.
//!
//! DataFusion knows sub-queries of one column, and of a comparison with one it knows nothing. So the
//! sub-query becomes one that is asked whether it has such a row, where all that matters is whether a
//! condition is true. Where it is a value, it is NULL if a NULL may make the difference, which an
//! aggregate over the comparisons says.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, Query, Select, SelectItem, SetExpr, Statement,
    UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions_mut,
};

use super::constraints::constraint_mut;
use super::row_values::{fields, operand, parsed};
use crate::session::names;

/// Rewrites the questions in `statement`; columns of select lists keep the names that they have.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Names);
    let _ = statement.visit(&mut Conditions);
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        any_of_array(expr);
        if let Some(text) = question(expr).map(|question| question.value())
            && let Some(rewritten) = parsed(&text)
        {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    });
}

/// `x < ANY (array)` is not `x >= ALL (array)`, of which DataFusion (55.2) knows that a NULL in the array may be
/// what is looked for; of `ANY` it does not.
fn any_of_array(expr: &mut Expr) {
    let Some(opposite) = opposite_of_array(expr) else { return };
    let Expr::AnyOp { left, right, .. } = std::mem::replace(expr, Expr::value(Value::Null)) else {
        return;
    };
    let all = Expr::AllOp { left, compare_op: opposite, right };
    let not = Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(all))) };
    *expr = Expr::Nested(Box::new(not));
}

/// What is true where the comparison with `ANY` of an array is not; `None` for what DataFusion does rightly.
fn opposite_of_array(expr: &Expr) -> Option<BinaryOperator> {
    let Expr::AnyOp { compare_op, right, .. } = expr else { return None };
    if matches!(right.as_ref(), Expr::Subquery(_)) {
        return None;
    }
    Some(match compare_op {
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}

/// Names the columns of select lists that are such a question.
struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && (question(expr).is_some() || opposite_of_array(expr).is_some())
            {
                names::keep(item);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites what is a condition.
struct Conditions;

impl VisitorMut for Conditions {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
        let joined = joins.filter_map(|join| match constraint_mut(&mut join.join_operator)? {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        });
        let own = [&mut select.selection, &mut select.having].into_iter().flatten();
        joined.chain(own).for_each(|condition| ask(condition, Matters::True));
        ControlFlow::Continue(())
    }
}

/// What of a condition's answers must be kept: the two others may become one.
#[derive(Clone, Copy)]
enum Matters {
    True,
    False,
}

impl Matters {
    fn of_opposite(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
        }
    }
}

/// Rewrites the questions of a condition.
fn ask(condition: &mut Expr, matters: Matters) {
    match condition {
        Expr::Nested(inner) => ask(inner, matters),
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            ask(left, matters);
            ask(right, matters);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => ask(expr, matters.of_opposite()),
        other => {
            if let Some(text) = question(other).map(|question| question.condition(matters))
                && let Some(rewritten) = parsed(&text)
            {
                *other = rewritten;
            }
        }
    }
}

/// What is asked of a sub-query's rows.
enum Question<'a> {
    /// Whether a value is among those of one column, which DataFusion knows.
    Member { sought: String, query: &'a Query, is_negated: bool },
    /// Whether a condition holds for any row, or for all.
    Rows { query: &'a Query, columns: usize, condition: String, of: Of },
}

#[derive(Clone, Copy)]
enum Of {
    Any,
    All,
    None,
}

fn question(expr: &Expr) -> Option<Question<'_>> {
    match expr {
        Expr::InSubquery { expr, subquery, negated } => {
            let row = fields(expr)?;
            let equal = row.iter().enumerate();
            let equal = equal.map(|(at, field)| format!("{field} = {}", column(at + 1)));
            Some(Question::Rows {
                query: subquery,
                columns: row.len(),
                condition: equal.collect::<Vec<_>>().join(" AND "),
                of: if *negated { Of::None } else { Of::Any },
            })
        }
        Expr::AnyOp { left, compare_op, right, .. } => {
            let Expr::Subquery(query) = right.as_ref() else { return None };
            let left = operand(left);
            if *compare_op == BinaryOperator::Eq {
                return Some(Question::Member { sought: left, query, is_negated: false });
            }
            let condition = format!("{left} {compare_op} {}", column(1));
            Some(Question::Rows { query, columns: 1, condition, of: Of::Any })
        }
        Expr::AllOp { left, compare_op, right } => {
            let Expr::Subquery(query) = right.as_ref() else { return None };
            let left = operand(left);
            if *compare_op == BinaryOperator::NotEq {
                return Some(Question::Member { sought: left, query, is_negated: true });
            }
            let condition = format!("{left} {compare_op} {}", column(1));
            Some(Question::Rows { query, columns: 1, condition, of: Of::All })
        }
        _ => None,
    }
}

impl Question<'_> {
    /// A condition with the same answers, as far as they matter.
    fn condition(&self, matters: Matters) -> String {
        let (query, columns, condition, of) = match self {
            Self::Member { .. } => return self.value(),
            Self::Rows { query, columns, condition, of } => (query, *columns, condition, of),
        };
        let (not, condition) = match (of, matters) {
            (Of::Any, Matters::True) => ("", condition.clone()),
            (Of::Any, Matters::False) => ("", format!("({condition}) IS NOT FALSE")),
            (Of::All, Matters::True) => ("NOT ", format!("({condition}) IS NOT TRUE")),
            (Of::All, Matters::False) => ("NOT ", format!("({condition}) IS FALSE")),
            // A row of which it is not known whether it is equal is not outside.
            (Of::None, Matters::True) => ("NOT ", format!("({condition}) IS NOT FALSE")),
            (Of::None, Matters::False) => ("NOT ", condition.clone()),
        };
        let rows = rows(query, columns);
        format!("{not}EXISTS (SELECT 1 FROM {rows} WHERE {condition})")
    }

    /// The answer as a value.
    fn value(&self) -> String {
        let (query, columns, condition, of) = match self {
            Self::Member { sought, query, is_negated } => {
                let not = if *is_negated { "NOT " } else { "" };
                return format!("({sought} {not}IN ({query}))");
            }
            Self::Rows { query, columns, condition, of } => (query, *columns, condition, of),
        };
        let (decided, decision, otherwise) = match of {
            Of::Any => ("bool_or(\"is so\")", "true", "false"),
            Of::None => ("bool_or(\"is so\")", "false", "true"),
            Of::All => ("NOT bool_and(\"is so\")", "false", "true"),
        };
        let rows = rows(query, columns);
        format!(
            "(SELECT CASE WHEN {decided} THEN {decision} WHEN count(*) > count(\"is so\") THEN NULL \
             ELSE {otherwise} END FROM (SELECT {condition} AS \"is so\" FROM {rows}) AS \"the answers\")"
        )
    }
}

/// The sub-query with columns of known names.
fn rows(query: &Query, columns: usize) -> String {
    let columns = (1..=columns).map(column).collect::<Vec<_>>().join(", ");
    format!("({query}) AS \"the rows\"({columns})")
}

/// A column of a sub-query, under a name that nobody would write.
fn column(number: usize) -> String {
    format!("\"column {number} of the rows\"")
}

#[cfg(test)]
mod tests {
    use crate::dialect::planned;

    #[test]
    fn a_condition_asks_for_a_row() {
        assert_eq!(
            planned("SELECT 1 FROM t WHERE (a, b) IN (SELECT c, d FROM u)"),
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM (SELECT c, d FROM u) AS \"the rows\" \
             (\"column 1 of the rows\", \"column 2 of the rows\") \
             WHERE (a) = \"column 1 of the rows\" AND (b) = \"column 2 of the rows\")"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE a > ALL (SELECT c FROM u)"),
            "SELECT 1 FROM t WHERE NOT EXISTS (SELECT 1 FROM (SELECT c FROM u) AS \"the rows\" \
             (\"column 1 of the rows\") WHERE ((a) > \"column 1 of the rows\") IS NOT TRUE)"
        );
        assert_eq!(
            planned("SELECT 1 FROM t WHERE b OR NOT (a > ANY (SELECT c FROM u))"),
            "SELECT 1 FROM t WHERE b OR NOT (EXISTS (SELECT 1 FROM (SELECT c FROM u) AS \"the rows\" \
             (\"column 1 of the rows\") WHERE ((a) > \"column 1 of the rows\") IS NOT FALSE))"
        );
    }

    #[test]
    fn a_value_is_an_aggregate() {
        assert_eq!(
            planned("SELECT a = ANY (SELECT c FROM u) FROM t"),
            "SELECT ((a) IN (SELECT c FROM u)) AS \"?column?\" FROM t"
        );
        assert_eq!(
            planned("SELECT a > ALL (SELECT c FROM u) AS b FROM t"),
            "SELECT (SELECT CASE WHEN NOT bool_and(\"is so\") THEN false \
             WHEN count(*) > count(\"is so\") THEN NULL ELSE true END \
             FROM (SELECT (a) > \"column 1 of the rows\" AS \"is so\" \
             FROM (SELECT c FROM u) AS \"the rows\" (\"column 1 of the rows\")) AS \"the answers\") \
             AS b FROM t"
        );
    }
}
