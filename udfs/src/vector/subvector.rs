//! `subvector`: some elements of a vector in a row.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::kind::VectorKind;
use super::of_model::in_space_of;
use super::operand::Operand;
use super::output::VectorColumn;
use super::types::{check_operands, coerce, field_of, field_type_names};
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

static DOC: FunctionDoc = FunctionDoc {
    name: "subvector",
    section: super::SECTION,
    syntax: &["subvector(vector, start, count) → vector"],
    description: "The `count` elements of a vector from the element `start` on; elements count from 1. What lies outside of the vector is left out, and a result without elements is an error.",
    arguments: &[
        ("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`"),
        ("start", "the first element, an integer"),
        ("count", "how many elements, an integer"),
    ],
    examples: &[
        Example { sql: "SELECT subvector('[1,2,3,4]'::vector, 2, 2)", result: "[2,3]" },
        Example { sql: "SELECT subvector('[1,2,3]'::vector, 0, 3)", result: "[1,2]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        ScalarUDF::from(Subvector { signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subvector {
    signature: Signature,
}

impl ScalarUDFImpl for Subvector {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut coerced = coerce(types);
        for (at, found) in coerced.iter_mut().enumerate().skip(1) {
            if types[at].is_integer() || types[at].is_null() {
                *found = DataType::Int64;
            }
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let integer = |field: &FieldRef| *field.data_type() == DataType::Int64;
        match args.arg_fields {
            [vector, start, count] if integer(start) && integer(count) => {
                check_operands(DOC.name, 1, std::slice::from_ref(vector))?;
            }
            fields => {
                let arguments = field_type_names(fields);
                return Err(UdfError::NoFunction { function: DOC.name, arguments }.into());
            }
        }
        let field = field_of(VectorKind::of_fields(args.arg_fields), DOC.name, None);
        Ok(Arc::new(in_space_of(field, args.arg_fields)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [vector, start, count] = take_function_args(DOC.name, args.args)?;
        let operand = Operand::read(&vector, kind)?;
        let (starts, counts) = (start.into_array(rows)?, count.into_array(rows)?);
        let (starts, counts) =
            (starts.as_primitive::<Int64Type>(), counts.as_primitive::<Int64Type>());
        let mut column = VectorColumn::new(&data_type, rows)?;
        let mut widened = Vec::new();
        for row in 0..rows {
            let span = operand.span(row)?;
            let Some(span) = span.filter(|_| starts.is_valid(row) && counts.is_valid(row)) else {
                column.push_null();
                continue;
            };
            operand.elements.widen_into(span, &mut widened);
            let chosen = part(&widened, starts.value(row), counts.value(row));
            if chosen.is_empty() {
                return Err(UdfError::NoDimensions { kind }.into());
            }
            column.push(chosen.iter().map(|value| *value as f32))?;
        }
        Ok(ColumnarValue::Array(column.finish()?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The elements from `start` (counted from 1) on, as far as there are any.
fn part(vector: &[f64], start: i64, count: i64) -> &[f64] {
    let length = i64::try_from(vector.len()).unwrap_or(i64::MAX);
    let first = start.clamp(1, length.saturating_add(1)) - 1;
    let last = start.saturating_add(count.max(0)).saturating_sub(1).clamp(first, length);
    let index = |at: i64| usize::try_from(at).unwrap_or(0);
    &vector[index(first)..index(last)]
}
