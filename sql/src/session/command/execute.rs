//! `EXECUTE name [(expression, …)]`: the expressions are computed first and become the values of
//! `$1`, `$2`, ….

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::util::display::FormatOptions;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement, Value};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::TryStreamExt;
use vigil_udfs::{VECTOR_TAG, is_halfvec};

use super::Command;
use crate::SqlError;
use crate::dialect::{self, Cursor};
use crate::session::{Outcome, Prepared, Session, parameters};

/// The statement.
#[derive(Clone, Debug)]
pub(crate) struct Execute {
    pub(crate) name: String,
    /// What was written between the parentheses.
    arguments: Option<String>,
}

pub(super) fn parse(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let name = cursor.identifier()?;
    let arguments = if cursor.sees_sign(&Token::LParen) {
        let arguments = cursor.parenthesised()?;
        Some(cursor.text_of(arguments).to_owned())
    } else {
        None
    };
    Ok(Command::Execute(Execute { name, arguments }))
}

impl Session {
    /// A statement that `PREPARE` has named.
    pub(in crate::session) fn find_prepared(&self, name: &str) -> Result<&Prepared, SqlError> {
        self.prepared.get(name).ok_or_else(|| SqlError::Invalid {
            sqlstate: "26000",
            message: format!("prepared statement \"{name}\" does not exist"),
            hint: None,
            position: None,
        })
    }

    pub(super) async fn run_execute(&mut self, execute: &Execute) -> Result<Outcome, SqlError> {
        let prepared = self.find_prepared(&execute.name)?.clone();
        let values = match &execute.arguments {
            Some(arguments) => self.computed(arguments, &prepared.parameters).await?,
            None => Vec::new(),
        };
        let wanted = prepared.parameters.len();
        if values.len() != wanted {
            return Err(SqlError::Query {
                sqlstate: "42601",
                message: format!(
                    "wrong number of parameters for prepared statement \"{}\"",
                    execute.name
                ),
                detail: Some(format!("Expected {wanted} parameters but got {}.", values.len())),
                hint: None,
            });
        }
        let values = values
            .into_iter()
            .zip(&prepared.parameters)
            .map(|(value, parameter)| {
                let wanted = parameter.as_ref().map_or(&DataType::Utf8, |field| field.data_type());
                converted(&value, wanted)
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        self.run_action(&prepared, values).await
    }

    /// The values of a list of expressions without tables, each an array of one row. A literal is read
    /// as its parameter's type, as PostgreSQL does: `'[1,2]'` is a vector and `'{1,2}'` an array there.
    async fn computed(
        &self,
        list: &str,
        parameters: &[Option<FieldRef>],
    ) -> Result<Vec<ArrayRef>, SqlError> {
        let statement = dialect::parse_made(&format!("SELECT {list}"))?;
        let mut columns = Vec::new();
        if let Statement::Query(query) = statement.as_ref()
            && let SetExpr::Select(select) = query.body.as_ref()
        {
            for (at, item) in select.projection.iter().enumerate() {
                let wanted = parameters.get(at).and_then(Option::as_ref);
                let value = match item {
                    SelectItem::UnnamedExpr(expr) if is_text(expr) => {
                        match wanted.and_then(|field| type_of_parameter(field)) {
                            Some(name) => format!("CAST({expr} AS {name})"),
                            None => expr.to_string(),
                        }
                    }
                    SelectItem::UnnamedExpr(expr) => expr.to_string(),
                    other => other.to_string(),
                };
                // Equal expressions are columns of their own here, so each gets a name.
                columns.push(format!("{value} AS \"{at}\""));
            }
        }
        let statement = dialect::parse_made(&format!("SELECT {}", columns.join(", ")))?;
        let (plan, schema) = self.plan(*statement).await?;
        let stream = self.query(plan, &Some(schema), Vec::new()).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let first = batches.into_iter().find(|batch| batch.num_rows() == 1);
        first.map(|batch| batch.columns().to_vec()).ok_or_else(|| SqlError::Invalid {
            sqlstate: "42601",
            message: "the arguments of EXECUTE are not one row of values".into(),
            hint: None,
            position: None,
        })
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(
        value.value,
        Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_)
    ))
}

/// Whether a field's values are of the type `vector`.
pub(super) fn is_vector(field: &Field) -> bool {
    !is_halfvec(field.data_type()) && field.metadata().contains_key(VECTOR_TAG.0)
}

/// SQL's name of a parameter's type, as far as a literal is read otherwise for it.
fn type_of_parameter(field: &Field) -> Option<String> {
    if is_vector(field) {
        return Some("vector".into());
    }
    parameters::sql_type(field.data_type()).map(|data_type| data_type.to_string())
}

/// The one value of `array` as `wanted`.
fn converted(array: &ArrayRef, wanted: &DataType) -> Result<ScalarValue, SqlError> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    let array = cast_with_options(array, wanted, &options).map_err(DataFusionError::from)?;
    Ok(ScalarValue::try_from_array(&array, 0)?)
}
