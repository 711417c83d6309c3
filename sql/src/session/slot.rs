//! A parameter of a plan that is kept: a function without arguments whose value is put into a slot
//! before each run.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::scalar::ScalarValue;

/// The value of a parameter at this moment.
#[derive(Debug)]
pub(super) struct Slot(Mutex<ScalarValue>);

impl Slot {
    pub(super) fn new(value: ScalarValue) -> Arc<Self> {
        Arc::new(Self(Mutex::new(value)))
    }

    /// Puts a value of the same type in.
    pub(super) fn put(&self, value: ScalarValue) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn value(&self) -> ScalarValue {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The expression whose value is the slot's, of the type and metadata of `field`.
    pub(super) fn expr(self: &Arc<Self>, field: FieldRef) -> Expr {
        // It differs from one run to the next, which is what the planner calls volatile.
        let signature = Signature::nullary(Volatility::Volatile);
        let function = SlotValue { slot: Arc::clone(self), field, signature };
        ScalarUDF::from(function).call(Vec::new())
    }
}

/// Whether an expression is a parameter of a plan that is kept: it has one value for a whole run.
pub fn is_parameter(expr: &dyn PhysicalExpr) -> bool {
    ScalarFunctionExpr::try_downcast_func::<SlotValue>(expr).is_some()
}

/// Whether an expression may have another value each time that it is computed, within one run.
pub(crate) fn is_volatile(expr: &Expr) -> bool {
    let is_such = |part: &Expr| {
        let is_slot = matches!(part, Expr::ScalarFunction(call)
            if call.func.inner().downcast_ref::<SlotValue>().is_some());
        Ok(part.is_volatile_node() && !is_slot)
    };
    // The closure gives no error.
    expr.exists(is_such).unwrap_or(true)
}

#[derive(Debug)]
struct SlotValue {
    slot: Arc<Slot>,
    field: FieldRef,
    signature: Signature,
}

impl PartialEq for SlotValue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slot, &other.slot)
    }
}

impl Eq for SlotValue {}

impl Hash for SlotValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.slot).hash(state);
    }
}

impl ScalarUDFImpl for SlotValue {
    fn name(&self) -> &str {
        "parameter"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a parameter is in its return field")
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.slot.value()))
    }
}
