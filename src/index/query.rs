//! The constant side of a distance: an expression without columns, whose value is the vector that
//! is searched for.
//!
//! A plan that is kept is run again with other parameters, so the value is asked for when the plan
//! runs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::expressions::{CastExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) struct Query(Arc<dyn PhysicalExpr>);

impl Query {
    /// `None` for an expression that has no value of its own.
    pub(super) fn new(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        let mut is_constant = true;
        let visited = expr.apply(|part| {
            let function = part.downcast_ref::<ScalarFunctionExpr>();
            let is_known = part.is::<Literal>()
                || part.is::<CastExpr>()
                || function.is_some_and(|function| {
                    function.fun().signature().volatility != Volatility::Volatile
                        || vigil_sql::is_parameter(part.as_ref())
                });
            is_constant &= is_known;
            Ok(if is_known { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        (visited.is_ok() && is_constant).then(|| Self(Arc::clone(expr)))
    }

    /// The vector; `None` when it is NULL or has no finite elements.
    ///
    /// # Errors
    /// What the expression says.
    pub(super) fn vector(&self) -> Result<Option<Vec<f32>>> {
        if let Some(literal) = self.0.downcast_ref::<Literal>() {
            return Ok(elements(&literal.value().to_array()?));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
        Ok(elements(&self.0.evaluate(&row)?.into_array(1)?))
    }
}

/// The finite elements of the first vector.
#[expect(clippy::cast_possible_truncation, reason = "a vector holds `float4`")]
pub(super) fn elements(array: &ArrayRef) -> Option<Vec<f32>> {
    if array.is_empty() || array.is_null(0) {
        return None;
    }
    let elements = match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(0),
        DataType::List(_) => array.as_list::<i32>().value(0),
        _ => return None,
    };
    let vector: Vec<f32> = match elements.data_type() {
        DataType::Float32 if elements.null_count() == 0 => {
            elements.as_primitive::<Float32Type>().values().to_vec()
        }
        DataType::Float16 if elements.null_count() == 0 => {
            let elements = elements.as_primitive::<Float16Type>().values().iter();
            elements.map(|element| element.to_f32()).collect()
        }
        DataType::Float64 => {
            let elements = elements.as_primitive::<Float64Type>().iter();
            elements.map(|element| element.map(|element| element as f32)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!vector.is_empty() && vector.iter().all(|element| element.is_finite())).then_some(vector)
}
