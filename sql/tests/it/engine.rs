//! A small engine in memory: real tables of DataFusion with a few rows, sources that end at once,
//! and cuts that grow, so that a query that mixes two cuts is seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use vigil_models::ModelError;
use vigil_sql::catalog::{CAPTION_DIMENSIONS, StandardTable, position_fields};
use vigil_sql::{
    CreateIndex, CreateSource, Cut, Engine, EngineError, FrontierInfo, IndexInfo, ModelInfo,
    OperatorInfo, Origin, SourceFault, SourceInfo, SourceStatistics,
};
use vigil_udfs::ModelCalls;

/// 2024-01-01 00:00:00 UTC, the moment of frame 0.
const START_MICROS: i64 = 1_704_067_200_000_000;

/// Frames that every cut has at least.
const FRAMES: i64 = 10;

/// The engine of the tests.
#[derive(Debug, Default)]
pub struct TestEngine {
    sources: Mutex<BTreeMap<String, SourceInfo>>,
    cuts: AtomicI64,
    /// Statements that wait for a source now.
    waiting: Arc<AtomicI64>,
    /// Whose rows every second one is, beside those of `lobby`.
    second_source: Option<&'static str>,
}

/// Counts one who waits, for as long as it lives.
struct Waiting(Arc<AtomicI64>);

impl Waiting {
    fn new(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many frames a cut sees.
struct Frames(i64);

impl TestEngine {
    /// An engine in which every second row is of the source `street`.
    pub fn with_street() -> Self {
        let engine = Self { second_source: Some("street"), ..Self::default() };
        for name in ["lobby", "street"] {
            let source = CreateSource {
                name: name.into(),
                origin: Origin::Url(format!("{name}.mp4")),
                options: Vec::new(),
            };
            engine.register(source).expect("is new");
        }
        engine
    }

    fn register(&self, source: CreateSource) -> Result<(), EngineError> {
        let mut sources = self.lock();
        if sources.contains_key(&source.name) {
            let message = format!("source \"{}\" already exists", source.name);
            return Err(refused("42710", message, None));
        }
        if let Some((name, _)) = source.options.iter().find(|(name, _)| name == "detectr") {
            let message = format!("unknown option \"{name}\"");
            return Err(refused("22023", message, Some("Perhaps you meant \"detector\".")));
        }
        let url = match &source.origin {
            Origin::Url(url) if url == "panic" => panic!("the test asked for it"),
            Origin::Url(url) => url.clone(),
            Origin::LoadGenerator { name, options } => format!("LOAD GENERATOR {name} {options:?}"),
        };
        let info = SourceInfo {
            id: sources.len() as i64 + 1,
            name: source.name.clone(),
            create_sql: format!("CREATE SOURCE {} FROM '{url}'", source.name),
            state: if url == "forever" { "running" } else { "ended" }.into(),
            url,
            mode: "lossless".into(),
            detector: "none".into(),
            tracker: "iou".into(),
            captioner: "none".into(),
            embedder: "none".into(),
            width: Some(640),
            height: Some(480),
            frame_rate: Some(25.0),
            total_frames: Some(FRAMES),
            error: None,
            created_at_micros: START_MICROS,
            statistics: SourceStatistics { frames_processed: FRAMES, ..Default::default() },
        };
        sources.insert(source.name, info);
        Ok(())
    }

    /// Cuts that were taken so far.
    pub fn cuts(&self) -> i64 {
        self.cuts.load(Ordering::SeqCst)
    }

    /// Statements that wait for a source now.
    pub fn waiting(&self) -> i64 {
        self.waiting.load(Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SourceInfo>> {
        self.sources.lock().expect("no test panics while it holds the sources")
    }
}

fn refused(sqlstate: &'static str, message: String, hint: Option<&str>) -> EngineError {
    EngineError { sqlstate, message, detail: None, hint: hint.map(str::to_owned) }
}

#[async_trait]
impl Engine for TestEngine {
    fn cut(&self) -> Cut {
        // Every cut sees one frame more than the one before.
        Cut(Arc::new(Frames(FRAMES + self.cuts.fetch_add(1, Ordering::SeqCst))))
    }

    fn table(&self, table: StandardTable) -> Arc<dyn TableProvider> {
        Arc::new(TestTable { table, second_source: self.second_source })
    }

    async fn create_source(&self, source: CreateSource) -> Result<(), EngineError> {
        self.register(source)
    }

    async fn create_index(&self, index: CreateIndex) -> Result<String, EngineError> {
        Ok(index.name.unwrap_or_default())
    }

    async fn drop_index(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn reindex(&self, _name: &str) -> Result<(), EngineError> {
        Ok(())
    }

    async fn drop_source(&self, name: &str) -> Result<(), EngineError> {
        match self.lock().remove(name) {
            Some(_) => Ok(()),
            None => Err(refused("42704", format!("source \"{name}\" does not exist"), None)),
        }
    }

    async fn wait_for_source(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<(), EngineError> {
        let state = self.lock().get(name).map(|source| source.state.clone());
        match state.as_deref() {
            None => Err(refused("42704", format!("source \"{name}\" does not exist"), None)),
            Some("running") => {
                let _waiting = Waiting::new(&self.waiting);
                let forever = Duration::from_secs(3600);
                tokio::time::sleep(timeout.unwrap_or(forever)).await;
                Err(refused("57014", format!("source \"{name}\" has not ended in time"), None))
            }
            Some(_) => Ok(()),
        }
    }

    async fn frame_image(&self, source: &str, frame_number: i64) -> Result<Bytes, EngineError> {
        if source == "lobby" || Some(source) == self.second_source {
            Ok(Bytes::from(format!("JPEG {frame_number}")))
        } else {
            Err(refused("42704", format!("source \"{source}\" does not exist"), None))
        }
    }

    fn sources(&self) -> Vec<SourceInfo> {
        self.lock().values().cloned().collect()
    }

    fn source_faults(&self) -> Vec<SourceFault> {
        let fault = |source: &str| SourceFault {
            source: source.into(),
            frame_number: Some(3),
            stage: "decode".into(),
            sqlstate: "XX001".into(),
            message: "a packet is broken".into(),
            at_micros: START_MICROS,
        };
        ["lobby"].into_iter().chain(self.second_source).map(fault).collect()
    }

    fn models(&self) -> Vec<ModelInfo> {
        vec![ModelInfo {
            name: "yolov8n".into(),
            version: "1".into(),
            task: "detector".into(),
            family: "yolov8".into(),
            licence: "AGPL-3.0".into(),
            size_bytes: 12_800_000,
            state: "present".into(),
            device: None,
        }]
    }

    fn operators(&self) -> Vec<OperatorInfo> {
        Vec::new()
    }

    fn frontiers(&self, _cut: Option<&Cut>) -> Vec<FrontierInfo> {
        Vec::new()
    }

    fn indexes(&self) -> Vec<IndexInfo> {
        vec![IndexInfo {
            name: "captions_embedding_idx".into(),
            table: "captions".into(),
            definition: "CREATE INDEX captions_embedding_idx ON public.captions USING hnsw \
                         (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 200)"
                .into(),
            rows: 3,
            pending: 0,
            deleted: 0,
            bytes: 10_000,
            progress: 1.0,
            recall_at_10: None,
            sampled_queries: 0,
        }]
    }

    fn model_calls(&self) -> Arc<dyn ModelCalls> {
        Arc::new(LetterModel)
    }
}

/// An embedder of letters: texts with the same letters are near to each other.
#[derive(Debug)]
struct LetterModel;

fn letters(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; CAPTION_DIMENSIONS as usize];
    for byte in text.bytes() {
        vector[usize::from(byte)] += 1.0;
    }
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1.0);
    vector.iter_mut().for_each(|value| *value /= norm);
    vector
}

impl ModelCalls for LetterModel {
    fn embed(&self, model: Option<&str>, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        match model {
            None => Ok(texts.iter().map(|text| letters(text).into()).collect()),
            Some(name) => Err(ModelError::UnknownModel { name: name.into(), nearest: None }),
        }
    }

    fn dimensions(&self, _model: Option<&str>) -> Result<usize, ModelError> {
        Ok(CAPTION_DIMENSIONS as usize)
    }
}

#[derive(Debug)]
struct TestTable {
    table: StandardTable,
    second_source: Option<&'static str>,
}

#[async_trait]
impl TableProvider for TestTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let cut = state.config().get_extension::<Cut>().expect("a query has a cut");
        let frames = cut.0.downcast_ref::<Frames>().expect("the cut is ours").0;
        let mut columns = columns(self.table, frames);
        if let Some(second) = self.second_source {
            let names = (0..columns[0].len()).map(|row| [second, "lobby"][row % 2]);
            columns[0] = Arc::new(StringArray::from_iter_values(names));
        }
        let batch = RecordBatch::try_new(self.schema(), columns)?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?
            .scan(state, projection, filters, limit)
            .await
    }
}

fn columns(table: StandardTable, frames: i64) -> Vec<ArrayRef> {
    let rows = match table {
        StandardTable::Frames | StandardTable::Detections => frames,
        StandardTable::Tracks => 2,
        StandardTable::Captions => 3,
        StandardTable::Embeddings => 0,
    };
    let schema = table.schema();
    schema.fields().iter().map(|field| column(field, rows)).collect()
}

/// Values that follow from the column's name, type and row number.
fn column(field: &Field, rows: i64) -> ArrayRef {
    let count = usize::try_from(rows).expect("is a count");
    let numbers = 0..rows;
    match (field.name().as_str(), field.data_type()) {
        ("source", _) => Arc::new(StringArray::from_iter_values(numbers.map(|_| "lobby"))),
        ("class_name", _) => Arc::new(StringArray::from_iter_values(
            numbers.map(|row| if row % 3 == 0 { "car" } else { "person" }),
        )),
        ("caption", _) => Arc::new(StringArray::from_iter_values(
            numbers.map(|row| ["a dog runs", "two people walk", "a red car"][row as usize]),
        )),
        ("frame_uri", _) => Arc::new(StringArray::new_null(count)),
        (name, DataType::Utf8) => {
            Arc::new(StringArray::from_iter_values(numbers.map(|row| format!("{name} {row}"))))
        }
        (_, DataType::Boolean) => {
            Arc::new(BooleanArray::from_iter(numbers.map(|row| Some(row == 0))))
        }
        (_, DataType::Int32) => Arc::new(Int32Array::from_iter_values(0..rows as i32)),
        (_, DataType::Int64) => Arc::new(Int64Array::from_iter_values(numbers)),
        (_, DataType::Float32) => {
            Arc::new(Float32Array::from_iter_values(numbers.map(|row| row as f32 / 2.0)))
        }
        (_, DataType::Float64) => {
            Arc::new(Float64Array::from_iter_values(numbers.map(|row| row as f64 / 4.0)))
        }
        (_, DataType::Timestamp(..)) => Arc::new(
            TimestampMicrosecondArray::from_iter_values(
                numbers.map(|row| START_MICROS + row * 40_000),
            )
            .with_timezone("UTC"),
        ),
        (_, DataType::FixedSizeList(item, dimensions)) => {
            let captions = ["a dog runs", "two people walk", "a red car"];
            let values: Vec<f32> =
                numbers.flat_map(|row| letters(captions[row as usize])).collect();
            let values = Arc::new(Float32Array::from(values));
            Arc::new(
                FixedSizeListArray::try_new(Arc::clone(item), *dimensions, values, None)
                    .expect("the lengths fit"),
            )
        }
        ("positions", DataType::List(item)) => {
            let fields = position_fields();
            let arrays: Vec<ArrayRef> = fields.iter().map(|field| column(field, rows)).collect();
            let values = StructArray::try_new(fields, arrays, None).expect("the lengths fit");
            let offsets = OffsetBuffer::from_lengths(vec![1; values.len()]);
            Arc::new(
                ListArray::try_new(Arc::clone(item), offsets, Arc::new(values), None)
                    .expect("the lengths fit"),
            )
        }
        (_, data_type) => new_empty_array(data_type),
    }
}
