//! One search: a query, a snapshot and perhaps a condition go in; the positions of the nearest
//! rows that fulfil it come out, and which way was taken.
//!
//! | way | when |
//! | --- | --- |
//! | `graph` | there is no condition: the graph, and rows not in it yet exactly |
//! | `traversal` | the rows that fulfil the condition are known: the graph is walked, and only they count |
//! | `iterative` | most rows fulfil it: batches from the graph, each tested, until there are enough |
//! | `exact` | few rows fulfil it, nearly all are wanted, or the other ways gave too few |
//!
//! What comes out has the `k` nearest rows, as far as the graph finds them, and perhaps a few more:
//! the sort above it orders them by the exact distance. There are `k` whenever `k` rows match.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use vigil_sql::SearchSettings;
use vigil_sql::catalog::StandardTable;

use super::codes::Precision;
use super::graph::{Graph, RowKey};
use super::kernel::{Metric, product_and_square};
use super::registry::{Indexes, SAMPLE_EVERY, Sample};
use super::search::{Resumable, Search, SearchStatistics};
use super::table_rows::{TableRows, vector};
use super::vector_index::{Built, Parts, VectorIndex, norm, prepared};
use crate::tables::Snapshot;

/// How the rows were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Graph,
    Traversal,
    Iterative,
    Exact,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graph => "graph",
            Self::Traversal => "traversal",
            Self::Iterative => "iterative",
            Self::Exact => "exact",
        })
    }
}

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) snapshot: Arc<Snapshot>,
    /// The query as the client gave it; without one no row has a distance.
    pub(super) query: Option<Vec<f32>>,
    /// So many rows are wanted.
    pub(super) k: usize,
    /// The condition, over the columns of `projection`.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The table's columns that the plan reads; `None` is all.
    pub(super) projection: Option<Vec<usize>>,
    pub(super) settings: SearchSettings,
}

/// Where it is searched.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) table: StandardTable,
    /// The column's place in the table.
    pub(super) column: usize,
    pub(super) metric: Metric,
    /// `None` where no index fits: all rows are looked at.
    pub(super) index: Option<Arc<VectorIndex>>,
    /// The model that the rows' vectors must be of, and the column that names theirs.
    pub(super) model: Option<(usize, String)>,
    pub(super) nulls: Nulls,
}

/// Where rows without a distance come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    First,
    Last,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Positions of rows in the table.
    pub(super) positions: Vec<usize>,
    pub(super) way: Way,
    pub(super) statistics: SearchStatistics,
    /// Rows whose distance was computed without the graph.
    pub(super) scanned: usize,
}

/// Up to so many rows that match are scanned rather than looked for in the graph.
const FEW: usize = 2_000;
/// The graph is left when more than one in so many rows is wanted.
const WANTED_SHARE: usize = 8;
/// Tables up to this size have their condition evaluated at once; larger ones are sampled first.
const SMALL: usize = 65_536;
/// Rows of a sample.
const SAMPLED_ROWS: usize = 2_048;
/// Distances this near to the last one wanted may change places when they are computed exactly.
const SLACK: f32 = 1e-5;

/// Tables up to this size are scanned by one thread.
const FOR_ONE_THREAD: usize = 16_384;

/// The nearest rows.
///
/// # Errors
/// What the condition says, and when a row that counts has a vector of another model.
pub(super) fn run(request: &Request, rows: &TableRows, indexes: &Indexes) -> Result<Outcome> {
    let metric = request.target.metric;
    request.check_models(rows)?;
    let query = request.query.as_deref().and_then(|query| prepared(metric, query));
    let Some(query) = query else {
        // Nothing is near: all rows come, with distance NULL.
        return everything(request, rows);
    };
    let k = request.k.min(rows.rows());
    let scan = Scan { request, rows, query: &query, k };
    let built = request.target.index.as_ref().map(|index| index.built());
    let built = built.filter(|built| {
        let same_length = |graph: &Graph| graph.options().dimensions == query.len();
        built.has_one_length() && built.graph().is_some_and(same_length)
    });
    let Some((built, graph)) = built.as_ref().and_then(|built| Some((built, built.graph()?)))
    else {
        return scan.exactly(request.matching(rows)?.as_ref());
    };
    if k.saturating_mul(WANTED_SHARE) > graph.rows() {
        return scan.exactly(request.matching(rows)?.as_ref());
    }
    if request.target.nulls == Nulls::First && scan.lacks_distances(&built.parts()) {
        return everything(request, rows);
    }
    if request.predicate.is_none() {
        let outcome = scan.in_graph(built, None)?;
        if outcome.positions.len() >= k {
            scan.perhaps_sample(&outcome, indexes);
            return Ok(outcome);
        }
        return scan.exactly(None);
    }
    if rows.rows() > SMALL && request.settings.iterative_scan && request.share(rows)? >= 0.5 {
        let outcome = scan.iteratively(built)?;
        if outcome.positions.len() >= k {
            return Ok(outcome);
        }
    }
    let matching = request.matching(rows)?;
    let count = matching.as_ref().map_or(rows.rows(), Matching::count);
    if count > FEW && count > k.saturating_mul(WANTED_SHARE) {
        let outcome = scan.in_graph(built, matching.as_ref())?;
        if outcome.positions.len() >= k {
            return Ok(outcome);
        }
    }
    scan.exactly(matching.as_ref())
}

fn everything(request: &Request, rows: &TableRows) -> Result<Outcome> {
    let matching = request.matching(rows)?;
    let positions = match matching {
        Some(matching) => matching.positions().collect(),
        None => (0..rows.rows()).collect(),
    };
    let statistics = SearchStatistics::default();
    Ok(Outcome { positions, way: Way::Exact, statistics, scanned: rows.rows() })
}

/// Which rows fulfil the condition, by position.
struct Matching(Vec<bool>);

impl Matching {
    fn count(&self) -> usize {
        self.0.iter().filter(|matches| **matches).count()
    }

    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().filter_map(|(position, matches)| matches.then_some(position))
    }
}

impl Request {
    fn projected(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(match &self.projection {
            Some(columns) => batch.project(columns)?,
            None => batch.clone(),
        })
    }

    /// Refuses rows that count and whose vectors another model made: a distance to those would
    /// be a number without a meaning. A scan says the same when it computes the distance.
    fn check_models(&self, rows: &TableRows) -> Result<()> {
        let Target { table, column, model, .. } = &self.target;
        let Some((model_column, expected)) = model else { return Ok(()) };
        let mut sources = self.snapshot.sources();
        if !sources.any(|tables| tables.may_have_other_model(*table, expected)) {
            return Ok(());
        }
        let matching = self.matching(rows)?;
        let mut position = 0;
        for batch in rows.batches() {
            let (vectors, models) = (batch.column(*column), batch.column(*model_column));
            let models = models
                .as_string_opt::<i32>()
                .ok_or_else(|| exec_datafusion_err!("the name of a model is no text"))?;
            for row in 0..batch.num_rows() {
                let counts = matching.as_ref().is_none_or(|matching| matching.0[position + row]);
                if counts && vectors.is_valid(row) && models.is_valid(row) {
                    vigil_udfs::check_model(models.value(row), expected)?;
                }
            }
            position += batch.num_rows();
        }
        Ok(())
    }

    fn matching(&self, rows: &TableRows) -> Result<Option<Matching>> {
        let Some(predicate) = &self.predicate else { return Ok(None) };
        let mut all = Vec::with_capacity(rows.rows());
        for batch in rows.batches() {
            let passes = evaluate(predicate, &self.projected(batch)?)?;
            all.extend(passes.values().iter());
        }
        Ok(Some(Matching(all)))
    }

    /// The share of rows that fulfil the condition, estimated from a sample.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn share(&self, rows: &TableRows) -> Result<f64> {
        let step = (rows.rows() / SAMPLED_ROWS).max(1);
        let positions: Vec<usize> = (0..rows.rows()).step_by(step).collect();
        let passed = self.passing(rows, &positions)?.len();
        Ok(passed as f64 / positions.len().max(1) as f64)
    }

    /// Those of `positions` that fulfil the condition.
    fn passing(&self, rows: &TableRows, positions: &[usize]) -> Result<Vec<usize>> {
        let Some(predicate) = &self.predicate else { return Ok(positions.to_vec()) };
        let Some(batch) = rows.gather(positions, self.projection.as_deref())? else {
            return Ok(Vec::new());
        };
        let passes = evaluate(predicate, &batch)?;
        let passing = positions.iter().zip(passes.values().iter());
        Ok(passing.filter_map(|(position, passes)| passes.then_some(*position)).collect())
    }
}

/// A condition's value for each row; NULL counts as false.
pub(super) fn evaluate(
    predicate: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<BooleanArray> {
    let value = predicate.evaluate(batch)?.into_array(batch.num_rows())?;
    let value = value
        .as_boolean_opt()
        .ok_or_else(|| exec_datafusion_err!("a condition must be of type boolean"))?;
    Ok(if value.null_count() > 0 { prep_null_mask_filter(value) } else { value.clone() })
}

/// Some rows' distances.
#[derive(Debug, Default)]
struct Part {
    nearest: Vec<(f32, usize)>,
    matched: usize,
    has_other_length: bool,
    /// The greatest square of a vector's length, for the inner product.
    greatest_square: f32,
}

struct Scan<'a> {
    request: &'a Request,
    rows: &'a TableRows,
    /// Normalised for the cosine.
    query: &'a [f32],
    k: usize,
}

/// The positions of the rows of each part of the graph, as far as they are in the snapshot and
/// linked.
fn visible(parts: &Parts, rows: &TableRows) -> Vec<Range<usize>> {
    let mut visible = vec![0..0; parts.count()];
    for (source, positions) in rows.sources() {
        if let Some(number) = parts.number(source) {
            let done = parts.done(source).min(positions.len());
            visible[number] = positions.start..positions.start + done;
        }
    }
    visible
}

fn position(visible: &[Range<usize>], key: RowKey) -> Option<usize> {
    let rows = visible.get(key.part as usize)?;
    let position = rows.start + key.row as usize;
    rows.contains(&position).then_some(position)
}

impl Scan<'_> {
    /// One batch from the graph of rows that match, and the rows not in it yet.
    fn in_graph(&self, built: &Built, matching: Option<&Matching>) -> Result<Outcome> {
        // Before the search: what is linked from now on is searched twice at worst, never missed.
        let parts = built.parts();
        let visible = visible(&parts, self.rows);
        let Some(graph) = built.graph() else { return self.exactly(matching) };
        let accept = |key| {
            position(&visible, key).is_some_and(|at| matching.is_none_or(|matching| matching.0[at]))
        };
        let mut search = Search::new(graph, self.query, accept, Resumable::No);
        let most = match matching {
            Some(_) => self.request.settings.max_scan_tuples.max(self.k),
            None => usize::MAX,
        };
        let found = search.next_batch(self.request.settings.ef_search.max(self.k), most);
        let statistics = search.statistics();
        let mut nearest: Vec<(f32, usize)> = found
            .iter()
            .filter_map(|found| Some((found.distance, position(&visible, found.key)?)))
            .collect();
        self.rank_again(&mut nearest);
        let scanned = self.scan_pending(&parts, matching, &mut nearest);
        let way = if matching.is_some() { Way::Traversal } else { Way::Graph };
        Ok(Outcome { positions: self.cut(nearest, 1.0), way, statistics, scanned })
    }

    /// Batches from the graph, each tested, until enough rows fulfil the condition.
    fn iteratively(&self, built: &Built) -> Result<Outcome> {
        let parts = built.parts();
        let visible = visible(&parts, self.rows);
        let Some(graph) = built.graph() else { return self.exactly(None) };
        let accept = |key| position(&visible, key).is_some();
        let mut search = Search::new(graph, self.query, accept, Resumable::Yes);
        let ef = self.request.settings.ef_search.max(self.k);
        let most = self.request.settings.max_scan_tuples.max(self.k);
        let mut nearest: Vec<(f32, usize)> = Vec::new();
        loop {
            let batch = search.next_batch(ef, most);
            if batch.is_empty() {
                break;
            }
            let batch: Vec<(f32, usize)> = batch
                .iter()
                .filter_map(|found| Some((found.distance, position(&visible, found.key)?)))
                .collect();
            let positions: Vec<usize> = batch.iter().map(|(_, position)| *position).collect();
            let passing = self.request.passing(self.rows, &positions)?;
            // Both are in the order of the batch.
            let mut passing = passing.into_iter().peekable();
            nearest.extend(batch.into_iter().filter(|(_, at)| passing.next_if_eq(at).is_some()));
            if nearest.len() >= self.k {
                break;
            }
        }
        let mut statistics = search.statistics();
        statistics.filtered += statistics.returned - nearest.len();
        self.rank_again(&mut nearest);
        let pending = self.pending(&parts);
        let pending = self.request.passing(self.rows, &pending)?;
        let scanned = pending.len();
        nearest.extend(pending.into_iter().filter_map(|at| Some((self.distance(at)?, at))));
        let positions = self.cut(nearest, 1.0);
        Ok(Outcome { positions, way: Way::Iterative, statistics, scanned })
    }

    /// All rows that match, by as many threads as there are cores.
    fn exactly(&self, matching: Option<&Matching>) -> Result<Outcome> {
        let rows = self.rows.rows();
        let threads = match rows {
            0..=FOR_ONE_THREAD => 1,
            _ => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let share = rows.div_ceil(threads).max(1);
        let part = |number: usize| number * share..((number + 1) * share).min(rows);
        let mut parts: Vec<Part> = Vec::with_capacity(threads);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|number| {
                    let name = format!("scan-{number}");
                    let work = move || self.part(part(number), matching);
                    (number, std::thread::Builder::new().name(name).spawn_scoped(scope, work))
                })
                .collect();
            parts.push(self.part(part(0), matching));
            for (number, other) in others {
                let done = other.ok().and_then(|other| other.join().ok());
                // Where no thread could be had, this one does its part.
                parts.push(done.unwrap_or_else(|| self.part(part(number), matching)));
            }
        });
        let has_other_length = parts.iter().any(|part| part.has_other_length);
        let matched: usize = parts.iter().map(|part| part.matched).sum();
        let greatest = parts.iter().map(|part| part.greatest_square).fold(0.0, f32::max);
        let mut nearest = std::mem::take(&mut parts[0].nearest);
        for part in &parts[1..] {
            nearest.extend_from_slice(&part.nearest);
        }
        let lacks = nearest.len() < matched;
        let is_short = match self.request.target.nulls {
            Nulls::First => lacks,
            Nulls::Last => nearest.len() < self.k.min(matched),
        };
        if has_other_length || is_short {
            // Of another length: the distance says so when it is computed. Rows without a
            // distance come last, or first, but they come.
            return everything(self.request, self.rows);
        }
        let scanned = nearest.len();
        // The error of an inner product grows with the vectors' lengths.
        let scale = match self.request.target.metric {
            Metric::InnerProduct => norm(self.query) * greatest.sqrt(),
            Metric::Cosine | Metric::L2 | Metric::L1 => 1.0,
        };
        let positions = self.cut(nearest, scale);
        let statistics =
            SearchStatistics { filtered: rows - matched, ..SearchStatistics::default() };
        Ok(Outcome { positions, way: Way::Exact, statistics, scanned })
    }

    /// The distances of the rows at some positions, as far as they match.
    fn part(&self, positions: Range<usize>, matching: Option<&Matching>) -> Part {
        let Target { column, metric, .. } = self.request.target;
        let mut part = Part::default();
        if matching.is_none() {
            part.nearest.reserve(positions.len());
        }
        let mut at = positions.start;
        while at < positions.end {
            let (number, first) = self.rows.locate(at);
            let batch = &self.rows.batches()[number];
            let last = batch.num_rows().min(first + positions.end - at);
            for row in first..last {
                let position = at + row - first;
                if !matching.is_none_or(|matching| matching.0[position]) {
                    continue;
                }
                part.matched += 1;
                let Some(vector) = vector(batch, column, row) else { continue };
                if vector.len() != self.query.len() {
                    part.has_other_length = true;
                    return part;
                }
                if metric == Metric::InnerProduct {
                    let (product, square) = product_and_square(self.query, vector);
                    part.greatest_square = part.greatest_square.max(square);
                    part.nearest.push((-product, position));
                } else if let Some(distance) = between(metric, self.query, vector) {
                    part.nearest.push((distance, position));
                }
            }
            at += last - first;
        }
        part
    }

    /// Whether there may be rows without a distance.
    fn lacks_distances(&self, parts: &Parts) -> bool {
        let sources = self.rows.sources();
        let linked = sources.filter_map(|(source, _)| parts.number(source));
        linked.into_iter().any(|number| parts.has_gaps(number))
            || self.pending(parts).into_iter().any(|at| self.distance(at).is_none())
    }

    /// Positions of rows that are not in the graph yet.
    fn pending(&self, parts: &Parts) -> Vec<usize> {
        let sources = self.rows.sources();
        sources.flat_map(|(source, rows)| rows.skip(parts.done(source))).collect()
    }

    fn scan_pending(
        &self,
        parts: &Parts,
        matching: Option<&Matching>,
        nearest: &mut Vec<(f32, usize)>,
    ) -> usize {
        let mut scanned = 0;
        for at in self.pending(parts) {
            let passes = matching.is_none_or(|matching| matching.0[at]);
            if passes && let Some(distance) = self.distance(at) {
                scanned += 1;
                nearest.push((distance, at));
            }
        }
        scanned
    }

    /// The distance by the table's own values.
    fn distance(&self, at: usize) -> Option<f32> {
        let Target { column, metric, .. } = self.request.target;
        let vector = self.rows.vector(column, at)?;
        (vector.len() == self.query.len()).then(|| between(metric, self.query, vector))?
    }

    /// Puts the table's own values in the place of what the graph kept in fewer bits.
    fn rank_again(&self, nearest: &mut [(f32, usize)]) {
        let index = self.request.target.index.as_ref();
        if index.is_none_or(|index| index.definition.precision == Precision::Full) {
            return;
        }
        for (distance, at) in nearest {
            if let Some(exact) = self.distance(*at) {
                *distance = exact;
            }
        }
    }

    /// The `k` nearest, and those that are as near as the last of them for all that sums of `f32`
    /// can tell; `scale` is how large their terms may be.
    fn cut(&self, mut nearest: Vec<(f32, usize)>, scale: f32) -> Vec<usize> {
        if nearest.len() > self.k && self.k > 0 {
            let by_distance =
                |left: &(f32, usize), right: &(f32, usize)| left.0.total_cmp(&right.0);
            let (_, last, _) = nearest.select_nth_unstable_by(self.k - 1, by_distance);
            let limit = last.0 + SLACK * (scale.max(1.0) + last.0.abs());
            nearest.retain(|(distance, _)| *distance <= limit);
        }
        if self.k == 0 {
            nearest.clear();
        }
        nearest.into_iter().map(|(_, position)| position).collect()
    }

    fn perhaps_sample(&self, outcome: &Outcome, indexes: &Indexes) {
        let Some(index) = &self.request.target.index else { return };
        if index.predicate.is_some()
            || !index.queries.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE_EVERY)
        {
            return;
        }
        indexes.sample(Sample {
            index: Arc::clone(index),
            snapshot: Arc::clone(&self.request.snapshot),
            query: self.query.to_vec(),
            found: outcome.positions.clone(),
        });
    }
}

/// The distance of a prepared query and a vector as the table has it; `None` for the cosine of a
/// vector of zeros.
fn between(metric: Metric, query: &[f32], vector: &[f32]) -> Option<f32> {
    if metric != Metric::Cosine {
        return Some(metric.distance(query, vector, 1.0));
    }
    let (product, square) = product_and_square(query, vector);
    if square.is_normal() {
        return Some(1.0 - product / square.sqrt());
    }
    // The square is too small or too large for `f32`, unless the vector is one of zeros.
    let norm = norm(vector);
    (norm > 0.0).then(|| metric.distance(query, vector, 1.0 / norm))
}

/// How many rows a sample compares.
const RECALL_AT: usize = 10;

/// Answers a sample exactly and counts how many of the true ten nearest rows were found.
pub(super) fn check_sample(sample: &Sample) {
    let definition = &sample.index.definition;
    let rows = TableRows::new(&sample.snapshot, definition.table);
    let distance = |at: usize| {
        let vector = rows.vector(definition.column, at)?;
        (vector.len() == sample.query.len()).then_some(())?;
        between(definition.metric, &sample.query, vector)
    };
    let mut exact: Vec<f32> = (0..rows.rows()).filter_map(distance).collect();
    let wanted = RECALL_AT.min(sample.found.len());
    if wanted == 0 || exact.len() < wanted {
        return;
    }
    let (_, last, _) = exact.select_nth_unstable_by(wanted - 1, f32::total_cmp);
    // By distance, not by row: rows with the same vector are as good as each other.
    let limit = *last + SLACK * last.abs().max(f32::MIN_POSITIVE);
    let found = sample.found.iter().filter_map(|at| distance(*at));
    let matched = found.filter(|distance| *distance <= limit).count().min(wanted);
    sample.index.count_sample(wanted, matched);
}
