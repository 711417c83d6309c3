//! A session: what one client has set, its transaction block, and the running of its statements.
//!
//! The wire has one for each connection; `vigil run` and `vigil sql` have one in process.

mod acting;
mod again;
mod catalog_query;
mod classify;
pub(crate) mod command;
mod constant;
mod current_setting;
mod cursors;
mod discard;
mod drop_if_exists;
mod duplicates;
mod explain;
mod identity;
mod init_plan;
mod joins;
mod kept;
mod literals;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod origins;
mod parameters;
mod prepare;
mod query;
pub(crate) mod settings;
mod slot;
mod state;
mod table_arguments;
mod transaction;
pub(crate) mod undo;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;

pub use self::command::copy::{CopyFormat, CopyOptions, ForceQuote};
pub use self::prepare::Prepared;
pub use self::slot::is_parameter;
pub(crate) use self::slot::is_volatile;
pub use self::transaction::TransactionStatus;

use self::classify::{Scope, SessionStatement};
use self::cursors::Cursors;
use self::objects::Named;
use self::prepare::Action;
use self::settings::Settings;
use self::state::KnownState;
use self::transaction::Transaction;
use self::undo::Undo;
use crate::access::Access;
use crate::activity::Backend;
use crate::channels::{Mailbox, Notification};
use crate::dialect::{self, Statement};
use crate::session::command::channels::Unsaid;
use crate::statement::Answer;
use crate::{Database, Notice, SqlError};

/// What a statement answers.
pub enum Outcome {
    /// Rows, which are computed while they are read. Dropping the stream stops the query.
    Rows {
        /// The columns.
        schema: SchemaRef,
        /// The rows; an error becomes a [`SqlError`] by `From`.
        batches: SendableRecordBatchStream,
        /// PostgreSQL's command tag without the number of rows; see [`Outcome::command_tag`].
        tag: String,
    },
    /// Rows for `COPY … TO STDOUT`, which are computed while they are read.
    Copy {
        /// The columns.
        schema: SchemaRef,
        /// The rows; an error becomes a [`SqlError`] by `From`.
        batches: SendableRecordBatchStream,
        /// How they are to be written.
        options: Arc<CopyOptions>,
    },
    /// Nothing but that it is done.
    Done {
        /// PostgreSQL's command tag, such as `CREATE SOURCE`.
        tag: String,
        /// What the client should know beside that.
        notices: Vec<Notice>,
    },
}

impl Outcome {
    /// The command tag of an answer of `rows` rows: `SELECT 5` and `FETCH 5`, but `SHOW`.
    pub fn command_tag(tag: &str, rows: usize) -> String {
        match tag {
            "SELECT" | "FETCH" | "COPY" => format!("{tag} {rows}"),
            tag => tag.to_owned(),
        }
    }

    /// An answer of one batch.
    fn rows(batch: RecordBatch, tag: &str) -> Self {
        let schema = batch.schema();
        let stream = futures::stream::iter([Ok(batch)]);
        let batches = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream));
        Self::Rows { schema, batches, tag: tag.to_owned() }
    }

    fn done(tag: &str, notices: impl IntoIterator<Item = Notice>) -> Self {
        Self::Done { tag: tag.to_owned(), notices: notices.into_iter().collect() }
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { schema, tag, .. } => {
                f.debug_struct("Rows").field("schema", schema).field("tag", tag).finish()
            }
            Self::Copy { schema, options, .. } => {
                f.debug_struct("Copy").field("schema", schema).field("options", options).finish()
            }
            Self::Done { tag, notices } => {
                f.debug_struct("Done").field("tag", tag).field("notices", notices).finish()
            }
        }
    }
}

/// A client's conversation with a [`Database`].
#[derive(Debug)]
pub struct Session {
    database: Arc<Database>,
    settings: Settings,
    transaction: Transaction,
    /// Prepared statements that the client wants forgotten; `None` is all of them.
    deallocated: Vec<Option<String>>,
    access: Arc<Access>,
    /// Who has logged in; [`Session::access`] may be that of a role of theirs.
    login: Arc<Access>,
    /// The user and the role that it acts as; `None` before it acts as another one.
    acting: Option<(String, Option<String>)>,
    backend: Arc<Backend>,
    /// What each statement's state begins with. It is made when it is first wanted, as most sessions
    /// of a pool do nothing.
    known_state: KnownState,
    /// What `PREPARE` has named.
    prepared: BTreeMap<String, Prepared>,
    /// Names that `PREPARE` and the protocol have given to statements.
    named: BTreeMap<String, Named>,
    cursors: Cursors,
    mailbox: Arc<Mailbox>,
    /// What this transaction block did to views.
    undo: Undo,
    /// What `NOTIFY`, `LISTEN` and `UNLISTEN` said in this transaction block.
    unsaid: Unsaid,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.database.activity().locks().give_back_all(self.backend.pid());
        // A block that is left open was not committed.
        if let Err(error) = self.undo.roll_back(None, &self.database) {
            tracing::warn!(%error, "views of a block that was left open stay");
        }
        if let Err(error) = self.discard_temporary() {
            tracing::warn!(%error, "temporary views stay");
        }
    }
}

impl Session {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        let access = Arc::new(Access::of_owner(Arc::clone(database.roles())));
        let backend = database.activity().register();
        let mailbox = database.channels().mailbox();
        Self {
            database,
            prepared: BTreeMap::new(),
            named: BTreeMap::new(),
            cursors: Cursors::default(),
            mailbox,
            undo: Undo::default(),
            unsaid: Unsaid::default(),
            settings: Settings::default(),
            transaction: Transaction::default(),
            deallocated: Vec::new(),
            login: Arc::clone(&access),
            acting: None,
            access,
            backend,
            known_state: KnownState::default(),
        }
    }

    /// Reads the statements of `sql`; nothing runs.
    ///
    /// # Errors
    /// A syntax error with its position in `sql`, and what our statements refuse.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, SqlError> {
        dialect::parse(sql)
    }

    /// The client has said `sql`, which is read, planned and run from now on.
    pub(crate) fn begins(&self, sql: &str) {
        self.backend.begins(sql, &self.settings.application_name());
    }

    /// Runs a statement without parameters. Rows stream from the answer; an error of theirs comes
    /// with them.
    ///
    /// # Errors
    /// Whatever keeps it from beginning. In a transaction block the error makes the block fail.
    pub async fn execute(&mut self, statement: &Statement) -> Result<Outcome, SqlError> {
        let prepared = self.prepare(statement, &[]).await?;
        let outcome = self.execute_prepared(&prepared, Vec::new()).await;
        outcome.map_err(|error| statement.located(error))
    }

    /// Runs a prepared statement with the values of its parameters, in their order. All tables
    /// are read at one cut, taken now.
    ///
    /// # Errors
    /// Whatever keeps it from beginning. In a transaction block the error makes the block fail.
    pub async fn execute_prepared(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let outcome = self.dispatch(prepared, parameters).await;
        if outcome.is_err() {
            self.fail();
        }
        outcome
    }

    async fn dispatch(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        // The rows of the statement before have been read.
        self.hear_functions();
        self.refuse_in_failed_block(&prepared.action)?;
        self.begins(&prepared.text);
        if let Action::Command(command) = &prepared.action {
            return self.run_command(command).await;
        }
        self.run_action(prepared, parameters).await
    }

    /// Runs what is no command on other statements.
    async fn run_action(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        if prepared.access.as_ref().is_some_and(|access| !Arc::ptr_eq(access, &self.access)) {
            // In the words that make drivers prepare it again.
            return Err(SqlError::Query {
                sqlstate: "0A000",
                message: "cached plan must not change result type".into(),
                detail: Some(
                    "The session acts as another role than when the statement was prepared.".into(),
                ),
                hint: Some("Prepare it again.".into()),
            });
        }
        let newest = self.newest(prepared).await?;
        let prepared = newest.as_deref().unwrap_or(prepared);
        match &prepared.action {
            Action::Own(statement) => {
                self.refuse_in_block(statement.stands_alone())?;
                let tag = statement.tag();
                // One with rows only tells.
                let has_effect = statement.schema().is_none();
                let work = self.own_work(statement)?;
                let (answer, change) =
                    self.database.runtime().run(self.deadline(), Box::pin(work)).await?;
                self.note(change);
                if has_effect {
                    self.transaction.own_statement_ran(&self.settings);
                }
                match answer {
                    Answer::Rows(batch) => Ok(Outcome::rows(batch, tag)),
                    Answer::Done(notices) => Ok(Outcome::done(tag, notices)),
                }
            }
            Action::Command(_) => Err(SqlError::Unsupported {
                what: "a command in a prepared statement".into(),
                hint: None,
            }),
            Action::Declare { declare, plan, described } => {
                self.take_cut();
                self.run_declare(declare, plan.clone(), described, parameters).await
            }
            Action::Copy { options, plan, described } => {
                self.take_cut();
                self.run_copy(options, plan.clone(), described, parameters).await
            }
            Action::Constant { batch } => Ok(Outcome::rows(batch.clone(), "SELECT")),
            Action::Query { plan, tag } => {
                self.take_cut();
                let batches = self.query_again(plan, prepared, parameters).await?;
                let schema = origins::carried(batches.schema(), prepared.schema.as_ref());
                Ok(Outcome::Rows { schema, batches, tag: (*tag).to_owned() })
            }
            Action::Deferred { statement, tag } => {
                self.take_cut();
                let (plan, _) = self.plan(statement.with_values(&parameters)?).await?;
                let batches = self.query(plan, &prepared.schema, parameters).await?;
                let schema = origins::carried(batches.schema(), prepared.schema.as_ref());
                Ok(Outcome::Rows { schema, batches, tag: (*tag).to_owned() })
            }
            Action::Catalog { query, planned } => {
                let Some(schema) = &prepared.schema else {
                    return Err(SqlError::Unsupported { what: "this query".into(), hint: None });
                };
                self.run_catalog(query, planned, schema, parameters).await
            }
            Action::Explain { plan, detail } => {
                self.take_cut();
                let batch = self.explain(plan.clone(), *detail, parameters).await?;
                Ok(Outcome::rows(batch, "EXPLAIN"))
            }
            Action::Session(statement) => self.run_session_statement(statement),
        }
    }

    fn refuse_in_failed_block(&self, action: &Action) -> Result<(), SqlError> {
        let ends = matches!(action, Action::Session(statement) if statement.ends_transaction());
        if self.transaction.status() == TransactionStatus::Failed && !ends {
            return Err(SqlError::FailedTransaction);
        }
        Ok(())
    }

    fn run_session_statement(&mut self, statement: &SessionStatement) -> Result<Outcome, SqlError> {
        use SessionStatement as S;
        if matches!(statement, S::Commit { .. } | S::Rollback { .. }) {
            return self.end_block(statement);
        }
        match statement {
            S::SetRole(name, scope) => return self.set_role(name.as_deref(), *scope),
            S::SetAuthorization(name) => return self.set_authorization(name.as_deref()),
            S::DiscardAll => return self.discard_all(),
            S::DropIfExists(kind, names) => return self.drop_if_exists(*kind, names),
            S::DiscardTemporary => return self.discard_temporary(),
            _ => {}
        }
        let Self { settings, transaction, .. } = self;
        let outcome = match statement {
            S::Set { name, value, scope } => {
                if *scope == Scope::Local
                    && let Err(warning) = transaction.set_local(name, settings)
                {
                    return Ok(Outcome::done("SET", [warning]));
                }
                match value {
                    Some(value) => settings.set(name, value)?,
                    None => settings.reset(name)?,
                }
                Outcome::done("SET", [])
            }
            S::Reset(name) => {
                settings.reset(name)?;
                Outcome::done("RESET", [])
            }
            S::ResetAll => {
                settings.reset_all();
                Outcome::done("RESET", [])
            }
            S::Show(_) | S::ShowAll => Outcome::rows(self.show(statement)?, "SHOW"),
            S::Begin(tag, modes) => {
                let notice = transaction.begin(settings);
                transaction.set_modes(modes, settings)?;
                Outcome::done(tag, notice)
            }
            S::SetTransaction(modes) => {
                if transaction.status() == TransactionStatus::Idle {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    return Ok(Outcome::done("SET", [Notice::warning("25P01", message)]));
                }
                transaction.set_modes(modes, settings)?;
                Outcome::done("SET", [])
            }
            S::SetCharacteristics(modes) => {
                transaction::set_characteristics(modes, settings)?;
                Outcome::done("SET", [])
            }
            // They have been done above.
            S::Commit { .. } | S::Rollback { .. } => Outcome::done("ROLLBACK", []),
            S::SetRole(..)
            | S::SetAuthorization(_)
            | S::DropIfExists(..)
            | S::DiscardAll
            | S::DiscardTemporary => Outcome::done("SET", []),
            S::Savepoint(name) => {
                transaction.savepoint(name, settings)?;
                Outcome::done("SAVEPOINT", [])
            }
            S::Release(name) => {
                let at = transaction.release(name)?;
                self.cursors.release(at);
                self.unsaid.release(at);
                self.undo.release(at);
                Outcome::done("RELEASE", [])
            }
            S::RollbackTo(name) => {
                let at = transaction.rollback_to(name, settings)?;
                self.cursors.rollback_to(at);
                self.unsaid.rollback_to(at);
                self.undo.roll_back(Some(at), &self.database)?;
                self.follow_role();
                Outcome::done("ROLLBACK", [])
            }
            S::Deallocate(name) => {
                match name {
                    Some(name) => {
                        let was_prepared = self.prepared.remove(name).is_some();
                        if self.named.remove(name).is_none() && !was_prepared {
                            return Err(SqlError::Invalid {
                                sqlstate: "26000",
                                message: format!("prepared statement \"{name}\" does not exist"),
                                hint: None,
                                position: None,
                            });
                        }
                    }
                    None => {
                        self.prepared.clear();
                        self.named.clear();
                    }
                }
                self.deallocated.push(name.clone());
                let tag = if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" };
                Outcome::done(tag, [])
            }
            S::Nothing(tag) => Outcome::done(tag, []),
        };
        Ok(outcome)
    }

    /// `COMMIT` and `ROLLBACK`, with what they do to cursors and notifications.
    fn end_block(&mut self, statement: &SessionStatement) -> Result<Outcome, SqlError> {
        let in_block = self.transaction.status() != TransactionStatus::Idle;
        let (commits, chain) = match statement {
            SessionStatement::Commit { chain } => (true, *chain),
            SessionStatement::Rollback { chain } => (false, *chain),
            _ => (false, false),
        };
        if chain && !in_block {
            let what = if commits { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
            return Err(SqlError::NoTransaction { what });
        }
        let settings = &mut self.settings;
        let modes = transaction::modes(settings);
        let (tag, notice) = if commits {
            self.transaction.commit(settings)
        } else {
            ("ROLLBACK", self.transaction.rollback(settings))
        };
        if !in_block && commits {
            self.keeps_string();
        } else if !in_block {
            self.takes_string_back()?;
        } else if tag == "COMMIT" {
            self.cursors.commit();
            self.say();
            self.undo.commit();
            self.leave_local_role();
        } else {
            self.cursors.rollback();
            self.unsaid.clear();
            self.follow_role();
            self.undo.roll_back(None, &self.database)?;
        }
        if chain {
            self.transaction.begin(&self.settings);
            self.transaction.go_on_with(modes, &mut self.settings)?;
        }
        Ok(Outcome::done(tag, notice))
    }

    /// In a transaction block all queries read one cut, that of the first of them.
    fn take_cut(&mut self) {
        self.transaction.take_cut(|| self.database.engine().cut());
    }

    /// The columns of an open cursor, which is a portal for the protocol too.
    pub(crate) fn cursor_schema(&self, name: &str) -> Option<SchemaRef> {
        self.cursors.get(name).ok().map(cursors::OpenCursor::schema)
    }

    /// Where what other sessions say to this one arrives.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The client has given a prepared statement a name in the protocol.
    pub(crate) fn names_statement(&mut self, name: &str, prepared: &Prepared) {
        let named = Named::new(name, Arc::clone(&prepared.text), prepared, false);
        self.named.insert(name.to_owned(), named);
    }

    /// The client has closed a prepared statement.
    pub(crate) fn closes_statement(&mut self, name: &str) {
        self.named.remove(name);
    }

    /// What other sessions have told this one.
    pub(crate) fn take_notifications(&self) -> impl Iterator<Item = Notification> + use<> {
        self.mailbox.take().into_iter()
    }

    /// The answer of `SHOW`.
    fn show(&self, statement: &SessionStatement) -> Result<RecordBatch, SqlError> {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let batch = match statement {
            SessionStatement::Show(name) => {
                let (name, value) = self.settings.show(name)?;
                RecordBatch::try_new(
                    Arc::new(Schema::new(vec![text(&name)])),
                    vec![Arc::new(StringArray::from(vec![value]))],
                )
            }
            _ => {
                let all = self.settings.show_all();
                let column = |of: fn(&(String, String, String)) -> &String| {
                    Arc::new(StringArray::from_iter_values(all.iter().map(of)))
                };
                RecordBatch::try_new(
                    Arc::new(Schema::new(vec![text("name"), text("setting"), text("description")])),
                    vec![column(|row| &row.0), column(|row| &row.1), column(|row| &row.2)],
                )
            }
        };
        Ok(batch.map_err(DataFusionError::from)?)
    }

    /// Where the session stands with its transaction block.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.transaction.status()
    }

    /// Tells the session of an error that it did not see, such as one while rows were read.
    pub fn fail(&mut self) {
        self.backend.take_unsaid();
        self.transaction.fail();
        if let Err(error) = self.takes_string_back() {
            tracing::warn!(%error, "views of a string that failed stay");
        }
    }

    /// `SET name = value` from outside, such as the parameters of a connection's startup.
    ///
    /// # Errors
    /// For an unknown name and for a value that it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.settings.set(name, value)
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// For an unknown name.
    pub fn setting(&self, name: &str) -> Result<String, SqlError> {
        Ok(self.settings.show(name)?.1)
    }

    /// The same number as long as no setting has changed.
    pub(crate) fn settings_generation(&self) -> u64 {
        self.settings.generation()
    }

    /// The settings that a client is told of, with their values.
    pub(crate) fn reported_settings(&self) -> Vec<(&'static str, String)> {
        self.settings.reported()
    }

    /// The names of prepared statements to forget since the last call; `None` is all.
    pub(crate) fn take_deallocated(&mut self) -> Vec<Option<String>> {
        std::mem::take(&mut self.deallocated)
    }

    /// When a statement that begins now has to be done.
    fn deadline(&self) -> Option<Instant> {
        self.settings.statement_timeout().map(|timeout| Instant::now() + timeout)
    }
}
