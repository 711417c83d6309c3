//! An engine in this process, for commands that need no server.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::runtime::{Builder, Runtime};
use vigil_sql::{Database, Session};

use super::error::CliError;
use super::places::{self, EngineArguments};
use crate::Engine;

/// How an embedded engine is to be run.
#[derive(Clone, Debug, Args)]
pub(super) struct EmbeddedArguments {
    /// Where key frames are kept: a folder or s3://bucket/prefix [default: a folder that is removed
    /// at the end]
    #[arg(long, value_name = "DIR", env = "VIGIL_DATA", hide_env_values = true)]
    data: Option<String>,

    #[command(flatten)]
    engine: EngineArguments,
}

/// A running engine with SQL in front of it. Dropping it stops everything.
pub(super) struct Embedded {
    // The order of these fields is the order in which they stop.
    database: Arc<Database>,
    runtime: Runtime,
    _scratch: Option<Scratch>,
}

impl Embedded {
    /// Starts an engine.
    pub(super) fn start(arguments: &EmbeddedArguments) -> Result<Self, CliError> {
        let config = arguments.engine.models.config.read()?;
        let given = arguments.data.as_deref().filter(|data| !data.is_empty());
        let (data, scratch) = match given {
            Some(_) => (places::data(given, &config), None),
            None => {
                let scratch = Scratch::new();
                (scratch.0.display().to_string(), Some(scratch))
            }
        };
        let engine = Engine::start(arguments.engine.engine_config(&config, data))?;
        let database = Database::new(engine)?;
        Ok(Self { database, runtime: runtime()?, _scratch: scratch })
    }

    /// A new session.
    pub(super) fn session(&self) -> Session {
        self.database.session()
    }

    /// Waits for something asynchronous.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// A runtime for a command's own waiting, on the main thread; the work is done elsewhere.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Runtime(error.to_string()))
}

/// A folder that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("vigil-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.0.display(), %error, "could not be removed");
            }
            _ => {}
        }
    }
}
