//! Arrays of texts of a form, `json[]`, `jsonb[]` and `uuid[]`: an array of texts goes in, one whose elements are
//! of that type comes out. Casts and array constructors call these functions; nobody writes them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::json::json_field;
use crate::texts::uuid_field;

/// The functions and those that read one element.
const FUNCTIONS: [(&str, &str); 3] =
    [("array_of_json", "json"), ("array_of_jsonb", "jsonb"), ("array_of_uuid", "uuid")];

/// Registers them; the functions of one element must be there.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, element) in FUNCTIONS {
        let signature = Signature::user_defined(Volatility::Immutable);
        let function = ArrayOf { name, element: registry.udf(element)?, signature };
        registry.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayOf {
    name: &'static str,
    element: Arc<ScalarUDF>,
    signature: Signature,
}

impl ArrayOf {
    fn item(&self) -> FieldRef {
        let field = Field::new_list_field(DataType::Utf8, true);
        Arc::new(if self.element.name() == "uuid" { uuid_field(field) } else { json_field(field) })
    }

    /// The array with its elements read.
    fn read(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let array = cast(array, &texts)?;
        let list: &ListArray = array.as_list();
        // What lies outside of the rows, or in one that is NULL, need not be of the form.
        let mut rows: Vec<ArrayRef> = Vec::with_capacity(list.len());
        let options = Arc::default();
        for row in 0..list.len() {
            let values =
                if list.is_null(row) { list.value(row).slice(0, 0) } else { list.value(row) };
            let number_rows = values.len();
            let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
            let read = self.element.invoke_with_args(ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(values)],
                arg_fields: vec![field],
                number_rows,
                return_field: self.item(),
                config_options: Arc::clone(&options),
            })?;
            rows.push(read.to_array(number_rows)?);
        }
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
        let parts: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
        let values = if parts.is_empty() {
            arrow::array::new_empty_array(&DataType::Utf8)
        } else {
            arrow::compute::concat(&parts)?
        };
        Ok(Arc::new(ListArray::try_new(self.item(), offsets, values, list.nulls().cloned())?))
    }
}

impl ScalarUDFImpl for ArrayOf {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::List(item)]
                if matches!(
                    item.data_type(),
                    DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null
                ) =>
            {
                Ok(vec![DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))])
            }
            [DataType::Null] => {
                Ok(vec![DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))])
            }
            _ => plan_err!("Function '{}' takes an array of texts", self.name),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(self.item()))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name, DataType::List(self.item()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [array] = take_function_args(self.name, args.args)?;
        Ok(match array {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.read(&array)?),
            ColumnarValue::Scalar(scalar) => {
                let read = self.read(&scalar.to_array()?)?;
                // A scalar that is made of a row would lose what its elements are.
                ColumnarValue::Scalar(ScalarValue::List(Arc::new(read.as_list().clone())))
            }
        })
    }
}
