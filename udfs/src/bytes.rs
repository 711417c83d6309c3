//! How long bytes are: what PostgreSQL says of `bytea`, where DataFusion knows texts alone. For
//! texts, DataFusion's own functions answer.

use std::sync::{Arc, LazyLock};

use arrow::compute::kernels::length::{bit_length, length};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::functions::string::{bit_length as text_bits, octet_length as text_octets};
use datafusion::functions::unicode::character_length;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::doc::{Example, Function, FunctionDoc};

const SECTION: &str = "Texts and bytes";

static CHARACTERS: FunctionDoc = FunctionDoc {
    name: "character_length",
    section: SECTION,
    syntax: &[
        "character_length(text) → integer",
        "char_length(text) → integer",
        "length(text) → integer",
        "length(bytea) → integer",
    ],
    description: "The number of characters of a text, or of bytes of a `bytea`.",
    arguments: &[("text, bytea", "a text, or bytes such as a picture of `frame_image`")],
    examples: &[
        Example { sql: "SELECT length('größer')", result: "6" },
        Example { sql: "SELECT length(decode('00ff', 'hex'))", result: "2" },
    ],
};

static OCTETS: FunctionDoc = FunctionDoc {
    name: "octet_length",
    section: SECTION,
    syntax: &["octet_length(text) → integer", "octet_length(bytea) → integer"],
    description: "The number of bytes of a text or of a `bytea`.",
    arguments: &[("text, bytea", "a text or bytes")],
    examples: &[
        Example { sql: "SELECT octet_length('größer')", result: "8" },
        Example { sql: "SELECT octet_length(decode('00ff', 'hex'))", result: "2" },
    ],
};

static BITS: FunctionDoc = FunctionDoc {
    name: "bit_length",
    section: SECTION,
    syntax: &["bit_length(text) → integer", "bit_length(bytea) → integer"],
    description: "The number of bits of a text or of a `bytea`: eight for each byte.",
    arguments: &[("text, bytea", "a text or bytes")],
    examples: &[Example { sql: "SELECT bit_length(decode('00ff', 'hex'))", result: "16" }],
};

static DOCUMENTATION: LazyLock<[Documentation; 3]> =
    LazyLock::new(|| [&CHARACTERS, &OCTETS, &BITS].map(FunctionDoc::to_documentation));

/// The functions of this file.
pub fn functions() -> Vec<Function> {
    vec![
        Function::new(&CHARACTERS, |_| udf(Unit::Characters)),
        Function::new(&OCTETS, |_| udf(Unit::Octets)),
        Function::new(&BITS, |_| udf(Unit::Bits)),
    ]
}

fn udf(unit: Unit) -> ScalarUDF {
    let of_texts = match unit {
        Unit::Characters => character_length(),
        Unit::Octets => text_octets(),
        Unit::Bits => text_bits(),
    };
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::from(Length { unit, of_texts, signature })
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    /// Of a text its characters, of bytes the bytes.
    Characters,
    Octets,
    Bits,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    unit: Unit,
    /// DataFusion's function of the same name.
    of_texts: Arc<ScalarUDF>,
    signature: Signature,
}

impl Length {
    fn doc(&self) -> &'static FunctionDoc {
        match self.unit {
            Unit::Characters => &CHARACTERS,
            Unit::Octets => &OCTETS,
            Unit::Bits => &BITS,
        }
    }
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        self.doc().name
    }

    fn aliases(&self) -> &[String] {
        self.of_texts.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let [only] = types
            && is_binary(only)
        {
            return Ok(vec![DataType::Binary]);
        }
        let fields: Vec<_> = types
            .iter()
            .map(|data_type| Arc::new(Field::new("", data_type.clone(), true)))
            .collect();
        let fields = fields_with_udf(&fields, self.of_texts.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [only] if is_binary(only) => Ok(DataType::Int32),
            _ => self.of_texts.return_type(types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bytes] = args.args.as_slice() else { return self.of_texts.invoke_with_args(args) };
        if !is_binary(&bytes.data_type()) {
            return self.of_texts.invoke_with_args(args);
        }
        let count = match self.unit {
            Unit::Characters | Unit::Octets => length,
            Unit::Bits => bit_length,
        };
        Ok(match bytes {
            ColumnarValue::Array(array) => ColumnarValue::Array(count(array)?),
            ColumnarValue::Scalar(scalar) => {
                let counted = count(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&counted, 0)?)
            }
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        let [characters, octets, bits] = &*DOCUMENTATION;
        Some(match self.unit {
            Unit::Characters => characters,
            Unit::Octets => octets,
            Unit::Bits => bits,
        })
    }
}
