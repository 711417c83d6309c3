//! An engine whose rows are committed as a source commits them, with a session in front of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use vigil::source::SourceDefaults;
use vigil::tables::{CaptionCommit, CaptionRow, RowContext};
use vigil::{Engine, EngineConfig, SourceId};
use vigil_sql::{Database, Outcome, Session, SqlError};

pub(super) const DIMENSIONS: usize = 384;

pub(super) struct Fixture {
    pub(super) engine: Arc<Engine>,
    session: Session,
    runtime: tokio::runtime::Runtime,
    pub(super) sentences: Vec<String>,
    _data: tempfile::TempDir,
}

/// A vector for a sentence: those with words in common are near.
pub(super) fn vector_of(sentence: &str) -> Vec<f32> {
    vigil_test_data::vector_of_words(sentence, DIMENSIONS)
}

pub(super) fn literal(sentence: &str) -> String {
    let elements: Vec<String> = vector_of(sentence).iter().map(f32::to_string).collect();
    format!("'[{}]'", elements.join(","))
}

impl Fixture {
    /// An engine and the sentences, or nothing where there is no test data.
    pub(super) fn new() -> Option<Self> {
        let sentences = vigil_test_data::sentences()?;
        let data = tempfile::tempdir().expect("a folder");
        let engine = Engine::start(EngineConfig {
            data: data.path().display().to_string(),
            models_dir: vigil_test_data::models(),
            workers: 1,
            inference_threads: 1,
            defaults: SourceDefaults::default(),
            base_dir: vigil_test_data::root().join("data"),
            places: Default::default(),
        })
        .expect("an engine");
        let session = Database::new(Arc::<Engine>::clone(&engine)).expect("a database").session();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Some(Self { engine, session, runtime, sentences, _data: data })
    }

    /// Adds a source, if it is not there, whose captions are embedded by `embedder`.
    pub(super) fn add_source(&self, source: i64, name: &str, embedder: &str) {
        let tables = self.engine.tables();
        if tables.snapshot().source(SourceId(source)).is_none() {
            let context = RowContext {
                source: name.to_owned(),
                detector: None,
                tracker: "iou".into(),
                captioner: Some("test:1".into()),
                embedder: Some(embedder.to_owned()),
                reid: Some("looks:1".into()),
                labels: Arc::from([]),
            };
            tables.add_source(SourceId(source), context);
        }
    }

    /// Commits rows of a source as its dataflow does.
    pub(super) fn commit(&self, source: i64, name: &str, rows: std::ops::Range<usize>) {
        let vectors = rows.map(|row| (row, vector_of(&self.sentences[row])));
        self.commit_vectors(source, name, vectors);
    }

    /// The same with other vectors than those of the rows' sentences.
    pub(super) fn commit_vectors(
        &self,
        source: i64,
        name: &str,
        rows: impl Iterator<Item = (usize, Vec<f32>)>,
    ) {
        self.add_source(source, name, "words:1");
        let tables = self.engine.tables();
        let captions = rows.map(|(row, vector)| CaptionRow {
            frame_number: i64::try_from(row).expect("few rows"),
            ts_micros: i64::try_from(row).expect("few rows") * 40_000,
            caption: Some(self.sentences[row].clone()),
            scene: None,
            objects: BTreeMap::new(),
            embedding: Some(Arc::from(vector)),
        });
        let commit = CaptionCommit { captions: captions.collect(), tick: None };
        tables.commit_captions(SourceId(source), &commit).expect("rows of the schema");
    }

    pub(super) fn try_rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
        let statements = self.session.parse(sql)?;
        let mut rows = Vec::new();
        for statement in statements {
            let outcome = self.runtime.block_on(self.session.execute(&statement))?;
            if let Outcome::Rows { batches, .. } = outcome {
                let batches: Vec<RecordBatch> =
                    self.runtime.block_on(batches.try_collect()).map_err(SqlError::from)?;
                rows = batches.iter().flat_map(shown).collect();
            }
        }
        Ok(rows)
    }

    pub(super) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{sql:.200}: {error}"))
    }

    pub(super) fn refused(&mut self, sql: &str) -> (String, String) {
        let error = self.try_rows(sql).expect_err(sql);
        (error.sqlstate().to_owned(), error.to_string())
    }

    /// Builds the index over what is there, so that a test knows what the graph holds.
    pub(super) fn reindex(&mut self) {
        self.rows("REINDEX INDEX captions_embedding_idx");
    }

    pub(super) fn plan(&mut self, sql: &str) -> String {
        let lines = self.rows(&format!("EXPLAIN ANALYZE {sql}"));
        lines.concat().join("\n")
    }
}

fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| (column, ArrayFormatter::try_new(column, &options).expect("displayable")))
        .collect();
    let value = |row: usize| {
        let values = columns.iter().map(|(column, shown)| {
            if column.is_null(row) { "NULL".to_owned() } else { shown.value(row).to_string() }
        });
        values.collect()
    };
    (0..batch.num_rows()).map(value).collect()
}

/// The share of the rows of `expected` that are in `found`.
pub(super) fn recall(found: &[Vec<String>], expected: &[Vec<String>]) -> f64 {
    let hits = expected.iter().filter(|row| found.contains(row)).count();
    if expected.is_empty() { 1.0 } else { hits as f64 / expected.len() as f64 }
}
