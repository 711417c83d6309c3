//! Preparing: a statement goes in, its plan, its parameters' types and its columns come out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast;
use tokio::sync::Mutex;

use super::Session;
use super::again::Seen;
use super::classify::{Kind, SessionStatement, classify};
use super::command::Command;
use super::command::copy::CopyOptions;
use super::command::declare::Declare;
use super::explain::{self, Detail};
use super::kept::Kept;
use super::table_arguments::Deferred;
use super::{
    constant, current_setting, duplicates, literals, names, origins, parameters, table_arguments,
};
use crate::SqlError;
use crate::access::Access;
use crate::dialect::{Statement, StatementKind, with_deep_stack};
use crate::introspection::CatalogQuery;
use crate::statement::OwnStatement;
use crate::views::ViewMap;

/// A statement that is ready to run, any number of times.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The statement as written.
    pub(super) text: Arc<str>,
    pub(super) action: Action,
    pub(super) parameters: Vec<Option<FieldRef>>,
    pub(super) schema: Option<SchemaRef>,
    /// Whose rights its functions have; `None` where it has no plan.
    pub(super) access: Option<Arc<Access>>,
    /// What the client has said that texts among its parameters are.
    pub(super) forms: Arc<[Option<&'static str>]>,
    /// The views that there were; `None` where it has no plan.
    pub(super) seen: Option<Arc<Seen>>,
    /// What is remembered of its runs; locked while one of them uses it.
    pub(super) kept: Arc<Mutex<Kept>>,
}

/// What running it means.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Own(Arc<dyn OwnStatement>),
    Query {
        plan: LogicalPlan,
        tag: &'static str,
    },
    /// A query whose parameters decide what a function in its `FROM` gives: planned at each run.
    Deferred {
        statement: Arc<Deferred>,
        tag: &'static str,
    },
    /// A query that always has this answer.
    Constant {
        batch: RecordBatch,
    },
    Explain {
        plan: LogicalPlan,
        detail: Detail,
    },
    Session(SessionStatement),
    Command(Command),
    Declare {
        declare: Arc<Declare>,
        plan: LogicalPlan,
        described: SchemaRef,
    },
    Copy {
        options: Arc<CopyOptions>,
        plan: LogicalPlan,
        described: SchemaRef,
    },
    /// A query of the catalog, and what DataFusion may plan if it is needed after all.
    Catalog {
        query: CatalogQuery,
        planned: Box<ast::Statement>,
    },
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

    pub(super) fn new(
        action: Action,
        parameters: Vec<Option<FieldRef>>,
        access: Option<Arc<Access>>,
    ) -> Self {
        Self {
            text: Arc::default(),
            action,
            parameters,
            schema: None,
            access,
            forms: Arc::default(),
            seen: None,
            kept: Arc::default(),
        }
    }

    /// A statement that will be planned again from its text when a view has become another than it is among
    /// `views`.
    pub(super) fn written(mut self, text: &str, views: Arc<ViewMap>) -> Self {
        self.text = text.into();
        self.seen = self.access.is_some().then(|| Arc::new(Seen::new(views)));
        self
    }

    fn without_plan(action: Action, schema: Option<SchemaRef>) -> Self {
        Self { schema, ..Self::new(action, Vec::new(), None) }
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
        prepared.map_err(|error| statement.located(error))
    }

    pub(super) async fn try_prepare(
        &self,
        statement: &Statement,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let views = self.database.views().all();
        let (forms, text) = (statement.forms().into(), statement.text());
        let kind = match statement.kind() {
            StatementKind::Own(statement) => Kind::Own(Arc::clone(statement)),
            StatementKind::Command(command) => Kind::Command(command.clone()),
            StatementKind::Ordinary(statement) => with_deep_stack(|| classify(statement))?,
            StatementKind::Catalog { written, planned } => {
                let kind = with_deep_stack(|| classify(planned))?;
                let prepared = self.prepare_catalog(written, kind, declared).await?;
                return Ok(Prepared { forms, ..prepared.written(text, views) });
            }
        };
        let prepared = self.prepare_kind(kind, declared).await?;
        Ok(Prepared { forms, ..prepared.written(text, views) })
    }

    /// Whose rights what is planned now has.
    pub(super) fn known_access(&self) -> Option<Arc<Access>> {
        Some(Arc::clone(&self.access))
    }

    pub(super) async fn prepare_kind(
        &self,
        kind: Kind,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        match kind {
            Kind::Command(command) => {
                self.refuse_in_failed_transaction()?;
                self.prepare_command(command, declared).await
            }
            Kind::Own(statement) => {
                let action = Action::Own(Arc::clone(&statement));
                self.refuse_in_failed_block(&action)?;
                Ok(Prepared::without_plan(action, statement.schema()))
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
                Ok(Prepared::without_plan(action, schema))
            }
            Kind::Query(statement, tag) => {
                let integers = with_deep_stack(|| literals::places(&statement));
                let mut prepared = self.prepare_query(statement, tag, declared).await?;
                let schema = prepared.schema.take();
                prepared.schema = schema.map(|schema| literals::as_integers(schema, &integers));
                self.worked_out(prepared)
            }
            Kind::Explain(statement) => {
                self.refuse_in_failed_transaction()?;
                let (mut statement, detail) = explain::normalise(*statement)?;
                with_deep_stack(|| parameters::give_types(&mut statement, declared));
                let (plan, _) = self.plan(statement).await?;
                let parameters = parameters::types(&plan, declared)?;
                let action = Action::Explain { plan, detail };
                let schema = Some(explain::schema(detail));
                Ok(Prepared { schema, ..Prepared::new(action, parameters, self.known_access()) })
            }
        }
    }

    /// The OID of what a plan calls `table`.
    fn oid_of(&self, table: &TableReference) -> Option<i32> {
        let searched = self.settings.default_schema();
        self.database.oid_of(table.schema().unwrap_or(&searched), table.table())
    }

    /// The same with its answer, if that is always the same.
    fn worked_out(&self, mut prepared: Prepared) -> Result<Prepared, SqlError> {
        if let (Action::Query { plan, .. }, Some(schema), []) =
            (&prepared.action, &prepared.schema, prepared.parameters.as_slice())
            && let Some(batch) = with_deep_stack(|| constant::answer(&self.state(), plan, schema))?
        {
            prepared.action = Action::Constant { batch };
        }
        Ok(prepared)
    }

    pub(super) async fn prepare_query(
        &self,
        mut statement: Box<ast::Statement>,
        tag: &'static str,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        self.refuse_in_failed_transaction()?;
        let written = with_deep_stack(|| {
            let written = statement.clone();
            parameters::give_types(&mut statement, declared);
            names::order_by_positions(&mut statement);
            names::order_by_expressions(&mut statement);
            duplicates::tell_apart(&mut statement);
            current_setting::fill_in(&mut statement, &self.settings).map(|()| written)
        })?;
        let arguments = with_deep_stack(|| table_arguments::types(&mut statement));
        let deferred =
            (!arguments.is_empty()).then(|| with_deep_stack(|| Deferred::new(statement.clone())));
        if deferred.is_some() {
            with_deep_stack(|| table_arguments::put_stand_ins(&mut statement))?;
        }
        let mut spare = with_deep_stack(|| statement.clone());
        let planned = match self.plan(*statement).await {
            // DataFusion leaves casts and the like out of a column's name, so others may be called alike, and
            // it names a sub-query like its column, which may be the name of another one beside it.
            Err(error) if matches!(error.sqlstate(), "42000" | "42701" | "42702" | "42712") => {
                with_deep_stack(|| duplicates::name_all(&mut spare));
                self.plan(*spare).await.map_err(|_| error)
            }
            planned => {
                with_deep_stack(|| drop(spare));
                planned
            }
        };
        let (plan, schema) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                with_deep_stack(|| drop(written));
                return Err(error);
            }
        };
        let schema = names::rename(&written, schema);
        let schema = origins::told(&plan, schema, |table| self.oid_of(table));
        let mut parameters = with_deep_stack(|| {
            drop(written);
            parameters::types(&plan, declared)
        })?;
        table_arguments::add_types(&mut parameters, &arguments);
        let action = match deferred {
            Some(statement) => Action::Deferred { statement: Arc::new(statement), tag },
            None => Action::Query { plan, tag },
        };
        let schema = Some(schema);
        Ok(Prepared { schema, ..Prepared::new(action, parameters, self.known_access()) })
    }

    /// Plans the query within a command, where there is one.
    async fn prepare_command(
        &self,
        command: Command,
        declared: &[Option<DataType>],
    ) -> Result<Prepared, SqlError> {
        let query = match &command {
            Command::Declare(declare) => &declare.query,
            Command::Copy(copy) => &copy.query,
            other => {
                let schema = self.command_schema(other)?;
                return Ok(Prepared::without_plan(Action::Command(command), schema));
            }
        };
        let Kind::Query(query, _) = classify(query)? else {
            return Err(SqlError::Unsupported {
                what: "this statement where a query is wanted".into(),
                hint: Some("Write SELECT or VALUES.".into()),
            });
        };
        let integers = with_deep_stack(|| literals::places(&query));
        let planned = self.prepare_query(query, "SELECT", declared).await?;
        let (Action::Query { plan, .. }, Some(described)) = (planned.action, planned.schema) else {
            return Err(SqlError::Unsupported { what: "this query".into(), hint: None });
        };
        let described = literals::as_integers(described, &integers);
        let action = match command {
            Command::Copy(copy) => {
                Action::Copy { options: Arc::new(copy.options), plan, described }
            }
            Command::Declare(declare) => {
                Action::Declare { declare: Arc::new(declare), plan, described }
            }
            other => Action::Command(other),
        };
        Ok(Prepared::new(action, planned.parameters, self.known_access()))
    }
}
