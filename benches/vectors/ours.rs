//! Our side: an engine whose sources' rows are committed as a dataflow commits them, with the
//! server in front of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vigil::source::SourceDefaults;
use vigil::tables::{CaptionCommit, CaptionRow, RowContext};
use vigil::{Engine, EngineConfig, SourceId};
use vigil_sql::{Database, Engine as _};

use crate::data::{CAMERAS, Data};
use crate::wire::Client;

/// Rows that come in at once while searches run, and how often.
const WRITTEN: usize = 25;
const EVERY: Duration = Duration::from_millis(50);

/// The engine, and the threads of the server.
pub(crate) struct Ours {
    engine: Arc<Engine>,
    address: SocketAddr,
    _server: Runtime,
    _data: TempDir,
}

impl Ours {
    pub(crate) fn start(shared: &Path) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let models = std::env::var_os("VIGIL_MODELS")
            .or_else(|| std::env::var_os("VIGIL_MODEL_MIRROR"))
            .map_or_else(|| shared.join("models"), Into::into);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let engine = Engine::start(EngineConfig {
            data: data.path().display().to_string(),
            models_dir: models,
            workers: 1,
            inference_threads: threads,
            defaults: SourceDefaults::default(),
            base_dir: shared.join("data"),
            places: Default::default(),
        })?;
        let database = Database::new(Arc::<Engine>::clone(&engine))?;
        let server =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = server.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        server.spawn(vigil_sql::wire::serve(listener, database, std::future::pending()));
        Ok(Self { engine, address, _server: server, _data: data })
    }

    /// Name and version of the embedder.
    pub(crate) fn embedder(&self) -> Result<String> {
        Ok(self.engine.model_calls().model_id(None)?)
    }

    pub(crate) fn embed(&self, texts: &[&str]) -> Result<Vec<Arc<[f32]>>> {
        Ok(self.engine.model_calls().embed(None, texts)?)
    }

    /// Commits the rows, without an index, and connects.
    pub(crate) fn load(&mut self, data: &Data) -> Result<Client> {
        let url = format!("host=127.0.0.1 port={} user=vigil dbname=vigil", self.address.port());
        let mut client = Client::connect(&url)?;
        for index in
            ["captions_embedding_idx", "embeddings_caption_idx", "embeddings_appearance_idx"]
        {
            client.run(&format!("DROP INDEX {index}"))?;
        }
        for camera in 0..CAMERAS {
            let rows = (camera..data.rows.len()).step_by(CAMERAS);
            self.commit(camera, &format!("camera-{camera}"), rows.map(|row| caption(data, row)))?;
        }
        Ok(client)
    }

    fn commit(
        &self,
        source: usize,
        name: &str,
        captions: impl Iterator<Item = CaptionRow>,
    ) -> Result<()> {
        let id = SourceId(i64::try_from(source)? + 1);
        let tables = self.engine.tables();
        if tables.snapshot().source(id).is_none() {
            tables.add_source(id, context(name, &self.embedder()?));
        }
        let commit = CaptionCommit { captions: captions.collect(), tick: None };
        tables.commit_captions(id, &commit).context("the rows do not fit")
    }

    /// Commits rows of another source, again and again, until the writer is stopped.
    pub(crate) fn write_steadily(&mut self, data: &Data) -> Writer {
        let rows: Vec<CaptionRow> =
            (0..WRITTEN * 400).map(|row| caption(data, row % data.rows.len())).collect();
        let engine = Arc::clone(&self.engine);
        let id = SourceId(1_000_000);
        let (stop, stopped) = mpsc::channel::<()>();
        let context = context("camera-new", &self.embedder().unwrap_or_default());
        let thread = std::thread::spawn(move || {
            let tables = engine.tables();
            tables.add_source(id, context);
            for rows in rows.chunks(WRITTEN) {
                let commit = CaptionCommit { captions: rows.to_vec(), tick: None };
                if tables.commit_captions(id, &commit).is_err() {
                    break;
                }
                // The time of the next rows, unless the writer is told to stop.
                if stopped.recv_timeout(EVERY) != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
            tables.remove_source(id);
        });
        Writer { stop, thread }
    }
}

/// Who writes while others search.
pub(crate) struct Writer {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn context(source: &str, embedder: &str) -> RowContext {
    RowContext {
        source: source.to_owned(),
        detector: None,
        tracker: "none".into(),
        captioner: None,
        embedder: Some(embedder.to_owned()),
        reid: None,
        labels: Arc::from([]),
    }
}

fn caption(data: &Data, row: usize) -> CaptionRow {
    let number = i64::try_from(row).unwrap_or(i64::MAX);
    CaptionRow {
        frame_number: number,
        ts_micros: number * 40_000,
        caption: Some(data.sentences[row % data.sentences.len()].clone()),
        scene: None,
        objects: BTreeMap::new(),
        embedding: Some(Arc::from(data.rows[row].as_slice())),
    }
}
