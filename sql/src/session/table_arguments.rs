//! Parameters among the arguments of a function in `FROM`, as in `vector_search('captions', $1)`.
//!
//! What such a function gives is planned from the values of its arguments. So a statement with
//! such parameters is planned when it is prepared, with stand-ins for them, which tells its columns,
//! and again each time that it runs, with the values.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, ObjectName, TableFactor, Value, VisitMut, VisitorMut,
};

use super::parameters::number;
use crate::SqlError;
use crate::dialect::with_deep_stack;

/// The types of the parameters among a statement's table functions' arguments, by number.
pub(super) fn types(statement: &mut ast::Statement) -> BTreeMap<usize, DataType> {
    let mut types = BTreeMap::new();
    let _ = each(statement, &mut |function, at, expr| {
        if let (Some(number), Some(data_type)) = (parameter(expr), type_of(function, at)) {
            types.insert(number, data_type);
        }
        Ok(())
    });
    types
}

/// Puts something of the right type in the place of those parameters.
///
/// # Errors
/// None that is known.
pub(super) fn put_stand_ins(statement: &mut ast::Statement) -> Result<(), SqlError> {
    each(statement, &mut |function, at, expr| {
        if parameter(expr).is_some() {
            *expr = literal(match type_of(function, at) {
                Some(DataType::Utf8) => ScalarValue::from("x"),
                Some(DataType::Float64) => ScalarValue::from(0.5),
                Some(_) => ScalarValue::from(1_i64),
                None => return Ok(()),
            })?;
        }
        Ok(())
    })
}

/// A statement that is planned each time that it runs.
#[derive(Debug)]
pub(super) struct Deferred(Option<Box<ast::Statement>>);

/// It may be deeper than the stack of whoever lets it go.
impl Drop for Deferred {
    fn drop(&mut self) {
        with_deep_stack(|| drop(self.0.take()));
    }
}

impl Deferred {
    pub(super) fn new(statement: Box<ast::Statement>) -> Self {
        Self(Some(statement))
    }

    /// The statement with values in the place of its table functions' parameters.
    ///
    /// # Errors
    /// SQLSTATE 42P02 for a parameter without a value, 22023 for a value that cannot be written.
    pub(super) fn with_values(&self, values: &[ScalarValue]) -> Result<ast::Statement, SqlError> {
        let statement = self.0.as_deref().ok_or(SqlError::Canceled)?;
        with_deep_stack(|| put_values(statement.clone(), values))
    }
}

fn put_values(
    mut statement: ast::Statement,
    values: &[ScalarValue],
) -> Result<ast::Statement, SqlError> {
    each(&mut statement, &mut |function, at, expr| {
        let Some(number) = parameter(expr) else { return Ok(()) };
        if type_of(function, at).is_none() {
            return Ok(());
        }
        let value = values.get(number - 1).ok_or_else(|| SqlError::Invalid {
            sqlstate: "42P02",
            message: format!("there is no parameter ${number}"),
            hint: Some("Give a value for each parameter of the statement.".into()),
            position: None,
        })?;
        *expr = literal(value.clone())?;
        Ok(())
    })?;
    Ok(statement)
}

/// The parameter's types together with those that a plan knows.
pub(super) fn add_types(known: &mut Vec<Option<FieldRef>>, types: &BTreeMap<usize, DataType>) {
    for (number, data_type) in types {
        if known.len() < *number {
            known.resize(*number, None);
        }
        let field = || Arc::new(Field::new(format!("${number}"), data_type.clone(), true));
        known[number - 1].get_or_insert_with(field);
    }
}

/// The type of an argument that may be a parameter. What names a table or a metric decides the
/// columns or the operator, and has to be written out.
fn type_of(function: &str, at: usize) -> Option<DataType> {
    let types: &[Option<DataType>] = match function {
        "vector_search" => {
            &[None, Some(DataType::Utf8), Some(DataType::Int64), Some(DataType::Float64), None]
        }
        "hybrid_search" => &[None, Some(DataType::Utf8), Some(DataType::Int64)],
        "similar_tracks" => &[
            Some(DataType::Utf8),
            Some(DataType::Int64),
            Some(DataType::Int64),
            Some(DataType::Float64),
        ],
        "generate_series" => &[Some(DataType::Int64), Some(DataType::Int64), Some(DataType::Int64)],
        _ => &[],
    };
    types.get(at).cloned().flatten()
}

fn parameter(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => number(name),
            _ => None,
        },
        // A cast to what it is anyway.
        Expr::Cast { expr, .. } | Expr::Nested(expr) => parameter(expr),
        _ => None,
    }
}

fn literal(value: ScalarValue) -> Result<Expr, SqlError> {
    let value = if value.is_null() {
        Value::Null
    } else if let Some(text) = value.try_as_str().flatten() {
        Value::SingleQuotedString(text.to_owned())
    } else if value.data_type().is_numeric() {
        Value::Number(value.to_string(), false)
    } else {
        return Err(SqlError::Invalid {
            sqlstate: "22023",
            message: "an argument of a function in FROM is a text or a number".into(),
            hint: None,
            position: None,
        });
    };
    Ok(Expr::Value(value.into()))
}

type Visit<'a> = &'a mut dyn FnMut(&str, usize, &mut Expr) -> Result<(), SqlError>;

/// Calls `visit` with the function's name, the place and the expression of each argument.
fn each(statement: &mut ast::Statement, visit: Visit<'_>) -> Result<(), SqlError> {
    match statement.visit(&mut Visitor { visit }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Visitor<'a> {
    visit: Visit<'a>,
}

impl VisitorMut for Visitor<'_> {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        let (name, arguments) = match factor {
            TableFactor::Table { name, args: Some(arguments), .. } => (name, &mut arguments.args),
            TableFactor::Function { name, args, .. } => (name, args),
            _ => return ControlFlow::Continue(()),
        };
        let function = last_name(name);
        for (at, argument) in arguments.iter_mut().enumerate() {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
                && let Err(error) = (self.visit)(&function, at, expr)
            {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

fn last_name(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}
