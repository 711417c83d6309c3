//! Reading what a query sorts by: an expression goes in; the distance, its column and its constant
//! come out.
//!
//! `ORDER BY 1 - (a <=> b) DESC` is the order of `a <=> b`: adding a constant and multiplying by
//! one keep an order or turn it round.

use std::sync::Arc;

use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, NegativeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::scalar::ScalarValue;

use super::kernel::Metric;
use super::query::Query;

/// A distance between a column and a constant.
pub(super) struct Distance {
    pub(super) metric: Metric,
    pub(super) column: usize,
    pub(super) query: Query,
    /// The column with the rows' models, and the model that they must be of.
    pub(super) model: Option<(usize, String)>,
}

impl Distance {
    /// The distance that an order is one of, nearest first; `None` for every other order.
    pub(super) fn read(expr: &Arc<dyn PhysicalExpr>, mut is_descending: bool) -> Option<Self> {
        let mut expr = expr;
        loop {
            if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
                is_descending = !is_descending;
                expr = negative.arg();
            } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
                let (left, right) = (number(binary.left()), number(binary.right()));
                let (inner, constant) = match (left, right) {
                    (Some(constant), None) => (binary.right(), constant),
                    (None, Some(constant)) => (binary.left(), constant),
                    _ => return None,
                };
                let turns = match (binary.op(), left.is_some()) {
                    (Operator::Plus, _) | (Operator::Minus, false) => false,
                    (Operator::Minus, true) => true,
                    (Operator::Multiply, _) | (Operator::Divide, false) if constant != 0.0 => {
                        constant < 0.0
                    }
                    _ => return None,
                };
                is_descending ^= turns;
                expr = inner;
            } else {
                break;
            }
        }
        let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
        let metric = match (function.name(), is_descending) {
            ("cosine_distance", false) => Metric::Cosine,
            ("l2_distance", false) => Metric::L2,
            ("l1_distance", false) => Metric::L1,
            ("inner_product", true) => Metric::InnerProduct,
            _ => return None,
        };
        let [left, right] = function.args() else { return None };
        let (column, constant) = match (Side::read(left), Side::read(right)) {
            (Some(column), None) => (column, right),
            (None, Some(column)) => (column, left),
            _ => return None,
        };
        let Side { column, model } = column;
        Some(Self { metric, column, query: Query::new(constant)?, model })
    }
}

/// A column of vectors, perhaps with the check of its model around it.
struct Side {
    column: usize,
    model: Option<(usize, String)>,
}

impl Side {
    fn read(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return Some(Self { column: column.index(), model: None });
        }
        let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
        let [vector, model, expected] = function.args() else { return None };
        if function.name() != vigil_udfs::MODEL_CHECK {
            return None;
        }
        let (vector, model) = (vector.downcast_ref::<Column>()?, model.downcast_ref::<Column>()?);
        let expected = expected.downcast_ref::<Literal>()?.value().try_as_str().flatten()?;
        Some(Self { column: vector.index(), model: Some((model.index(), expected.to_owned())) })
    }
}

/// The finite value of a constant number.
fn number(expr: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Float64(Some(value)) if value.is_finite() => Some(*value),
        _ => None,
    }
}
