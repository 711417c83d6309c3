//! `EXECUTE name [(expression, …)]`: the expressions are computed first and become the values of
//! `$1`, `$2`, ….

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::TryStreamExt;

use super::Command;
use crate::SqlError;
use crate::dialect::{self, Cursor};
use crate::session::{Outcome, Prepared, Session};

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
            Some(arguments) => self.computed(arguments).await?,
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

    /// The values of a list of expressions without tables, each an array of one row.
    async fn computed(&self, list: &str) -> Result<Vec<ArrayRef>, SqlError> {
        let mut statement = dialect::parse_made(&format!("SELECT {list}"))?;
        // Equal expressions are columns of their own here, so each gets a name.
        if let Statement::Query(query) = statement.as_mut()
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            for (at, item) in select.projection.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(expr) = item {
                    let expr = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
                    let alias = Ident::with_quote('"', at.to_string());
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
        }
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

/// The one value of `array` as `wanted`.
fn converted(array: &ArrayRef, wanted: &DataType) -> Result<ScalarValue, SqlError> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    let array = cast_with_options(array, wanted, &options).map_err(DataFusionError::from)?;
    Ok(ScalarValue::try_from_array(&array, 0)?)
}
