//! An engine in this process, for commands that need no server.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
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
    _scratch: Option<TempDir>,
}

impl Embedded {
    /// Starts an engine.
    pub(super) fn start(arguments: &EmbeddedArguments) -> Result<Self, CliError> {
        let config = arguments.engine.models.config.read()?;
        let given = arguments.data.as_deref().filter(|data| !data.is_empty());
        let (data, scratch) = match given {
            Some(_) => (places::data(given, &config), None),
            None => {
                let scratch = tempfile::Builder::new()
                    .prefix("vigil-")
                    .tempdir()
                    .map_err(|error| CliError::Runtime(error.to_string()))?;
                clean_up_when_stopped(scratch.path().to_owned())?;
                (scratch.path().display().to_string(), Some(scratch))
            }
        };
        let engine =
            Engine::start_with(arguments.engine.engine_config(&config, data), config.inference)?;
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

/// Removes the folder also when the process is told to stop, and then stops.
fn clean_up_when_stopped(folder: PathBuf) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Runtime(error.to_string());
    let runtime = runtime()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(failed)?,
            signal(SignalKind::terminate()).map_err(failed)?,
        )
    };
    let wait = move || {
        // The shell's number for a process that a signal ended.
        let status = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        });
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "could not be removed");
        }
        std::process::exit(status)
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(failed)?;
    Ok(())
}
