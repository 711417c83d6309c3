//! `to_bit` and `to_varbit`, and the casts `'101'::bit(3)` and `'101'::bit varying` that mean them;
//! `bit_out`, and the cast of bits to a text that means it.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::bits::{
    BitsColumn, BitsOperand, MAX_BITS, bits_field, bits_operand, bits_text, is_bits_operand,
    varbit_field,
};
use super::types::field_type_names;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

/// Bytes that a call may make of a batch of rows.
const MAX_BYTES: usize = 256 << 20;

static BIT: FunctionDoc = FunctionDoc {
    name: "to_bit",
    section: super::SECTION,
    syntax: &["to_bit(value [, n]) → bit", "value::bit(n)"],
    description: "A text of zeros and ones (behind an `x`, of hexadecimal digits) as bits. With `n` there are so many: what is more is cut off at the end, what is missing is zero, as PostgreSQL's cast to `bit(n)` does it. Without `n` the cast gives one bit. `B'101'` and `X'5'` are bits, too; they compare, group and sort as in PostgreSQL.",
    arguments: &[("value", "a text, or bits"), ("n", "how many bits, a constant")],
    examples: &[
        Example { sql: "SELECT to_bit('1011', 3)", result: "101" },
        Example { sql: "SELECT '101'::bit(5)", result: "10100" },
        Example { sql: "SELECT X'1f'", result: "00011111" },
        Example { sql: "SELECT B'01' < B'1'", result: "t" },
    ],
};

static VARBIT: FunctionDoc = FunctionDoc {
    name: "to_varbit",
    section: super::SECTION,
    syntax: &["to_varbit(value [, n]) → bit varying", "value::bit varying[(n)]"],
    description: "The same of any number of bits; what is more than `n` is cut off at the end.",
    arguments: &[("value", "a text, or bits"), ("n", "the most bits, a constant")],
    examples: &[Example { sql: "SELECT '1011'::bit varying(3)", result: "101" }],
};

static OUT: FunctionDoc = FunctionDoc {
    name: "bit_out",
    section: super::SECTION,
    syntax: &["bit_out(bits) → text", "bits::text"],
    description: "Bits as a text of zeros and ones.",
    arguments: &[("bits", "bits, or a text of them")],
    examples: &[Example { sql: "SELECT B'101'::text || 'x'", result: "101x" }],
};

static DOCUMENTATION: [LazyLock<Documentation>; 3] = [
    LazyLock::new(|| BIT.to_documentation()),
    LazyLock::new(|| VARBIT.to_documentation()),
    LazyLock::new(|| OUT.to_documentation()),
];

/// The name by which a literal such as `B'101'` is a call of `to_bit`.
pub const BIT_LITERAL: &str = "bit_literal";

static LITERAL_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| vec![BIT_LITERAL.to_owned()]);

/// The functions.
pub(super) fn functions() -> [Function; 3] {
    [
        Function::new(&BIT, |_| udf(Length::Exact)),
        Function::new(&VARBIT, |_| udf(Length::AtMost)),
        Function::new(&OUT, |_| out()),
    ]
}

/// What the `n` of a type of bits says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Length {
    /// `bit(n)`.
    Exact,
    /// `bit varying(n)`.
    AtMost,
}

/// The function that makes bits.
pub(super) fn udf(length: Length) -> ScalarUDF {
    ScalarUDF::from(ToBit { length, signature: Signature::user_defined(Volatility::Immutable) })
}

/// The function that writes them.
pub(super) fn out() -> ScalarUDF {
    ScalarUDF::from(BitOut { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToBit {
    length: Length,
    signature: Signature,
}

impl ToBit {
    fn doc(&self) -> &'static FunctionDoc {
        match self.length {
            Length::Exact => &BIT,
            Length::AtMost => &VARBIT,
        }
    }
}

impl ScalarUDFImpl for ToBit {
    fn name(&self) -> &str {
        self.doc().name
    }

    fn aliases(&self) -> &[String] {
        match self.length {
            Length::Exact => &LITERAL_NAMES,
            Length::AtMost => &[],
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = |(at, found): (usize, &DataType)| match at {
            0 => bits_operand(found),
            _ if found.is_integer() => DataType::Int64,
            _ => found.clone(),
        };
        Ok(types.iter().enumerate().map(wanted).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<&DataType> = args.arg_fields.iter().map(|field| field.data_type()).collect();
        let is_known = match types[..] {
            [value] | [value, DataType::Int64] => is_bits_operand(value),
            _ => false,
        };
        if !is_known {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: self.doc().name, arguments }.into());
        }
        let bits = match args.scalar_arguments {
            [_, Some(ScalarValue::Int64(Some(bits)))] => {
                let bits = i32::try_from(*bits).ok().filter(|bits| (1..=MAX_BITS).contains(bits));
                Some(bits.ok_or(UdfError::BitLength)?)
            }
            [_, _] => return Err(UdfError::BitLength.into()),
            _ => None,
        };
        let field = match self.length {
            Length::Exact => bits_field(self.name(), bits),
            Length::AtMost => varbit_field(None).with_name(self.name()),
        };
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else {
            return internal_err!("{} without an argument", self.name());
        };
        let most = match args.args.get(1) {
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(bits)))) => {
                usize::try_from(*bits).map_err(|_| UdfError::BitLength)?
            }
            _ => usize::MAX,
        };
        let operand = BitsOperand::read(value)?;
        let rows = if operand.is_constant() { 1 } else { args.number_rows };
        let data_type = args.return_field.data_type();
        if let DataType::FixedSizeList(_, bits) = data_type
            && usize::try_from(*bits).unwrap_or(0).saturating_mul(rows) / 8 > MAX_BYTES
        {
            return Err(UdfError::TooManyBits.into());
        }
        let mut column = BitsColumn::new(data_type, rows);
        for row in 0..rows {
            let bits = operand.row(row).map(|bits| bits.slice(0, bits.len().min(most)));
            column.push(bits.as_ref().map(|bits| (0..bits.len()).map(|at| bits.value(at))));
        }
        let column = column.finish()?;
        if operand.is_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION[usize::from(self.length == Length::AtMost)])
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BitOut {
    signature: Signature,
}

impl ScalarUDFImpl for BitOut {
    fn name(&self) -> &str {
        OUT.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.iter().map(bits_operand).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [bits] if is_bits_operand(bits.data_type()) => {
                Ok(Arc::new(Field::new(OUT.name, DataType::Utf8, true)))
            }
            fields => {
                let arguments = field_type_names(fields);
                Err(UdfError::NoFunction { function: OUT.name, arguments }.into())
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [bits] = take_function_args(OUT.name, args.args)?;
        let operand = BitsOperand::read(&bits)?;
        let rows = if operand.is_constant() { 1 } else { rows };
        let texts = (0..rows).map(|row| operand.row(row).map(|bits| bits_text(bits.iter())));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        if operand.is_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?));
        }
        Ok(ColumnarValue::Array(texts))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION[2])
    }
}
