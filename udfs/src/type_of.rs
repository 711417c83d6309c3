//! `pg_typeof`: the name of a value's type.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "pg_typeof",
    section: "Texts and bytes",
    syntax: &["pg_typeof(value) → text"],
    description: "The name of a value's type. Whole numbers in a query are a `bigint` here, an `integer` in PostgreSQL; numbers with a point a `double precision`, a `numeric` in PostgreSQL.",
    arguments: &[("value", "anything")],
    examples: &[
        Example { sql: "SELECT pg_typeof(1 = 2)", result: "boolean" },
        Example { sql: "SELECT pg_typeof('[1,2]'::vector)", result: "vector" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

/// The functions of this file.
pub fn functions() -> Vec<Function> {
    vec![Function::new(&DOC, |_| {
        ScalarUDF::from(TypeOf { signature: Signature::any(1, Volatility::Immutable) })
    })]
}

/// SQL's name of a field's type.
pub fn name(field: &Field) -> String {
    match field.data_type() {
        DataType::Utf8 if crate::json::is_json(field) => "json".to_owned(),
        DataType::Utf8 if crate::texts::is_uuid(field) => "uuid".to_owned(),
        DataType::List(item)
            if crate::json::is_json(item)
                || crate::texts::is_uuid(item)
                || matches!(item.data_type(), DataType::Time32(_) | DataType::Time64(_)) =>
        {
            format!("{}[]", name(item))
        }
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".to_owned(),
        DataType::Duration(_) => "interval".to_owned(),
        _ => crate::vector::field_type_names(&[Arc::new(field.clone())]),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field] = take_function_args(DOC.name, args.arg_fields)?;
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(name(&field)))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
