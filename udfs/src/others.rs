//! Small functions of PostgreSQL that DataFusion has not.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Registers them.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let signature = Signature::any(1, Volatility::Immutable);
    registry.register_udf(Arc::new(ScalarUDF::from(IsFinite { signature })))?;
    Ok(())
}

/// Whether a time is not infinite, which none here is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IsFinite {
    signature: Signature,
}

impl ScalarUDFImpl for IsFinite {
    fn name(&self) -> &str {
        "isfinite"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [times] = take_function_args(self.name(), args.args)?;
        let times = times.into_array(rows)?;
        let finite = (0..times.len()).map(|row| times.is_valid(row).then_some(true));
        Ok(ColumnarValue::Array(Arc::new(finite.collect::<BooleanArray>())))
    }
}
