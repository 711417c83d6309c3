//! `a IS DISTINCT FROM b OR c`: sqlparser (0.62) reads `b OR c` as the right side, PostgreSQL `b`.
//!
//! What stands in parentheses is a node of its own in the tree, so that a bare `AND` or `OR` below
//! a right side can only have been swallowed: the chain is laid out as it was written and put
//! together again by precedence.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};

/// Puts every such chain of the statement right.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Chains);
}

struct Chains;

impl VisitorMut for Chains {
    type Break = ();

    /// From the outermost expression inwards: what swallowed a chain is part of one itself.
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if swallows(expr) {
            let mut chain = Chain::default();
            chain.lay_out(take(expr));
            *expr = chain.put_together();
        }
        ControlFlow::Continue(())
    }
}

/// Whether the chain that begins here has a swallowed part.
fn swallows(expr: &Expr) -> bool {
    match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            is_chain(right) || swallows(right)
        }
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            swallows(left) || swallows(right)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => swallows(expr),
        _ => false,
    }
}

fn is_chain(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}

/// Operands and what stands between them.
#[derive(Default)]
struct Chain {
    operands: Vec<Expr>,
    operators: Vec<BinaryOperator>,
}

impl Chain {
    fn lay_out(&mut self, expr: Expr) {
        match expr {
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                self.lay_out(*left);
                self.operators.push(op);
                self.lay_out(*right);
            }
            Expr::IsDistinctFrom(left, right) => {
                self.first_of(*right, |right| Expr::IsDistinctFrom(left, Box::new(right)));
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.first_of(*right, |right| Expr::IsNotDistinctFrom(left, Box::new(right)));
            }
            Expr::UnaryOp { op: op @ UnaryOperator::Not, expr } => {
                self.first_of(*expr, |expr| Expr::UnaryOp { op, expr: Box::new(expr) });
            }
            other => self.operands.push(other),
        }
    }

    /// Lays out an expression of which only the first operand belongs to what `wrap` makes.
    fn first_of(&mut self, expr: Expr, wrap: impl FnOnce(Expr) -> Expr) {
        let first = self.operands.len();
        self.lay_out(expr);
        if let Some(operand) = self.operands.get_mut(first) {
            *operand = wrap(take(operand));
        }
    }

    /// `AND` before `OR`, each from the left.
    fn put_together(self) -> Expr {
        let mut operands = self.operands.into_iter();
        let mut all = operands.next().unwrap_or_else(|| Expr::value(Value::Null));
        let mut any: Option<Expr> = None;
        for (op, operand) in self.operators.into_iter().zip(operands) {
            if op == BinaryOperator::And {
                all = join(all, op, operand);
            } else {
                let before = std::mem::replace(&mut all, operand);
                any = Some(or(any, before));
            }
        }
        or(any, all)
    }
}

fn or(left: Option<Expr>, right: Expr) -> Expr {
    match left {
        Some(left) => join(left, BinaryOperator::Or, right),
        None => right,
    }
}

fn join(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}
