//! `gen_random_uuid`: DataFusion's `uuid`, under PostgreSQL's name and of its type.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::functions::string;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::{SECTION, uuid_field};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "gen_random_uuid",
    section: SECTION,
    syntax: &["gen_random_uuid() → uuid"],
    description: "A UUID of random digits, of version 4.",
    arguments: &[],
    examples: &[Example { sql: "SELECT substr(gen_random_uuid()::text, 15, 1)", result: "4" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        let signature = Signature::nullary(Volatility::Volatile);
        ScalarUDF::from(RandomUuid { signature, inner: string::uuid() })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RandomUuid {
    signature: Signature,
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for RandomUuid {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(uuid_field(Field::new(self.name(), DataType::Utf8, false))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
