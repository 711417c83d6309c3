//! `to_vector` and `to_halfvec`, and the casts that mean them: `'[1,2,3]'::vector(3)`,
//! `ARRAY[1,2,3]::vector`, `embedding::halfvec`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::kind::VectorKind;
use super::of_model::in_space_of;
use super::operand::{Elements, Operand};
use super::output::map_spans;
use super::types::{MAX_DIMENSIONS, check_operands, coerce, field_of};
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

const ARGUMENTS: &[(&str, &str)] = &[
    ("value", "a text such as `'[1,2,3]'`, an array of numbers, a `vector` or a `halfvec`"),
    ("dimensions", "the length that the result must have, an integer constant"),
];

static VECTOR: FunctionDoc = FunctionDoc {
    name: "to_vector",
    section: super::SECTION,
    syntax: &["to_vector(value [, dimensions]) → vector", "value::vector[(dimensions)]"],
    description: "A text or an array of numbers as a `vector`. With `dimensions`, a value of another length is an error.",
    arguments: ARGUMENTS,
    examples: &[
        Example { sql: "SELECT '[1, 2.5, 3]'::vector(3)", result: "[1,2.5,3]" },
        Example { sql: "SELECT ARRAY[1, 2]::vector", result: "[1,2]" },
        Example { sql: "SELECT to_vector('[1,2,3]', 3)", result: "[1,2,3]" },
    ],
};

static HALFVEC: FunctionDoc = FunctionDoc {
    name: "to_halfvec",
    section: super::SECTION,
    syntax: &["to_halfvec(value [, dimensions]) → halfvec", "value::halfvec[(dimensions)]"],
    description: "A text, an array of numbers or a `vector` as a `halfvec`: each element is the nearest number of 16 bits (IEEE 754 binary16). An element beyond 65504 is an error. What takes vectors takes a `halfvec` as well; beside one, a `vector` becomes a `halfvec`.",
    arguments: ARGUMENTS,
    examples: &[
        Example { sql: "SELECT '[1.1,2]'::halfvec(2)", result: "[1.0996094,2]" },
        Example { sql: "SELECT to_halfvec(ARRAY[1, 2])", result: "[1,2]" },
        Example { sql: "SELECT '[1,2]'::halfvec + '[0.1,1]'", result: "[1.0996094,3]" },
    ],
};

static DOCUMENTATION: [LazyLock<Documentation>; 2] =
    [LazyLock::new(|| VECTOR.to_documentation()), LazyLock::new(|| HALFVEC.to_documentation())];

/// The functions.
pub(super) fn functions() -> [Function; 2] {
    [
        Function::new(&VECTOR, |_| udf(VectorKind::Vector)),
        Function::new(&HALFVEC, |_| udf(VectorKind::Halfvec)),
    ]
}

/// The function that makes vectors of the kind.
pub(super) fn udf(kind: VectorKind) -> ScalarUDF {
    ScalarUDF::from(ToVector { kind, signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToVector {
    kind: VectorKind,
    signature: Signature,
}

impl ToVector {
    fn doc(&self) -> &'static FunctionDoc {
        match self.kind {
            VectorKind::Vector => &VECTOR,
            VectorKind::Halfvec => &HALFVEC,
        }
    }
}

impl ScalarUDFImpl for ToVector {
    fn name(&self) -> &str {
        self.doc().name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut coerced = coerce(types);
        if let Some(dimensions) = coerced.get_mut(1).filter(|second| second.is_integer()) {
            *dimensions = DataType::Int64;
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kind = self.kind;
        let integer = |field: &FieldRef| *field.data_type() == DataType::Int64;
        let values = match args.arg_fields {
            [values @ .., dimensions] if integer(dimensions) => values,
            values => values,
        };
        check_operands(self.doc().name, 1, values)?;
        let dimensions = match args.scalar_arguments {
            [_] => None,
            [_, Some(ScalarValue::Int64(Some(dimensions)))] => {
                let in_range = |dimensions: &i32| {
                    usize::try_from(*dimensions).is_ok_and(|n| (1..=MAX_DIMENSIONS).contains(&n))
                };
                let dimensions = i32::try_from(*dimensions).ok().filter(in_range);
                Some(dimensions.ok_or(UdfError::TypeDimensions { kind, max: MAX_DIMENSIONS })?)
            }
            _ => return Err(UdfError::DimensionsNotConstant { kind }.into()),
        };
        let field = field_of(kind, self.name(), dimensions);
        Ok(Arc::new(in_space_of(field, args.arg_fields)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kind = self.kind;
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let Some(value) = args.args.first() else {
            return internal_err!("{} without an argument", self.name());
        };
        let operand = Operand::read(value, kind)?;
        let mut widened = Vec::new();
        map_spans(&operand, rows, &data_type, |span, column| {
            if span.len() > MAX_DIMENSIONS {
                return Err(UdfError::TooManyDimensions { kind, max: MAX_DIMENSIONS }.into());
            }
            // What every search with a parameter does: the elements are what they become.
            if let (VectorKind::Vector, Elements::F32(elements)) = (kind, &operand.elements)
                && elements[span.clone()].iter().all(|element| element.is_finite())
            {
                return column.push(elements[span].iter().copied());
            }
            operand.elements.widen_into(span, &mut widened);
            let elements = widened.iter().map(|value| kind.checked(*value));
            column.push(elements.collect::<Result<Vec<_>, _>>()?.into_iter())
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION[usize::from(self.kind == VectorKind::Halfvec)])
    }
}
