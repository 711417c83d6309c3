//! An index: a graph, and which rows of the table are in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use arrow::array::{BooleanArray, RecordBatch};
use datafusion::physical_expr::PhysicalExpr;
use vigil_sql::{IndexInfo, SqlError};

use super::definition::{Definition, IndexError};
use super::graph::{Graph, GraphOptions, LinkScratch, RowKey};
use super::kernel::Metric;
use crate::source_id::SourceId;
use crate::tables::TableRows;

/// A graph and how far it follows each source.
#[derive(Debug, Default)]
pub(super) struct Built {
    graph: OnceLock<Graph>,
    /// Replaced as a whole, so that a search keeps what it began with.
    parts: RwLock<Arc<Parts>>,
    /// Of the last search.
    placed: Mutex<Option<Arc<Placed>>>,
    /// Held by who fills it.
    filling: Mutex<()>,
    /// Rows with a vector of another length than the graph's.
    other_lengths: AtomicUsize,
    /// Chunks of the graph when all of it was put on huge pages.
    gathered: AtomicUsize,
}

/// Where the rows of the graph are in a table, and which rows are not in it yet. Searches ask for it again and
/// again between two changes of either.
#[derive(Debug)]
pub(super) struct Placed {
    /// The positions of the rows of each part of the graph, as far as they are in the snapshot and
    /// linked.
    visible: Vec<Range<usize>>,
    /// Positions of rows that are not in the graph yet.
    pub(super) pending: Vec<usize>,
    parts_version: u64,
    rows_id: u64,
}

/// What has more rows beside the graph is not kept.
const KEPT_PENDING: usize = 8_192;

impl Placed {
    fn new(parts: &Parts, rows: &TableRows) -> Self {
        let mut visible = vec![0..0; parts.done.len()];
        let mut pending = Vec::new();
        for (source, positions) in rows.sources() {
            let Some(number) = parts.number(source) else {
                pending.extend(positions);
                continue;
            };
            let done = parts.done[number].min(positions.len());
            visible[number] = positions.start..positions.start + done;
            if !parts.loose.is_empty() {
                let part = u32::try_from(number).unwrap_or(u32::MAX);
                let from = parts.loose.partition_point(|key| key.part < part);
                let of_source = parts.loose[from..].iter().take_while(|key| key.part == part);
                let within = of_source.map(|key| key.row as usize).filter(|row| *row < done);
                pending.extend(within.map(|row| positions.start + row));
            }
            pending.extend(positions.skip(done));
        }
        Self { visible, pending, parts_version: parts.version, rows_id: rows.id() }
    }

    /// The position of a row of the graph; `None` where it is not to be seen.
    #[inline]
    pub(super) fn position(&self, key: RowKey) -> Option<usize> {
        let rows = self.visible.get(key.part as usize)?;
        let position = rows.start + key.row as usize;
        rows.contains(&position).then_some(position)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// Counts the changes.
    version: u64,
    /// The number of each source in the graph's keys.
    numbers: BTreeMap<SourceId, u32>,
    /// For each of them: so many rows from the first one on need no exact search, but for the
    /// loose ones.
    done: Vec<usize>,
    /// For each of them: rows in the graph.
    linked: Vec<usize>,
    /// Rows of the index that wait for others to fill a chunk with, in order.
    loose: Vec<RowKey>,
}

impl Parts {
    pub(super) fn number(&self, source: SourceId) -> Option<usize> {
        self.numbers.get(&source).map(|number| *number as usize)
    }

    pub(super) fn done(&self, source: SourceId) -> usize {
        self.number(source).map_or(0, |number| self.done[number])
    }

    /// Whether some of a part's rows that need no exact search are not in the graph, as they have
    /// no vector.
    pub(super) fn has_gaps(&self, number: usize) -> bool {
        let loose = self.loose.iter().filter(|key| key.part as usize == number).count();
        self.linked[number] + loose < self.done[number]
    }

    /// Whether a row waits for others; it may be on its way into the graph.
    pub(super) fn is_loose(&self, key: RowKey) -> bool {
        self.loose.binary_search(&key).is_ok()
    }

    fn source(&self, number: u32) -> Option<SourceId> {
        let mut numbers = self.numbers.iter();
        numbers.find_map(|(source, of)| (*of == number).then_some(*source))
    }

    fn number_or_new(&mut self, source: SourceId) -> usize {
        if let Some(number) = self.number(source) {
            return number;
        }
        let number = self.done.len();
        self.numbers.insert(source, u32::try_from(number).unwrap_or(u32::MAX));
        self.done.push(0);
        self.linked.push(0);
        number
    }
}

impl Built {
    pub(super) fn graph(&self) -> Option<&Graph> {
        self.graph.get()
    }

    /// Up to where each source is in the graph. Rows before that are linked already.
    pub(super) fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.parts.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_parts<T>(&self, change: impl FnOnce(&mut Parts) -> T) -> T {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let parts = Arc::make_mut(&mut parts);
        parts.version += 1;
        change(parts)
    }

    /// Where the graph's rows are in the table.
    pub(super) fn placed(&self, parts: &Parts, rows: &TableRows) -> Arc<Placed> {
        let kept = || self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(placed) = kept().as_ref()
            && (placed.parts_version, placed.rows_id) == (parts.version, rows.id())
        {
            return Arc::clone(placed);
        }
        // Without the lock: others may want another one, and it may be large.
        let placed = Arc::new(Placed::new(parts, rows));
        *kept() = (placed.pending.len() <= KEPT_PENDING).then(|| Arc::clone(&placed));
        placed
    }

    /// Whether a search of the graph answers for all vectors.
    pub(super) fn has_one_length(&self) -> bool {
        self.other_lengths.load(Ordering::Relaxed) == 0
    }
}

/// An index of a table.
#[derive(Debug)]
pub struct VectorIndex {
    /// What it is.
    pub(super) definition: Definition,
    /// The condition of a partial index, over the table's columns.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    built: RwLock<Arc<Built>>,
    /// What will take its place, while it is built again.
    next: Mutex<Option<Arc<Built>>>,
    pub(super) queries: AtomicU64,
    sampled: AtomicU64,
    expected: AtomicU64,
    matched: AtomicU64,
}

impl VectorIndex {
    pub(super) fn new(definition: Definition, predicate: Option<Arc<dyn PhysicalExpr>>) -> Self {
        Self {
            definition,
            predicate,
            built: RwLock::default(),
            next: Mutex::default(),
            queries: AtomicU64::default(),
            sampled: AtomicU64::default(),
            expected: AtomicU64::default(),
            matched: AtomicU64::default(),
        }
    }

    pub(super) fn built(&self) -> Arc<Built> {
        Arc::clone(&self.built.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the rows that are missing into the graph, as far as they fill chunks.
    ///
    /// # Errors
    /// [`IndexError::Rows`] when the condition cannot be evaluated.
    pub(super) fn fill(&self, rows: &TableRows, threads: usize) -> Result<(), IndexError> {
        self.fill_one(&self.built(), rows, threads)
    }

    /// Builds the graph again and takes the new one.
    ///
    /// # Errors
    /// [`IndexError::Rows`] when the condition cannot be evaluated.
    pub(super) fn rebuild(&self, rows: &TableRows, threads: usize) -> Result<(), IndexError> {
        let built = Arc::new(Built::default());
        *self.next() = Some(Arc::clone(&built));
        let filled = self.fill_one(&built, rows, threads);
        *self.next() = None;
        filled?;
        *self.built.write().unwrap_or_else(PoisonError::into_inner) = built;
        Ok(())
    }

    fn next(&self) -> MutexGuard<'_, Option<Arc<Built>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows that a build has looked at, and all of them.
    pub(super) fn progress(&self, rows: &TableRows) -> (usize, usize) {
        let next = self.next().clone();
        let parts = next.unwrap_or_else(|| self.built()).parts();
        (rows.rows() - waiting(&parts, rows), rows.rows())
    }

    fn fill_one(&self, built: &Built, rows: &TableRows, threads: usize) -> Result<(), IndexError> {
        let _filling: MutexGuard<'_, ()> =
            built.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filling = Filling::new(self, built, threads);
        let before = built.parts();
        for key in &before.loose {
            let source = before.source(key.part).and_then(|source| rows.source(source));
            let position = source.map(|source| source.start + key.row as usize);
            if let Some(vector) = position.and_then(|at| rows.vector(self.definition.column, at)) {
                filling.add(*key, vector);
            }
        }
        for (source, positions) in rows.sources() {
            let known = built.parts().number(source);
            let new = || built.change_parts(|parts| parts.number_or_new(source));
            let number = known.unwrap_or_else(new);
            let done = built.parts().done(source);
            let mut batch = usize::MAX;
            let mut passes: Option<BooleanArray> = None;
            for position in positions.clone().skip(done) {
                let (in_batch, row) = rows.locate(position);
                if in_batch != batch {
                    batch = in_batch;
                    passes = self.passes(rows.batch(batch))?;
                }
                let chosen = passes.as_ref().is_none_or(|passes| {
                    passes.value(row) && !arrow::array::Array::is_null(passes, row)
                });
                let row = position - positions.start;
                filling.seen.insert(number, row + 1);
                let vector = rows.vector(self.definition.column, position);
                if let Some(vector) = vector.filter(|_| chosen) {
                    let part = u32::try_from(number).unwrap_or(u32::MAX);
                    let row = u32::try_from(row).unwrap_or(u32::MAX);
                    filling.add(RowKey { part, row }, vector);
                }
            }
        }
        filling.link();
        filling.finish();
        Ok(())
    }

    fn options(&self, dimensions: usize) -> GraphOptions {
        GraphOptions {
            dimensions,
            metric: self.definition.metric,
            precision: self.definition.precision,
            m: self.definition.m,
            ef_construction: self.definition.ef_construction,
        }
    }

    /// Which rows a partial index has.
    fn passes(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>, IndexError> {
        let Some(predicate) = &self.predicate else { return Ok(None) };
        super::scan::evaluate(predicate, batch).map(Some).map_err(SqlError::from).map_err(|error| {
            IndexError::Rows { sqlstate: error.sqlstate(), message: error.to_string() }
        })
    }

    /// Rows in the graph whose source is gone.
    pub(super) fn deleted(&self, rows: &TableRows) -> usize {
        let parts = self.built().parts();
        let gone = parts.numbers.iter().filter(|(source, _)| rows.source(**source).is_none());
        gone.map(|(_, number)| parts.linked[*number as usize]).sum()
    }

    /// Rows in the graph.
    pub(super) fn linked(&self) -> usize {
        self.built().parts().linked.iter().sum()
    }

    /// Counts a query that was answered exactly as well.
    pub(super) fn count_sample(&self, expected: usize, matched: usize) {
        self.sampled.fetch_add(1, Ordering::Relaxed);
        self.expected.fetch_add(expected as u64, Ordering::Relaxed);
        self.matched.fetch_add(matched as u64, Ordering::Relaxed);
    }

    /// What `vigil_catalog.indexes` shows.
    #[expect(clippy::cast_precision_loss, reason = "shares of rows")]
    pub(super) fn info(&self, rows: &TableRows) -> IndexInfo {
        let built = self.built();
        let parts = built.parts();
        let waiting = waiting(&parts, rows);
        let deleted = self.deleted(rows);
        let linked = self.linked().saturating_sub(deleted);
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let expected = self.expected.load(Ordering::Relaxed);
        let matched = self.matched.load(Ordering::Relaxed);
        IndexInfo {
            name: self.definition.name.clone(),
            table: self.definition.table.name().to_owned(),
            definition: self.definition.to_string(),
            rows: whole(self.linked()),
            pending: whole(waiting),
            deleted: whole(deleted),
            bytes: whole(built.graph().map_or(0, Graph::bytes)),
            progress: match linked + waiting {
                0 => 1.0,
                all => linked as f64 / all as f64,
            },
            recall_at_10: (expected > 0).then(|| matched as f64 / expected as f64),
            sampled_queries: i64::try_from(self.sampled.load(Ordering::Relaxed))
                .unwrap_or(i64::MAX),
        }
    }
}

/// Chunks that are linked before their rows count as found.
const CHUNKS_AT_ONCE: usize = 16;

/// Rows of `rows` that are not in the graph and may have to be.
fn waiting(parts: &Parts, rows: &TableRows) -> usize {
    let done: usize = rows.sources().map(|(source, rows)| parts.done(source).min(rows.len())).sum();
    let loose = parts.loose.iter().filter(|key| {
        let source = parts.source(key.part).and_then(|source| rows.source(source));
        source.is_some_and(|source| (key.row as usize) < source.len())
    });
    rows.rows() - done + loose.count()
}

/// Rows on their way into the graph.
struct Filling<'a> {
    index: &'a VectorIndex,
    built: &'a Built,
    threads: usize,
    /// Those that wait for others to fill a chunk with.
    keys: Vec<RowKey>,
    vectors: Vec<f32>,
    /// Full chunks that are not linked yet: their first node, and their rows.
    chunks: Vec<(u32, Vec<RowKey>)>,
    /// Up to where each source has been read.
    seen: BTreeMap<usize, usize>,
}

impl<'a> Filling<'a> {
    fn new(index: &'a VectorIndex, built: &'a Built, threads: usize) -> Self {
        Self {
            index,
            built,
            threads,
            keys: Vec::new(),
            vectors: Vec::new(),
            chunks: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    fn add(&mut self, key: RowKey, vector: &[f32]) {
        let Some(vector) = prepared(self.index.definition.metric, vector) else { return };
        let graph = self.built.graph.get_or_init(|| Graph::new(self.index.options(vector.len())));
        if vector.len() != graph.options().dimensions {
            self.built.other_lengths.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.keys.push(key);
        self.vectors.extend(vector);
        if self.keys.len() == Graph::CHUNK {
            let keys = std::mem::take(&mut self.keys);
            let first = graph.add_chunk(&keys, std::mem::take(&mut self.vectors));
            self.chunks.push((first, keys));
            // A small share at once, so that rows are found early.
            if self.chunks.len() == CHUNKS_AT_ONCE {
                self.link();
            }
        }
    }

    /// Links the full chunks and says that all rows up to here are in the graph or loose.
    fn link(&mut self) {
        let is_new = !self.chunks.is_empty() || !self.seen.is_empty();
        if !is_new && self.keys.len() == self.built.parts().loose.len() {
            return;
        }
        if let Some(graph) = self.built.graph() {
            if let (Some((first, _)), Some((last, _))) = (self.chunks.first(), self.chunks.last()) {
                let chunk = |node: &u32| *node as usize / Graph::CHUNK;
                graph.gather_on_huge_pages(chunk(first)..chunk(last) + 1);
            }
            link(graph, &self.chunks, self.threads);
        }
        self.built.change_parts(|parts| {
            for key in self.chunks.drain(..).flat_map(|(_, keys)| keys) {
                parts.linked[key.part as usize] += 1;
            }
            for (number, seen) in &self.seen {
                parts.done[*number] = parts.done[*number].max(*seen);
            }
            parts.loose.clone_from(&self.keys);
            parts.loose.sort_unstable();
        });
    }

    /// What was gathered lies apart again in time, so all is gathered anew whenever the graph has grown by a quarter.
    fn finish(self) {
        let Some(graph) = self.built.graph() else { return };
        let chunks = graph.rows() / Graph::CHUNK;
        let gathered = self.built.gathered.load(Ordering::Relaxed);
        if chunks > gathered + gathered / 4 {
            graph.gather_on_huge_pages(0..chunks);
            self.built.gathered.store(chunks, Ordering::Relaxed);
        }
    }
}

/// Links the nodes of chunks.
fn link(graph: &Graph, chunks: &[(u32, Vec<RowKey>)], threads: usize) {
    let nodes: Vec<u32> = chunks
        .iter()
        .flat_map(|(first, keys)| (0..keys.len()).map(move |at| first + at as u32))
        .collect();
    let next = AtomicU32::new(0);
    let work = || {
        let mut scratch = LinkScratch::default();
        while let Some(node) = nodes.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            graph.link(*node, &mut scratch);
        }
    };
    std::thread::scope(|scope| {
        for number in 1..threads {
            let name = format!("index-{number}");
            // Without it the work takes longer and is done all the same.
            let _ = std::thread::Builder::new().name(name).spawn_scoped(scope, work);
        }
        work();
    });
}

/// A vector as the graph of `metric` wants it; `None` for one of zeros under the cosine.
pub(super) fn prepared(metric: Metric, vector: &[f32]) -> Option<Vec<f32>> {
    if metric != Metric::Cosine {
        return Some(vector.to_vec());
    }
    normalised(vector)
}

/// The vector with the length 1; `None` for one of zeros. Lengths may be beyond the numbers of `f32`.
#[expect(clippy::cast_possible_truncation, reason = "no element is greater than the length")]
pub(super) fn normalised(vector: &[f32]) -> Option<Vec<f32>> {
    let length = length(vector);
    let element = |value: &f32| (f64::from(*value) / length) as f32;
    (length > 0.0).then(|| vector.iter().map(element).collect())
}

/// The Euclidean length.
#[expect(clippy::cast_possible_truncation, reason = "the elements are of `f32`")]
pub(super) fn norm(vector: &[f32]) -> f32 {
    length(vector) as f32
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt()
}
