//! The value of a sub-query that has one row at most, which its plan does not tell: a second row is an error.

use std::sync::{Arc, LazyLock};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, FieldRef, UInt64Type};
use datafusion::common::Result;
use datafusion::common::utils::take_function_args;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::SqlError;

/// The function of a value and its row's number, from 1, among those of one row of the outer query.
pub(super) static SINGLE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::new_from_impl(Single { signature })
});

#[derive(Debug, PartialEq, Eq, Hash)]
struct Single {
    signature: Signature,
}

impl ScalarUDFImpl for Single {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [data_type, _] = take_function_args(self.name(), types)?;
        Ok(data_type.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field, _] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [value, place] = take_function_args(self.name(), args.args)?;
        let places = place.to_array(rows)?;
        let mut places = places.as_primitive::<UInt64Type>().iter().flatten();
        if places.any(|place| place > 1) {
            return Err(DataFusionError::External(Box::new(SqlError::Invalid {
                sqlstate: "21000",
                message: "more than one row returned by a subquery used as an expression".into(),
                hint: Some("Aggregate its rows, or take one of them with LIMIT 1.".into()),
                position: None,
            })));
        }
        Ok(value)
    }
}
