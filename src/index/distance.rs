//! Reading what a query sorts by: an expression goes in; the distance, its column and its constant
//! come out.
//!
//! `ORDER BY 1 - (a <=> b) DESC` is the order of `a <=> b`: adding a constant and multiplying by
//! one keep an order or turn it round.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, NegativeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::scalar::ScalarValue;
use vigil_udfs::is_halfvec;

use super::kernel::Metric;
use super::query::Query;

/// A distance between a column and a constant.
pub(super) struct Distance {
    pub(super) metric: Metric,
    pub(super) column: usize,
    /// The column is the first of the two.
    pub(super) is_first: bool,
    /// The n of `column::halfvec(n)`, where that is what is compared.
    pub(super) halfvec: Option<i32>,
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
        let (column, constant, is_first) = match (Side::read(left), Side::read(right)) {
            (Some(column), None) => (column, right, true),
            (None, Some(column)) => (column, left, false),
            _ => return None,
        };
        let Side { column, halfvec, model } = column;
        // Beside a `halfvec` the column's vectors become some, and no index is over that.
        let is_half = constant.data_type(&Schema::empty()).is_ok_and(|found| is_halfvec(&found));
        if is_half && halfvec.is_none() {
            return None;
        }
        Some(Self { metric, column, is_first, halfvec, query: Query::new(constant)?, model })
    }
}

/// A column of vectors, perhaps with a cast to `halfvec(n)` or the check of its model around it.
struct Side {
    column: usize,
    halfvec: Option<i32>,
    model: Option<(usize, String)>,
}

impl Side {
    fn read(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return Some(Self { column: column.index(), halfvec: None, model: None });
        }
        let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
        if let ("to_halfvec", [column, _]) = (function.name(), function.args())
            && let DataType::FixedSizeList(_, dimensions) = function.return_type()
        {
            let inner = Self::read(column).filter(|inner| inner.halfvec.is_none())?;
            return Some(Self { halfvec: Some(*dimensions), ..inner });
        }
        let [vector, model, expected] = function.args() else { return None };
        if function.name() != vigil_udfs::MODEL_CHECK {
            return None;
        }
        let (vector, model) = (vector.downcast_ref::<Column>()?, model.downcast_ref::<Column>()?);
        let expected = expected.downcast_ref::<Literal>()?.value().try_as_str().flatten()?;
        let model = Some((model.index(), expected.to_owned()));
        Some(Self { column: vector.index(), halfvec: None, model })
    }
}

/// The finite value of a constant number.
fn number(expr: &Arc<dyn PhysicalExpr>) -> Option<f64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Float64(Some(value)) if value.is_finite() => Some(*value),
        _ => None,
    }
}
