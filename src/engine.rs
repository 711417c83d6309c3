//! The engine: statements that make and drop sources come in, dataflows run, tables come out.
//!
//! It owns the workers, the inference service, the tables and the store of key frames. To SQL it
//! is [`vigil_sql::Engine`] (in `api.rs`); a program that embeds it hands it to
//! [`vigil_sql::Database`].

mod api;
mod calls;
mod create;
mod decoder;
mod inference;
mod models;
mod running;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use vigil_models::{InferenceService, Registry};

use self::api::stopping;
pub use self::inference::InferenceConfig;
pub use self::running::{RunningSource, SourceState};
use crate::dataflow::clock::Clock;
use crate::dataflow::source::Shared;
use crate::dataflow::workers::Workers;
use crate::error::Error;
use crate::index::Indexes;
use crate::keyframe::FrameStore;
use crate::source::{AllowedPlaces, SourceDefaults, nearest};
use crate::source_id::SourceId;
use crate::tables::Tables;

/// Threads that read and write the object store and open files.
const IO_THREADS: usize = 2;

/// How an engine is to be run.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where data is kept: a folder or an `s3://` URL.
    pub data: String,
    /// The folder of the models' files.
    pub models_dir: PathBuf,
    /// Workers of the dataflow, at least 1.
    pub workers: usize,
    /// Threads of one run of a network, at least 1.
    pub inference_threads: usize,
    /// What sources have when their statement does not say.
    pub defaults: SourceDefaults,
    /// The folder from which relative paths in SQL are read.
    pub base_dir: PathBuf,
    /// Which files and addresses sources and models may be read from.
    pub places: AllowedPlaces,
}

/// A running engine. Dropping it stops its sources, workers and models.
pub struct Engine {
    config: EngineConfig,
    tables: Arc<Tables>,
    indexes: Arc<Indexes>,
    frames: Arc<FrameStore>,
    // The order of these fields is the order in which they stop: workers, models, input and
    // output.
    workers: Workers,
    service: Arc<InferenceService>,
    sources: Mutex<Sources>,
    /// Read by whoever makes a source, written by whoever removes a model.
    making: RwLock<()>,
    io: IoRuntime,
    /// Itself, for work that goes on in another thread.
    this: Weak<Self>,
}

#[derive(Debug, Default)]
struct Sources {
    last_id: i64,
    running: BTreeMap<SourceId, Arc<RunningSource>>,
    /// Names of sources that are being made.
    reserved: BTreeSet<String>,
}

impl Sources {
    fn find(&self, name: &str) -> Option<&Arc<RunningSource>> {
        self.running.values().find(|source| source.spec.name == name)
    }

    fn get(&self, name: &str) -> Result<Arc<RunningSource>, Error> {
        self.find(name).map(Arc::clone).ok_or_else(|| self.not_found(name))
    }

    fn not_found(&self, name: &str) -> Error {
        let names = self.running.values().map(|source| source.spec.name.as_str());
        Error::SourceNotFound { name: name.to_owned(), nearest: nearest(name, names) }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A runtime that can be dropped anywhere: its tasks are not waited for.
struct IoRuntime(Option<Runtime>);

impl IoRuntime {
    fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for IoRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Starts an engine. It blocks while the object store answers: not for async code.
    ///
    /// # Errors
    /// [`Error::Store`] when the data folder cannot be written, [`Error::Model`] when the model
    /// manifest is not valid, [`Error::Thread`] when threads cannot be started.
    pub fn start(config: EngineConfig) -> Result<Arc<Self>, Error> {
        Self::start_with(config, InferenceConfig::default())
    }

    /// As [`Engine::start`], with models that are run together as `inference` says.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_with(
        config: EngineConfig,
        inference: InferenceConfig,
    ) -> Result<Arc<Self>, Error> {
        let io = Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("vigil-io")
            .enable_all()
            .build()
            .map_err(|error| Error::Thread(error.to_string()))?;
        let frames = Arc::new(FrameStore::open(&config.data, io.handle().clone())?);
        let registry = Arc::new(Registry::open(&config.models_dir)?);
        let options = inference.service_options(config.inference_threads);
        let service = InferenceService::new(registry, options);
        let tables = Arc::new(Tables::default());
        let indexes = Indexes::start(Arc::clone(&tables))
            .map_err(|error| Error::Thread(error.to_string()))?;
        let shared = Shared {
            clock: Clock::start(),
            tables: Arc::clone(&tables),
            frames: Arc::clone(&frames),
        };
        let workers = Workers::start(config.workers, shared).map_err(Error::Thread)?;
        Ok(Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            config,
            tables,
            indexes,
            frames,
            workers,
            service,
            sources: Mutex::default(),
            making: RwLock::default(),
            io: IoRuntime(Some(io)),
        }))
    }

    /// How it is run.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The models.
    pub fn service(&self) -> &Arc<InferenceService> {
        &self.service
    }

    /// The tables.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// A source by its name.
    ///
    /// # Errors
    /// [`Error::SourceNotFound`].
    pub fn source(&self, name: &str) -> Result<Arc<RunningSource>, Error> {
        self.sources().get(name)
    }

    /// All sources, in the order of their creation.
    pub fn all_sources(&self) -> Vec<Arc<RunningSource>> {
        self.sources().running.values().map(Arc::clone).collect()
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops a source and removes its rows and pictures.
    async fn drop_source_named(&self, name: &str) -> Result<(), Error> {
        let source = {
            let mut sources = self.sources();
            let source = sources.get(name)?;
            sources.running.remove(&source.id);
            // Until its pictures are gone, nobody may make a source of this name.
            sources.reserved.insert(name.to_owned());
            source
        };
        source.drop_source();
        self.workers.drop_source(source.id);
        self.tables.remove_source(source.id);
        // A task of its own: a client that goes away must not leave the name reserved.
        let engine = self.this.upgrade().ok_or_else(stopping)?;
        let name = name.to_owned();
        let io = self.io.handle().ok_or_else(stopping)?;
        let removal = io.spawn(async move {
            let removed = engine.frames.remove(&name).await;
            engine.sources().reserved.remove(&name);
            removed
        });
        Ok(removal.await.map_err(|_| stopping())??)
    }

    /// Waits until a source has ended.
    async fn wait_until_ended(&self, name: &str, timeout: Option<Duration>) -> Result<(), Error> {
        let mut state = self.source(name)?.state();
        let ended = state.wait_for(SourceState::is_final);
        let last = match timeout {
            Some(timeout) => tokio::time::timeout(timeout, ended)
                .await
                .map_err(|_| Error::WaitTimeout(name.to_owned()))?,
            None => ended.await,
        };
        match last.as_deref() {
            Ok(SourceState::Ended) => Ok(()),
            Ok(SourceState::Failed { sqlstate, message }) => Err(Error::SourceFailed {
                name: name.to_owned(),
                sqlstate: sqlstate.clone(),
                message: message.clone(),
            }),
            // It was dropped meanwhile.
            _ => Err(self.sources().not_found(name)),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for source in self.all_sources() {
            source.drop_source();
        }
    }
}
