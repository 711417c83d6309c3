//! The database: one engine, its catalog and functions, and the threads that statements run on.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::common::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::catalog::system::SYSTEM_SCHEMA;
use crate::catalog::{PublicSchema, SystemSchema, pg};
use crate::channels::Channels;
use crate::runtime::QueryRuntime;
use crate::{Engine, Session, SqlError, functions};

/// The name of the one database.
pub const DATABASE: &str = "vigil";

/// The schema of the standard tables, and of names without schema.
pub const DEFAULT_SCHEMA: &str = "public";

/// Rows in a batch, DataFusion's own default.
const BATCH_SIZE: usize = 8192;

/// An engine with SQL in front of it. Sessions share it.
#[derive(Debug)]
pub struct Database {
    engine: Arc<dyn Engine>,
    /// The state that each session begins with.
    base: SessionState,
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = QueryRuntime::new(cores).map_err(|error| SqlError::Query {
            sqlstate: "53000",
            message: "the query threads could not be started".into(),
            detail: Some(error.to_string()),
            hint: None,
        })?;
        let base = base_state(&engine, cores)?;
        Ok(Arc::new(Self { engine, base, runtime, channels: Channels::default() }))
    }

    /// A new session with all settings at their defaults.
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    pub(crate) fn base(&self) -> &SessionState {
        &self.base
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

fn base_state(engine: &Arc<dyn Engine>, cores: usize) -> Result<SessionState, SqlError> {
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let public = PublicSchema { engine: Arc::clone(engine) };
    let system = SystemSchema { engine: Arc::clone(engine) };
    catalog.register_schema(DEFAULT_SCHEMA, Arc::new(public))?;
    catalog.register_schema(SYSTEM_SCHEMA, Arc::new(system))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(DATABASE.into(), catalog);

    let mut state = SessionStateBuilder::new()
        .with_config(config(cores))
        .with_default_features()
        .with_catalog_list(Arc::new(catalogs))
        .build();
    vigil_udfs::register(&mut state, engine.model_calls())?;

    let context = SessionContext::new_with_state(state);
    pg::register(&context)?;
    functions::register(&context, engine);
    Ok(context.state())
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
    options.execution.time_zone = Some("UTC".into());
    config
}
