//! Queries of the catalog: answered by `introspection`, or by DataFusion where that has to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;

use super::classify::Kind;
use super::prepare::{Action, Prepared};
use super::{Outcome, Session};
use crate::SqlError;
use crate::dialect::with_deep_stack;
use crate::introspection::{CatalogQuery, End, Stop};
use crate::planner::SessionFunctions;

impl Session {
    /// Prepares a statement that names the catalog: `written` as the client has it, `kind` as
    /// DataFusion may plan it.
    pub(super) async fn prepare_catalog(
        &self,
        written: &ast::Statement,
        kind: Kind,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let query = with_deep_stack(|| CatalogQuery::of(written, declared));
        let (Kind::Query(planned, _), Some(query)) = (&kind, query) else {
            return self.prepare_kind(kind, declared).await;
        };
        self.refuse_in_failed_transaction()?;
        let planned = planned.clone();
        // Calls of functions alone are DataFusion's as long as it knows them.
        if !query.has_tables()
            && let Ok(prepared) = self.prepare_kind(kind.clone(), declared).await
        {
            return Ok(prepared);
        }
        match self.described(&query).await {
            Ok((schema, parameters)) => {
                let (action, schema) = (Action::Catalog { query, planned }, Some(schema));
                Ok(Prepared { schema, ..Prepared::new(action, parameters, self.known_access()) })
            }
            Err(stop) => {
                if let Stop::Unsupported(what) = &stop {
                    tracing::debug!(what, "a query of the catalog is left to DataFusion");
                }
                let otherwise = self.prepare_kind(kind, declared).await;
                match (otherwise, stop) {
                    (Err(_), Stop::Error(error)) => Err(error),
                    // DataFusion's error is about the statement as it was written anew for it.
                    (Err(_), Stop::Unsupported(what)) if what.starts_with("function ") => {
                        Err(self.unknown_function(what))
                    }
                    (otherwise, _) => otherwise,
                }
            }
        }
    }

    fn unknown_function(&self, what: String) -> SqlError {
        let name = what.trim_start_matches("function ");
        if SessionFunctions::of(&self.state()).is_ok_and(|functions| functions.has(name)) {
            let what = format!("{what} in a query of the catalog");
            return SqlError::Unsupported { what, hint: None };
        }
        SqlError::Invalid {
            sqlstate: "42883",
            message: format!("{what} does not exist"),
            hint: Some("Functions are in the SQL reference, and in psql's \\df.".into()),
            position: None,
        }
    }

    async fn described(
        &self,
        query: &CatalogQuery,
    ) -> Result<(SchemaRef, Vec<Option<FieldRef>>), Stop> {
        let (mut state, settings, query) = (self.state(), self.settings.clone(), query.clone());
        state.config_mut().set_extension(Arc::new(self.objects()));
        let work = async move {
            // A stop is an answer here, not a failure of the statement.
            Ok(in_deep_stack(query.describe(&state, &settings)).await)
        };
        self.database.runtime().run(self.deadline(), Box::pin(work)).await?
    }

    /// Runs a query of the catalog.
    pub(super) async fn run_catalog(
        &mut self,
        query: &CatalogQuery,
        planned: &ast::Statement,
        schema: &SchemaRef,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let answered = {
            let (mut state, settings) = (self.state_at_cut(), self.settings.clone());
            state.config_mut().set_extension(Arc::new(self.objects()));
            let (query, schema, values) = (query.clone(), Arc::clone(schema), parameters.clone());
            let end = End { deadline: self.deadline(), ..End::default() };
            let deadline = end.deadline;
            let _canceled = CancelOnDrop(Arc::clone(&end.is_canceled));
            let work = async move {
                let answer = query.answer(&state, &settings, &values, &schema, end);
                Ok(in_deep_stack(answer).await)
            };
            self.database.runtime().run(deadline, Box::pin(work)).await?
        };
        match answered {
            Ok(answered) => {
                for (name, value, is_local) in answered.effects {
                    self.set_by_function(&name, &value, is_local)?;
                }
                Ok(Outcome::rows(answered.batch, "SELECT"))
            }
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Unsupported(what)) => {
                tracing::debug!(what, "a query of the catalog is left to DataFusion");
                let prepared = self.prepare_query(Box::new(planned.clone()), "SELECT", &[]).await;
                let unsupported = SqlError::Unsupported { what, hint: None };
                let Ok(Prepared { action: Action::Query { plan, .. }, .. }) = prepared else {
                    return Err(unsupported);
                };
                let described = Some(Arc::clone(schema));
                let batches = self.query(plan, &described, parameters).await?;
                let schema = batches.schema();
                Ok(Outcome::Rows { schema, batches, tag: "SELECT".into() })
            }
        }
    }

    /// `set_config(name, value, is_local)`.
    fn set_by_function(&mut self, name: &str, value: &str, is_local: bool) -> Result<(), SqlError> {
        // Outside of a block what is local has no effect.
        if is_local && self.transaction.set_local(name, &self.settings).is_err() {
            return Ok(());
        }
        self.settings.set(name, value)
    }
}

/// Tells an evaluation that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls `work` on a stack that is large enough for deep statements.
pub(super) async fn in_deep_stack<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| with_deep_stack(|| work.as_mut().poll(context))).await
}
