//! Functions that make much of little, with a bound: `repeat('x', 2000000000)` is a short statement,
//! and what it makes is in no pool of memory, so that the process would die of it and not the query.
//!
//! PostgreSQL's own bound is a gigabyte for one value (`MaxAllocSize`). Here it is for all values of a
//! batch of rows together, and smaller, as an answer of that size is no use to anybody.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use regex::Regex;

use crate::SqlError;

/// Bytes that a call may make of a batch of rows.
const MAX_BYTES: u64 = 256 << 20;

/// How many bytes a call makes of a row of arguments, at most.
type Bytes = fn(&Row<'_>) -> u64;

/// The functions and what they make.
const FUNCTIONS: [(&str, Bytes); 9] = [
    ("repeat", |row| row.length(0).saturating_mul(row.number(1))),
    ("lpad", |row| row.number(1)),
    ("rpad", |row| row.number(1)),
    ("replace", replaced),
    ("regexp_replace", replaced_by_pattern),
    ("array_repeat", |row| row.length(0).max(1).saturating_mul(row.number(1))),
    // It looks at each pair of characters, and nothing stops it meanwhile.
    ("levenshtein", |row| row.length(0).saturating_mul(row.length(1))),
    ("range", series),
    ("generate_series", series),
];

fn replaced(row: &Row<'_>) -> u64 {
    let (whole, from) = (row.text(0), row.text(1));
    if from.is_empty() || row.length(2) <= row.length(1) {
        return row.length(0);
    }
    let times = whole.matches(&*from).count() as u64;
    row.length(0).saturating_add(times.saturating_mul(row.length(2)))
}

/// The first match alone is replaced without the flag `g`. With it, matches are counted only where
/// one between any two bytes would make more than a row's share.
fn replaced_by_pattern(row: &Row<'_>) -> u64 {
    /// Rows of a batch that make as much are within the bound together.
    const SHARE: u64 = MAX_BYTES / 8192;
    let (whole, with) = (row.length(0), row.length(2));
    if !row.text(3).contains('g') {
        return whole.saturating_add(with);
    }
    let most = whole.saturating_add(1).saturating_mul(with.max(1));
    if most <= SHARE {
        return most;
    }
    // What is no pattern is told by the function.
    let Ok(pattern) = Regex::new(&row.text(1)) else { return whole };
    let times = pattern.find_iter(&row.text(0)).count() as u64;
    whole.saturating_add(times.saturating_mul(with))
}

/// Eight bytes for each number; series of other things are as long as their days.
fn series(row: &Row<'_>) -> u64 {
    let (start, stop) = match row.arguments.len() {
        1 => (Some(0), row.integer(0)),
        _ => (row.integer(0), row.integer(1)),
    };
    let step = row.integer(2).unwrap_or(1).unsigned_abs().max(1);
    match (start, stop) {
        (Some(start), Some(stop)) => (start.abs_diff(stop) / step).saturating_mul(8),
        _ => 0,
    }
}

/// The arguments of a call in one row.
struct Row<'a> {
    arguments: &'a [Argument],
    row: usize,
}

/// An argument's column, as texts or whole numbers if it is that.
enum Argument {
    Texts(Arc<dyn Array>),
    Numbers(Arc<dyn Array>),
    /// Bytes that a value takes.
    Other(u64),
}

impl Argument {
    fn new(value: &ColumnarValue) -> Result<Self> {
        let array = match value {
            ColumnarValue::Array(array) => Arc::clone(array),
            ColumnarValue::Scalar(scalar) => scalar.to_array()?,
        };
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Texts(cast(&array, &DataType::LargeUtf8)?)
            }
            kind if kind.is_integer() => Self::Numbers(cast(&array, &DataType::Int64)?),
            _ => {
                let bytes = array.get_array_memory_size() / array.len().max(1);
                Self::Other(u64::try_from(bytes).unwrap_or(u64::MAX))
            }
        })
    }
}

impl Row<'_> {
    /// A constant has one row for all.
    fn place(&self, array: &dyn Array) -> Option<usize> {
        let row = if array.len() == 1 { 0 } else { self.row };
        (row < array.len() && array.is_valid(row)).then_some(row)
    }

    fn text(&self, argument: usize) -> std::borrow::Cow<'_, str> {
        match self.arguments.get(argument) {
            Some(Argument::Texts(texts)) => match self.place(texts.as_ref()) {
                Some(row) => texts.as_string::<i64>().value(row).into(),
                None => "".into(),
            },
            _ => "".into(),
        }
    }

    /// Bytes of a text or of something else.
    fn length(&self, argument: usize) -> u64 {
        match self.arguments.get(argument) {
            Some(Argument::Texts(_)) => self.text(argument).len() as u64,
            Some(Argument::Numbers(_)) => 8,
            Some(Argument::Other(bytes)) => *bytes,
            None => 0,
        }
    }

    fn integer(&self, argument: usize) -> Option<i64> {
        match self.arguments.get(argument)? {
            Argument::Numbers(numbers) => {
                let row = self.place(numbers.as_ref())?;
                Some(numbers.as_primitive::<Int64Type>().value(row))
            }
            Argument::Texts(_) | Argument::Other(_) => None,
        }
    }

    /// A count: nothing for what is below zero.
    fn number(&self, argument: usize) -> u64 {
        u64::try_from(self.integer(argument).unwrap_or(0)).unwrap_or(0)
    }
}

/// Puts bounds on those that `registry` has.
///
/// # Errors
/// When a function cannot be replaced.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, bytes) in FUNCTIONS {
        let Ok(inner) = registry.udf(name) else { continue };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, bytes })))?;
    }
    Ok(())
}

/// A function with a bound.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bytes: Bytes,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.inner.inner().schema_name(arguments)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(arguments)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if matches!(self.name(), "lpad" | "rpad")
            && let Some(length) = call.args.get_mut(1)
        {
            *length = not_negative(length);
        }
        let arguments = call.args.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
        let is_constant = call.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { call.number_rows };
        let mut bytes = 0_u64;
        for row in 0..rows {
            bytes = bytes.saturating_add((self.bytes)(&Row { arguments: &arguments, row }));
            if bytes > MAX_BYTES {
                return Err(DataFusionError::External(Box::new(too_large(self.name()))));
            }
        }
        self.inner.inner().invoke_with_args(call)
    }
}

/// A length below zero is none. DataFusion (55.2) asks for memory for the sum of all lengths, and panics where
/// that is below zero.
fn not_negative(length: &ColumnarValue) -> ColumnarValue {
    match length {
        ColumnarValue::Array(lengths) => match lengths.as_primitive_opt::<Int64Type>() {
            Some(numbers) => {
                let numbers: Int64Array = numbers.unary(|number| number.max(0));
                ColumnarValue::Array(Arc::new(numbers))
            }
            None => length.clone(),
        },
        ColumnarValue::Scalar(ScalarValue::Int64(Some(number))) => {
            ColumnarValue::Scalar(ScalarValue::Int64(Some((*number).max(0))))
        }
        ColumnarValue::Scalar(_) => length.clone(),
    }
}

/// PostgreSQL's error for a value that is too large.
fn too_large(function: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "54000",
        message: "requested length too large".into(),
        detail: Some(format!("{function} would make more than {} MiB.", MAX_BYTES >> 20)),
        hint: None,
    }
}
