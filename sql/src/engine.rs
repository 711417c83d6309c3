//! What SQL asks of the engine. The root crate implements [`Engine`]; nothing here opens a
//! video, runs a network or knows of dataflow.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use crate::catalog::StandardTable;

/// A consistent cut over all tables: opaque here, understood by the engine's table providers.
///
/// The session puts one into the configuration of each query
/// (`SessionConfig::set_extension`); a provider finds it again in `scan`. A query without one
/// sees the newest cut.
pub struct Cut(pub Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}

/// In the context of a run on a thread that has others to serve.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce;

/// What was expected to be short is not, and was not begun.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this takes longer than was expected")]
pub struct NotShort;

/// An error of the engine, as it meets a client.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// Five characters of PostgreSQL's appendix A.
    pub sqlstate: &'static str,
    /// Lower case, no full stop.
    pub message: String,
    /// A sentence, where there is more to say.
    pub detail: Option<String>,
    /// A sentence, where there is something to do.
    pub hint: Option<String>,
}

/// `CREATE SOURCE`, parsed. Option names are lower case; values are as written, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSource {
    /// The source's name.
    pub name: String,
    /// Where its frames come from.
    pub origin: Origin,
    /// `WITH (name = value, …)` in the order written.
    pub options: Vec<(String, String)>,
}

/// Where a source's frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A path or URL as written in `FROM '…'`.
    Url(String),
    /// `FROM LOAD GENERATOR name (option = value, …)`; the name is lower case.
    LoadGenerator {
        /// `moving_boxes`.
        name: String,
        /// The generator's own options, in the order written.
        options: Vec<(String, String)>,
    },
}

/// A source as `SHOW SOURCES` and `vigil_catalog.sources` tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// A number of its own, in the order of creation from 1.
    pub id: i64,
    /// The source's name.
    pub name: String,
    /// The path, URL or `LOAD GENERATOR …` text.
    pub url: String,
    /// `starting`, `running`, `ended`, `failed`.
    pub state: String,
    /// `lossless` or `realtime`.
    pub mode: String,
    /// Detector with version (`yolov8n:1`), or `none`.
    pub detector: String,
    /// The tracker's name.
    pub tracker: String,
    /// Captioner with version, or `none`.
    pub captioner: String,
    /// Embedder with version, or `none`.
    pub embedder: String,
    /// Picture size in pixels, once known.
    pub width: Option<i32>,
    /// Picture size in pixels, once known.
    pub height: Option<i32>,
    /// The video's own rate, frames a second, once known.
    pub frame_rate: Option<f64>,
    /// Frames in the file as the container says, or an estimate from its length.
    pub total_frames: Option<i64>,
    /// The statement that makes this source again.
    pub create_sql: String,
    /// Why it failed, when it did.
    pub error: Option<String>,
    /// Microseconds since the Unix epoch: when `CREATE SOURCE` ran.
    pub created_at_micros: i64,
    /// Counters.
    pub statistics: SourceStatistics,
}

/// The counters of a source, as `vigil_catalog.source_statistics` shows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceStatistics {
    /// Frames that left the decoder.
    pub frames_decoded: i64,
    /// Frames whose rows can be seen.
    pub frames_processed: i64,
    /// Frames dropped undetected (`mode = 'realtime'`).
    pub frames_dropped: i64,
    /// Rows in `detections`.
    pub detections: i64,
    /// Tracks ever started.
    pub tracks: i64,
    /// Rows in `captions`.
    pub captions: i64,
    /// Rows in `vigil_catalog.source_errors`.
    pub errors: i64,
    /// Bytes of pictures in flight.
    pub bytes_in_flight: i64,
    /// Frames a second since the start (of processed frames).
    pub frames_per_second: f64,
    /// Median over the recent frames: from leaving the decoder to being visible, milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// The 95th percentile of the same.
    pub latency_p95_ms: Option<f64>,
}

/// A row of `vigil_catalog.source_errors`.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceFault {
    /// The source.
    pub source: String,
    /// The frame, where one is known.
    pub frame_number: Option<i64>,
    /// The stage that failed: `decode`, `detect`, `keyframe`, `caption`, `embed`.
    pub stage: String,
    /// Five characters of PostgreSQL's appendix A.
    pub sqlstate: String,
    /// What went wrong.
    pub message: String,
    /// Microseconds since the Unix epoch.
    pub at_micros: i64,
}

/// A row of `vigil_catalog.models`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// Name without version.
    pub name: String,
    /// Version.
    pub version: String,
    /// `detector`, `captioner`, `embedder`, `reid`, `reranker`, `linker`.
    pub task: String,
    /// The family that reads it, such as `yolov8`.
    pub family: String,
    /// The licence's SPDX name, as far as it has one.
    pub licence: String,
    /// All files together, bytes.
    pub size_bytes: i64,
    /// `missing`, `present`, `loaded`.
    pub state: String,
    /// The device that it runs on and why, when it is loaded.
    pub device: Option<String>,
    /// The statement that makes it again; `None` for a model of the manifest.
    pub create_sql: Option<String>,
}

/// `CREATE MODEL`, parsed. Option names are lower case; values are as written, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateModel {
    /// The model's name.
    pub name: String,
    /// `detector`, `captioner`, `embedder`, `reid`, `reranker`, `linker`, or whatever else was written; lower case.
    pub task: String,
    /// A path or URL as written in `FROM '…'`.
    pub from: String,
    /// `WITH (name = value, …)` in the order written.
    pub options: Vec<(String, String)>,
}

/// A row of `vigil_catalog.model_metrics`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelMetrics {
    /// Name with version, as rows name it: `yolov8n:1`.
    pub model: String,
    /// `detector`, `captioner`, `embedder`, `reid`, `reranker`, `linker`.
    pub task: String,
    /// `cpu`, `cuda` or `tensorrt`.
    pub provider: Option<String>,
    /// Why this one.
    pub provider_reason: Option<String>,
    /// When it was loaded, microseconds since the Unix epoch, while it is in memory.
    pub loaded_at_micros: Option<i64>,
    /// Requests answered.
    pub calls: i64,
    /// Pictures, cut-outs or texts in them.
    pub items: i64,
    /// Runs of the network.
    pub batches: i64,
    /// Requests that failed.
    pub errors: i64,
    /// Requests that wait now.
    pub queue_length: i64,
    /// Median time of a request, milliseconds; none before the first.
    pub latency_p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<f64>,
    /// 99th percentile of the same.
    pub latency_p99_ms: Option<f64>,
    /// Captions that were remembered, of a captioner.
    pub caption_cache_hits: Option<i64>,
    /// Captions that it had to make.
    pub caption_cache_misses: Option<i64>,
}

/// A row of `vigil_catalog.operators`.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorInfo {
    /// The source whose dataflow it is in.
    pub source: String,
    /// Its name, such as `detect`.
    pub operator: String,
    /// The worker it does its work on.
    pub worker: i32,
    /// Records that came in.
    pub records_in: i64,
    /// Records that went out.
    pub records_out: i64,
    /// Records held now.
    pub held: i64,
    /// Time spent in it on the worker, milliseconds.
    pub elapsed_ms: f64,
    /// Median time of a record in it (waiting included), milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub latency_p95_ms: Option<f64>,
}

/// A row of `vigil_catalog.frontiers`: up to where a source's table is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontierInfo {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The dataflow tick (milliseconds of the engine's clock) below which all is there; `None`
    /// when the source has ended and all of it is.
    pub tick: Option<i64>,
    /// The last frame that is complete.
    pub frame_number: Option<i64>,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: Option<i64>,
}

/// `CREATE INDEX … USING hnsw`, parsed. Names are as written, folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateIndex {
    /// The index's name; `None` lets the engine choose one.
    pub name: Option<String>,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The n of `(column::halfvec(n))`, where the index is one over that.
    pub halfvec: Option<i32>,
    /// The operator class, such as `vector_cosine_ops`; `None` where none is written.
    pub operator_class: Option<String>,
    /// `WITH (name = value, …)` in the order written.
    pub options: Vec<(String, String)>,
    /// The text of the condition behind `WHERE`.
    pub predicate: Option<String>,
}

/// A row of `vigil_catalog.indexes`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexInfo {
    /// The index's name.
    pub name: String,
    /// The table.
    pub table: String,
    /// The statement that makes it again.
    pub definition: String,
    /// Rows in the graph, deleted ones included.
    pub rows: i64,
    /// Rows that are searched exactly, as they are not in the graph yet.
    pub pending: i64,
    /// Rows in the graph that are no longer in the table.
    pub deleted: i64,
    /// Memory, bytes.
    pub bytes: i64,
    /// Share of the rows that are in the graph, 0..1.
    pub progress: f64,
    /// Share of the true ten nearest rows among the ten found, over sampled queries.
    pub recall_at_10: Option<f64>,
    /// Queries that were sampled.
    pub sampled_queries: i64,
}

/// An index that is being built, as `pg_stat_progress_create_index` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBuild {
    /// The index's name.
    pub index: String,
    /// The table.
    pub table: String,
    /// `CREATE INDEX` or `REINDEX`.
    pub command: &'static str,
    /// Rows that are to be looked at.
    pub total: i64,
    /// Rows that have been.
    pub done: i64,
}

/// How a session wants its indexes searched; the session puts it into the configuration of each
/// query, beside the [`Cut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchSettings {
    /// `hnsw.ef_search`: candidates that a search keeps.
    pub ef_search: usize,
    /// `hnsw.max_scan_tuples`: rows that a search visits before the rows that match are scanned.
    pub max_scan_tuples: usize,
    /// `hnsw.iterative_scan` is not `off`.
    pub iterative_scan: bool,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { ef_search: 100, max_scan_tuples: 20_000, iterative_scan: true }
    }
}

fn no_new_models() -> EngineError {
    EngineError {
        sqlstate: "0A000",
        message: "this engine takes no models".to_owned(),
        detail: None,
        hint: None,
    }
}

fn no_indexes() -> EngineError {
    EngineError {
        sqlstate: "0A000",
        message: "this engine has no indexes".to_owned(),
        detail: None,
        hint: None,
    }
}

/// The engine behind the SQL.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The newest consistent cut over all standard tables.
    fn cut(&self) -> Cut;

    /// The provider of a standard table; its schema is [`StandardTable::schema`].
    fn table(&self, table: StandardTable) -> Arc<dyn TableProvider>;

    /// Checks and starts a source; returns when it is registered and its file has been opened.
    async fn create_source(&self, source: CreateSource) -> Result<(), EngineError>;

    /// Stops a source and removes its rows. An unknown name is SQLSTATE 42704.
    async fn drop_source(&self, name: &str) -> Result<(), EngineError>;

    /// Returns when the source has ended; an error when it failed (its own SQLSTATE), when
    /// `timeout` is over (57014) or the name is unknown (42704).
    async fn wait_for_source(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<(), EngineError>;

    /// A frame as JPEG: key frames from the store, others decoded again when the source can.
    async fn frame_image(&self, source: &str, frame_number: i64) -> Result<Bytes, EngineError>;

    /// All sources, by id.
    fn sources(&self) -> Vec<SourceInfo>;

    /// All faults, oldest first.
    fn source_faults(&self) -> Vec<SourceFault>;

    /// All models of the manifest, by name.
    fn models(&self) -> Vec<ModelInfo>;

    /// Registers a model and waits until its files are there and it has been tried. A name that is
    /// taken is SQLSTATE 42710.
    async fn create_model(&self, _model: CreateModel) -> Result<(), EngineError> {
        Err(no_new_models())
    }

    /// Removes a model that was registered. An unknown name is SQLSTATE 42704, one that a source
    /// uses is 2BP01.
    async fn drop_model(&self, _name: &str) -> Result<(), EngineError> {
        Err(no_new_models())
    }

    /// The models that are or were loaded, by name.
    fn model_metrics(&self) -> Vec<ModelMetrics> {
        Vec::new()
    }

    /// All operators, by source and in the order a frame travels.
    fn operators(&self) -> Vec<OperatorInfo>;

    /// All frontiers, by source and table, as they were at a cut; now, without one.
    fn frontiers(&self, cut: Option<&Cut>) -> Vec<FrontierInfo>;

    /// Makes an index and waits until the rows of this moment are in it; gives its name. A name
    /// that is taken is SQLSTATE 42P07.
    async fn create_index(&self, _index: CreateIndex) -> Result<String, EngineError> {
        Err(no_indexes())
    }

    /// Removes an index. An unknown name is SQLSTATE 42704.
    async fn drop_index(&self, _name: &str) -> Result<(), EngineError> {
        Err(no_indexes())
    }

    /// Builds an index again. An unknown name is SQLSTATE 42704.
    async fn reindex(&self, _name: &str) -> Result<(), EngineError> {
        Err(no_indexes())
    }

    /// All indexes, by name.
    fn indexes(&self) -> Vec<IndexInfo> {
        Vec::new()
    }

    /// Indexes that are being built.
    fn index_builds(&self) -> Vec<IndexBuild> {
        Vec::new()
    }

    /// Rules that the engine wants to run before DataFusion's on the plans of queries.
    fn physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        Vec::new()
    }

    /// Rules that the engine wants to run after them.
    fn last_physical_rules(&self) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        Vec::new()
    }

    /// Whether a node that the engine put into a plan may be run again: a leaf reads the [`Cut`] of
    /// the context that it runs in, rather than the one that it was planned at, and no node keeps
    /// anything of a run but its figures.
    fn may_run_again(&self, _node: &dyn ExecutionPlan) -> bool {
        false
    }

    /// Whether a leaf is likely to be done in less time than it takes to hand it to another thread.
    /// It is run where its context has [`AtOnce`] then, and fails with [`NotShort`] before it does
    /// what takes longer.
    fn is_short(&self, _leaf: &dyn ExecutionPlan) -> bool {
        false
    }

    /// Another number when plans that were made before should be made again.
    fn plan_generation(&self) -> u64 {
        0
    }

    /// The models that SQL functions may call.
    fn model_calls(&self) -> Arc<dyn vigil_udfs::ModelCalls>;
}
