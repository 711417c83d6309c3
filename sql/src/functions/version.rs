//! `version()`: what drivers look at before anything else.

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use vigil_udfs::{Example, FunctionDoc};

pub(super) static DOC: FunctionDoc = FunctionDoc {
    name: "version",
    section: "Pictures and system",
    syntax: &["version() → text"],
    description: "The PostgreSQL whose behaviour clients may expect, and Vigil's own version.",
    arguments: &[],
    examples: &[Example { sql: "SELECT version() LIKE 'PostgreSQL %(Vigil %)'", result: "t" }],
};

/// The PostgreSQL whose behaviour clients may expect, in the form of `server_version`.
pub(crate) const SERVER_VERSION: &str = concat!("16.6 (Vigil ", env!("CARGO_PKG_VERSION"), ")");

/// The same in the form of `server_version_num`.
pub(crate) const SERVER_VERSION_NUM: &str = "160006";

const VERSION: &str = concat!("PostgreSQL 16.6 (Vigil ", env!("CARGO_PKG_VERSION"), ")");

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Version { signature: Signature::nullary(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Version {
    signature: Signature,
}

impl ScalarUDFImpl for Version {
    fn name(&self) -> &str {
        "version"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(VERSION.into()))))
    }
}
