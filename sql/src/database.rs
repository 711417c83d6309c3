//! The database: one engine, its catalog and functions, and the threads that statements run on.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::common::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::access::Access;
use crate::activity::Activity;
use crate::catalog::system::SYSTEM_SCHEMA;
use crate::catalog::{PublicSchema, SystemSchema, pg};
use crate::channels::Channels;
use crate::comments::Comments;
use crate::interrupt::{Interrupts, analyzer_rules, optimizer_rules};
use crate::intervals::IntervalPlanner;
use crate::memory::{Memory, QueryLimits};
use crate::nullable::NullableSubqueries;
use crate::overflow::CheckedArithmetic;
use crate::planner::Functions;
use crate::roles::Roles;
use crate::runtime::QueryRuntime;
use crate::vector_unions::VectorUnions;
use crate::views::Views;
use crate::{
    Engine, Session, SqlError, copies, functions, guarded, input_order, lateral, lists,
    model_columns,
};

/// The name of the one database.
pub const DATABASE: &str = "vigil";

/// The schema of the standard tables, and of names without schema.
pub const DEFAULT_SCHEMA: &str = "public";

/// What the names of DataFusion's rules begin with that move conditions in physical plans.
const FILTER_PUSHDOWN: &str = "FilterPushdown";

/// A rule for physical plans.
type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rows in a batch, DataFusion's own default.
const BATCH_SIZE: usize = 8192;

/// How a database is to be run.
#[derive(Clone, Debug, Default)]
pub struct DatabaseOptions {
    /// The file that roles are kept in, and comments and views beside it; without one they live as long as
    /// the database.
    pub roles_file: Option<PathBuf>,
    /// What queries may use.
    pub limits: QueryLimits,
}

/// An engine with SQL in front of it. Sessions share it.
#[derive(Debug)]
pub struct Database {
    engine: Arc<dyn Engine>,
    roles: Arc<Roles>,
    activity: Arc<Activity>,
    comments: Arc<Comments>,
    views: Arc<Views>,
    memory: Memory,
    max_rows: usize,
    /// The state that each session begins with; it has no functions.
    base: SessionState,
    /// The functions that all sessions have.
    functions: Arc<Functions>,
    /// Functions that each session has for itself.
    of_session: pg::OfSession,
    runtime: QueryRuntime,
    channels: Channels,
}

impl Database {
    /// Puts SQL in front of `engine` and starts the threads that queries run on, one for each
    /// core.
    ///
    /// # Errors
    /// When a thread cannot be started or the catalog cannot be set up.
    pub fn new(engine: Arc<dyn Engine>) -> Result<Arc<Self>, SqlError> {
        Self::open(engine, &DatabaseOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// Also when the file of the roles cannot be read.
    pub fn open(engine: Arc<dyn Engine>, options: &DatabaseOptions) -> Result<Arc<Self>, SqlError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = QueryRuntime::new(cores).map_err(|error| SqlError::Query {
            sqlstate: "53000",
            message: "the query threads could not be started".into(),
            detail: Some(error.to_string()),
            hint: None,
        })?;
        let activity = Arc::new(Activity::default());
        let roles = Arc::new(Roles::open(options.roles_file.as_deref())?);
        let comments = Arc::new(Comments::open(options.roles_file.as_deref())?);
        let views = Arc::new(Views::open(options.roles_file.as_deref())?);
        let kept = Kept { roles: &roles, comments: &comments, views: &views };
        let (state, of_session) = base_state(&engine, &activity, &kept, cores)?;
        let (functions, base) = Functions::taken_from(state);
        let memory = Memory::new(&options.limits)?;
        let max_rows = options.limits.max_rows;
        let channels = Channels::default();
        Ok(Arc::new(Self {
            engine,
            roles,
            activity,
            comments,
            views,
            memory,
            max_rows,
            base,
            functions: Arc::new(functions),
            of_session,
            runtime,
            channels,
        }))
    }

    /// The catalog's functions of a session.
    pub(crate) fn functions_of(
        &self,
        access: &Arc<Access>,
        user: &str,
        session: i32,
    ) -> Vec<ScalarUDF> {
        self.of_session.functions(access, user, session)
    }

    /// The OID of a table.
    pub(crate) fn oid_of(&self, schema: &str, table: &str) -> Option<i32> {
        self.of_session.oid_of(schema, table)
    }

    /// A new session with all settings at their defaults.
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Whether clients have to log in: as soon as a role can.
    pub fn requires_login(&self) -> bool {
        self.roles.requires_login()
    }

    /// Statements and parts of them that run at this moment.
    pub fn running_tasks(&self) -> usize {
        self.runtime.tasks()
    }

    /// A cancel request: stops the statement of the session with this pid, if its key is `key`.
    pub(crate) fn cancel(&self, pid: i32, key: &[u8]) {
        if let Some(backend) = self.activity.get(pid).filter(|backend| backend.has_key(key)) {
            backend.cancel();
        }
    }

    pub(crate) fn roles(&self) -> &Arc<Roles> {
        &self.roles
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(crate) fn comments(&self) -> &Arc<Comments> {
        &self.comments
    }

    pub(crate) fn views(&self) -> &Arc<Views> {
        &self.views
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn max_rows(&self) -> usize {
        self.max_rows
    }

    pub(crate) fn base(&self) -> &SessionState {
        &self.base
    }

    pub(crate) fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// The channels of `LISTEN` and `NOTIFY`.
    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    pub(crate) fn runtime(&self) -> &QueryRuntime {
        &self.runtime
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let context = SessionContext::new_with_state(self.base.clone());
        if let Err(error) = pg::deregister(&context) {
            tracing::warn!(%error, "the catalog could not be taken down");
        }
    }
}

/// What is kept beside the engine, for the catalog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) roles: &'a Arc<Roles>,
    pub(crate) comments: &'a Arc<Comments>,
    pub(crate) views: &'a Arc<Views>,
}

fn base_state(
    engine: &Arc<dyn Engine>,
    activity: &Arc<Activity>,
    kept: &Kept<'_>,
    cores: usize,
) -> Result<(SessionState, pg::OfSession), SqlError> {
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let public = PublicSchema { engine: Arc::clone(engine) };
    let system = SystemSchema { engine: Arc::clone(engine) };
    catalog.register_schema(DEFAULT_SCHEMA, Arc::new(public))?;
    catalog.register_schema(SYSTEM_SCHEMA, Arc::new(system))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(DATABASE.into(), catalog);

    let mut rules = engine.physical_rules();
    // It takes a condition above an outer join for one of the other side's column of the same name
    // (DataFusion 55.2), and none of our nodes takes conditions in.
    let takes_no_filters = |rule: &PhysicalRule| !rule.name().starts_with(FILTER_PUSHDOWN);
    rules.extend(PhysicalOptimizer::new().rules.into_iter().filter(takes_no_filters));
    rules.extend(engine.last_physical_rules());
    rules.push(Arc::new(Interrupts));
    // Before DataFusion unites the types of what is united.
    let mut analysis = analyzer_rules();
    analysis.insert(0, Arc::new(VectorUnions));
    let mut state = SessionStateBuilder::new()
        .with_config(config(cores))
        .with_default_features()
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rules(rules)
        .with_analyzer_rules(analysis)
        .with_analyzer_rule(Arc::new(CheckedArithmetic))
        .with_catalog_list(Arc::new(catalogs))
        .build();
    datafusion_pg_functions::register_all(&mut state);
    vigil_udfs::register(&mut state, engine.model_calls())?;
    functions::put_bounds(&mut state)?;

    let context = SessionContext::new_with_state(state);
    let of_session = pg::register(&context, engine, activity, kept)?;
    functions::register(&context, engine);
    let state = context.state();
    let mut planners = vigil_udfs::expr_planners();
    planners.push(Arc::new(IntervalPlanner));
    planners.extend(state.expr_planners().iter().cloned());
    let base = SessionStateBuilder::new_from_existing(state)
        .with_expr_planners(planners)
        .with_analyzer_rule(Arc::new(NullableSubqueries))
        .with_analyzer_rule(copies::rule())
        .with_analyzer_rule(lists::rule())
        .with_analyzer_rule(guarded::rule())
        .with_optimizer_rule(guarded::optimizer_rule())
        .with_analyzer_rule(input_order::rule())
        .with_analyzer_rule(lateral::rule())
        .with_analyzer_rule(model_columns::rule())
        .build();
    Ok((base, of_session))
}

fn config(cores: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(DATABASE, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(cores)
        .with_batch_size(BATCH_SIZE);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    // PostgreSQL has one text type, and so have our tables.
    options.sql_parser.map_string_types_to_utf8view = false;
    // An order within the statement is that of the rows around it, as long as nothing else orders them.
    options.sql_parser.enable_subquery_sort_elimination = false;
    options.execution.time_zone = Some("UTC".into());
    config
}
