//! The arguments of table functions: constants, read one by one, each refused with a hint.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use crate::SqlError;

/// SQLSTATE 22023.
pub(super) fn refused(message: impl Into<String>, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Invalid {
        sqlstate: "22023",
        message: message.into(),
        hint: Some(hint.to_owned()),
        position: None,
    }))
}

/// The arguments of a call.
pub(super) struct Arguments<'a> {
    pub(super) function: &'static str,
    /// How it is called, for a hint.
    pub(super) call: &'static str,
    pub(super) values: &'a [Expr],
}

impl<'a> Arguments<'a> {
    /// Refuses more than `most` arguments.
    pub(super) fn at_most(&self, most: usize) -> Result<()> {
        if self.values.len() <= most {
            return Ok(());
        }
        let message = format!("{}() takes at most {most} arguments", self.function);
        Err(refused(message, self.call))
    }

    /// The constant at a place; `None` where there is none and where it is NULL.
    pub(super) fn constant(&self, at: usize, name: &str) -> Result<Option<&'a ScalarValue>> {
        match self.values.get(at) {
            None => Ok(None),
            Some(Expr::Literal(value, _)) => Ok(Some(value).filter(|value| !value.is_null())),
            Some(_) => Err(refused(
                format!("{name} of {}() must be a constant", self.function),
                "Write it as a literal.",
            )),
        }
    }

    /// A text.
    pub(super) fn text(&self, at: usize, name: &str) -> Result<Option<&'a str>> {
        match self.constant(at, name)? {
            None => Ok(None),
            Some(value) => match value.try_as_str().flatten() {
                Some(text) => Ok(Some(text)),
                None => {
                    let message = format!("{name} of {}() must be a text", self.function);
                    Err(refused(message, self.call))
                }
            },
        }
    }

    /// A text that has to be there.
    pub(super) fn needed_text(&self, at: usize, name: &str) -> Result<&'a str> {
        self.text(at, name)?
            .ok_or_else(|| refused(format!("{}() needs {name}", self.function), self.call))
    }

    /// The least cosine similarity; `None` where there is none and where it is NULL.
    pub(super) fn similarity(&self, at: usize) -> Result<Option<f64>> {
        let Some(value) = self.constant(at, "the similarity threshold")? else { return Ok(None) };
        match value.cast_to(&DataType::Float64)? {
            ScalarValue::Float64(Some(value)) if (-1.0..=1.0).contains(&value) => Ok(Some(value)),
            _ => Err(refused(
                "the similarity threshold is out of range",
                "It lies between -1 and 1.",
            )),
        }
    }

    /// How many rows are wanted, from 1 to `most`.
    pub(super) fn rows(&self, at: usize, default: usize, most: usize) -> Result<usize> {
        match self.constant(at, "k")? {
            None => Ok(default),
            Some(value) => whole(value)
                .and_then(|rows| usize::try_from(rows).ok())
                .filter(|rows| (1..=most).contains(rows))
                .ok_or_else(|| {
                    refused(
                        format!("{}() cannot give {value} rows", self.function),
                        "It gives from 1 to 100 rows; ORDER BY embedding <=> embed(…) LIMIT n gives any number.",
                    )
                }),
        }
    }
}

/// A whole number of any width, as in `2::int`.
pub(super) fn whole(value: &ScalarValue) -> Option<i64> {
    if !value.data_type().is_integer() {
        return None;
    }
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}
