//! Long chains of `AND` and of `OR` as balanced trees of the same conditions in the same order.
//!
//! sqlparser makes a tree of them that is as deep as the chain is long. DataFusion asks each level for its
//! type and its name, which are made of all that is below it: the time to plan such a chain grows with the
//! cube of its length. Chains of other operators stay as they are, as `(a + b) + c` may be another number,
//! or another error, than `a + (b + c)`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Statement, Value, VisitMut, VisitorMut,
};

/// Conditions that make a chain long; a balanced tree of those that a statement may have is not as deep.
const LONG: usize = 16;

/// Rewrites the chains in `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Chains);
}

struct Chains;

impl VisitorMut for Chains {
    type Break = ();

    // From the top down, so that a chain is seen before the parts of it, which are chains too.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
            let op = op.clone();
            if length(expr, &op) >= LONG {
                let chain = std::mem::replace(expr, Expr::value(Value::Null));
                *expr = balanced(conditions(chain, &op), &op);
            }
        }
        ControlFlow::Continue(())
    }
}

fn length(mut chain: &Expr, op: &BinaryOperator) -> usize {
    let mut length = 1;
    while let Expr::BinaryOp { left, op: found, .. } = chain
        && found == op
    {
        length += 1;
        chain = left;
    }
    length
}

/// The conditions of a chain of `op`, from left to right.
fn conditions(mut chain: Expr, op: &BinaryOperator) -> Vec<Expr> {
    let mut conditions = Vec::new();
    loop {
        match chain {
            Expr::BinaryOp { left, op: found, right } if found == *op => {
                conditions.push(*right);
                chain = *left;
            }
            first => {
                conditions.push(first);
                conditions.reverse();
                return conditions;
            }
        }
    }
}

fn balanced(mut conditions: Vec<Expr>, op: &BinaryOperator) -> Expr {
    let right = conditions.split_off(conditions.len() / 2);
    match (conditions.is_empty(), right) {
        (true, mut right) => right.pop().unwrap_or_else(|| Expr::value(Value::Null)),
        (false, right) => Expr::BinaryOp {
            left: Box::new(balanced(conditions, op)),
            op: op.clone(),
            right: Box::new(balanced(right, op)),
        },
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Statement};

    use crate::dialect::{StatementKind, parse, planned};

    /// How deep the operators of a statement's condition are.
    fn depth(sql: &str) -> usize {
        fn below(expr: &Expr) -> usize {
            match expr {
                Expr::BinaryOp { left, right, .. } => 1 + below(left).max(below(right)),
                _ => 0,
            }
        }
        let statements = parse(sql).expect(sql);
        let StatementKind::Ordinary(statement) = statements[0].kind() else { panic!("{sql}") };
        let Statement::Query(query) = statement.as_ref() else { panic!("{sql}") };
        let Query { body, .. } = query.as_ref();
        let SetExpr::Select(select) = body.as_ref() else { panic!("{sql}") };
        select.selection.as_ref().map_or(0, below)
    }

    fn chain(length: usize, op: &str) -> String {
        let conditions: Vec<String> = (0..length).map(|n| format!("a > {n}")).collect();
        format!("SELECT 1 FROM t WHERE {}", conditions.join(&format!(" {op} ")))
    }

    #[test]
    fn a_chain_is_as_deep_as_the_logarithm_of_its_length() {
        for op in ["AND", "OR"] {
            // The comparison is a level of its own.
            assert_eq!(depth(&chain(256, op)), 9, "{op}");
            assert_eq!(depth(&chain(10, op)), 10, "{op}");
        }
    }

    #[test]
    fn conditions_keep_their_order() {
        for length in [15, 16, 17, 100, 400] {
            for op in ["AND", "OR"] {
                assert_eq!(planned(&chain(length, op)), chain(length, op));
            }
        }
    }

    #[test]
    fn rows_in_a_list_make_no_deep_chain() {
        let rows: Vec<String> = (0..512).map(|n| format!("({n}, {n})")).collect();
        let sql = format!("SELECT 1 FROM t WHERE (a, b) IN ({})", rows.join(", "));
        let StatementKind::Ordinary(statement) = parse(&sql).expect("a list")[0].kind().clone()
        else {
            panic!("no query")
        };
        let Statement::Query(query) = *statement else { panic!("no query") };
        let SetExpr::Select(select) = *query.body else { panic!("no select") };
        let Some(Expr::Nested(inner)) = select.selection else { panic!("{:?}", select.selection) };
        let mut levels = 0;
        let mut expr = inner.as_ref();
        while let Expr::BinaryOp { left, .. } = expr {
            levels += 1;
            expr = left;
        }
        assert_eq!(levels, 9, "a row is in parentheses");
    }
}
