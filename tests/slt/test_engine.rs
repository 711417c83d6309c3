//! An engine for one file: its data in a folder of its own, its models from the mirror, in a folder
//! that can be written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use libtest_mimic::Failed;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vigil::source::SourceDefaults;
use vigil::{Engine, EngineConfig};
use vigil_sql::Database;

/// A models folder that leads to the mirror's models and takes new ones beside them.
fn link_models(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let Ok(listing) = std::fs::read_dir(vigil_test_data::models()) else { return Ok(()) };
    for model in listing {
        let model = model?;
        std::os::unix::fs::symlink(model.path().canonicalize()?, folder.join(model.file_name()))?;
    }
    Ok(())
}

/// A running engine with SQL in front of it. Dropping it stops everything.
pub(crate) struct TestEngine {
    // The order of these fields is the order in which they stop.
    database: Arc<Database>,
    runtime: Runtime,
    _data: TempDir,
}

impl TestEngine {
    pub(crate) fn start() -> Result<Self, Failed> {
        let data = tempfile::tempdir()?;
        let models = data.path().join("models");
        link_models(&models)?;
        let engine = Engine::start(EngineConfig {
            data: data.path().join("data").display().to_string(),
            models_dir: models,
            workers: 1,
            inference_threads: 2,
            defaults: SourceDefaults::default(),
            base_dir: vigil_test_data::root().join("data"),
            places: Default::default(),
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("slt")
            .enable_all()
            .build()?;
        Ok(Self { database: Database::new(engine)?, runtime, _data: data })
    }

    pub(crate) fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database)
    }

    /// Serves the engine on a free port of the loopback interface.
    pub(crate) fn listen(&self) -> Result<SocketAddr, Failed> {
        let listener = self.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let server = vigil_sql::wire::serve(listener, self.database(), std::future::pending());
        self.runtime.spawn(server);
        Ok(address)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
