//! Preparing: a statement goes in, its plan, its parameters' types and its columns come out.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::logical_expr::LogicalPlan;

use super::Session;
use super::classify::{Kind, SessionStatement, classify};
use super::explain::{self, Detail};
use super::{names, parameters};
use crate::SqlError;
use crate::dialect::{Statement, StatementKind, with_deep_stack};
use crate::statement::OwnStatement;

/// A statement that is ready to run, any number of times.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The statement as written.
    pub(super) text: Arc<str>,
    pub(super) action: Action,
    pub(super) parameters: Vec<Option<FieldRef>>,
    pub(super) schema: Option<SchemaRef>,
}

/// What running it means.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Own(Arc<dyn OwnStatement>),
    Query { plan: LogicalPlan, tag: &'static str },
    Explain { plan: LogicalPlan, detail: Detail },
    Session(SessionStatement),
}

impl Prepared {
    /// The types of `$1`, `$2`, …; `None` where the statement does not tell.
    pub fn parameters(&self) -> &[Option<FieldRef>] {
        &self.parameters
    }

    /// The columns of the answer; `None` when it has none.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    fn without_plan(text: &str, action: Action, schema: Option<SchemaRef>) -> Self {
        Self { text: text.into(), action, parameters: Vec::new(), schema }
    }
}

impl Session {
    /// Plans a statement. `declared` are the types that the client gives to `$1`, `$2`, …, as far
    /// as it gives them.
    ///
    /// # Errors
    /// For names that do not exist, types that do not fit and statements that are refused. In a
    /// transaction block the error makes the block fail.
    pub async fn prepare(
        &mut self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let prepared = self.try_prepare(statement, declared).await;
        if prepared.is_err() {
            self.fail();
        }
        prepared
    }

    async fn try_prepare(
        &self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let text = statement.text();
        let kind = match statement.kind() {
            StatementKind::Own(statement) => Kind::Own(Arc::clone(statement)),
            StatementKind::Ordinary(statement) => with_deep_stack(|| classify(statement))?,
        };
        match kind {
            Kind::Own(statement) => {
                let action = Action::Own(Arc::clone(&statement));
                self.refuse_in_failed_block(&action)?;
                Ok(Prepared::without_plan(text, action, statement.schema()))
            }
            Kind::Session(statement) => {
                let schema = match &statement {
                    SessionStatement::Show(_) | SessionStatement::ShowAll => {
                        Some(self.show(&statement)?.schema())
                    }
                    _ => None,
                };
                let action = Action::Session(statement);
                self.refuse_in_failed_block(&action)?;
                Ok(Prepared::without_plan(text, action, schema))
            }
            Kind::Query(mut statement, tag) => {
                self.refuse_in_failed_transaction()?;
                let written = with_deep_stack(|| {
                    let written = statement.clone();
                    parameters::give_types(&mut statement, declared);
                    written
                });
                let (plan, schema) = self.plan(*statement).await?;
                let schema = names::rename(&written, schema);
                let parameters = with_deep_stack(|| {
                    drop(written);
                    parameters::types(&plan, declared)
                })?;
                let action = Action::Query { plan, tag };
                Ok(Prepared { text: text.into(), action, parameters, schema: Some(schema) })
            }
            Kind::Explain(statement) => {
                self.refuse_in_failed_transaction()?;
                let (mut statement, detail) = explain::normalise(*statement)?;
                with_deep_stack(|| parameters::give_types(&mut statement, declared));
                let (plan, _) = self.plan(statement).await?;
                let parameters = parameters::types(&plan, declared)?;
                let action = Action::Explain { plan, detail };
                Ok(Prepared {
                    text: text.into(),
                    action,
                    parameters,
                    schema: Some(explain::schema()),
                })
            }
        }
    }
}
