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

use super::codes::Precision;
use super::graph::RowKey;
use super::kernel::Metric;
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
    pub(super) index: Arc<VectorIndex>,
    pub(super) snapshot: Arc<Snapshot>,
    /// The query as the client gave it.
    pub(super) query: Vec<f32>,
    /// So many rows are wanted.
    pub(super) k: usize,
    /// The condition, over the columns of `projection`.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The table's columns that the plan reads; `None` is all.
    pub(super) projection: Option<Vec<usize>>,
    pub(super) settings: SearchSettings,
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

/// The nearest rows.
///
/// # Errors
/// What the condition says.
pub(super) fn run(request: &Request, rows: &TableRows, indexes: &Indexes) -> Result<Outcome> {
    let metric = request.index.definition.metric;
    let Some(query) = prepared(metric, &request.query) else {
        // Without a direction nothing is near: all rows come, with distance NULL.
        return everything(request, rows);
    };
    let k = request.k.min(rows.rows());
    let built = request.index.built();
    let scan = Scan { request, rows, query: &query, k };
    let Some(graph) = built.graph().filter(|graph| graph.options().dimensions == query.len())
    else {
        return scan.exactly(request.matching(rows)?.as_ref());
    };
    if k.saturating_mul(WANTED_SHARE) > graph.rows() {
        return scan.exactly(request.matching(rows)?.as_ref());
    }
    if request.predicate.is_none() {
        let outcome = scan.in_graph(&built, None)?;
        if outcome.positions.len() >= k {
            scan.perhaps_sample(&outcome, indexes);
            return Ok(outcome);
        }
        return scan.exactly(None);
    }
    if rows.rows() > SMALL && request.settings.iterative_scan && request.share(rows)? >= 0.5 {
        let outcome = scan.iteratively(&built)?;
        if outcome.positions.len() >= k {
            return Ok(outcome);
        }
    }
    let matching = request.matching(rows)?;
    let count = matching.as_ref().map_or(rows.rows(), Matching::count);
    if count > FEW && count > k.saturating_mul(WANTED_SHARE) {
        let outcome = scan.in_graph(&built, matching.as_ref())?;
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
        Ok(Outcome { positions: self.cut(nearest), way, statistics, scanned })
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
        let positions = self.cut(nearest);
        Ok(Outcome { positions, way: Way::Iterative, statistics, scanned })
    }

    /// All rows that match.
    fn exactly(&self, matching: Option<&Matching>) -> Result<Outcome> {
        let column = self.request.index.definition.column;
        let metric = self.request.index.definition.metric;
        let mut nearest = Vec::new();
        let (mut at, mut matched, mut scanned) = (0, 0, 0);
        for batch in self.rows.batches() {
            for row in 0..batch.num_rows() {
                let position = at;
                at += 1;
                if !matching.is_none_or(|matching| matching.0[position]) {
                    continue;
                }
                matched += 1;
                let Some(vector) = vector(batch, column, row) else { continue };
                if vector.len() != self.query.len() {
                    // The distance says so when it is computed.
                    return everything(self.request, self.rows);
                }
                scanned += 1;
                if let Some(distance) = between(metric, self.query, vector) {
                    nearest.push((distance, position));
                }
            }
        }
        if nearest.len() < self.k.min(matched) {
            // Rows without a distance come last, but they come.
            return everything(self.request, self.rows);
        }
        let filtered = self.rows.rows() - matched;
        let positions = self.cut(nearest);
        let statistics = SearchStatistics { filtered, ..SearchStatistics::default() };
        Ok(Outcome { positions, way: Way::Exact, statistics, scanned })
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
        let vector = self.rows.vector(self.request.index.definition.column, at)?;
        if vector.len() != self.query.len() {
            return None;
        }
        between(self.request.index.definition.metric, self.query, vector)
    }

    /// Puts the table's own values in the place of what the graph kept in fewer bits.
    fn rank_again(&self, nearest: &mut [(f32, usize)]) {
        if self.request.index.definition.precision == Precision::Full {
            return;
        }
        for (distance, at) in nearest {
            if let Some(exact) = self.distance(*at) {
                *distance = exact;
            }
        }
    }

    /// The `k` nearest, and those that are as near as the last of them.
    fn cut(&self, mut nearest: Vec<(f32, usize)>) -> Vec<usize> {
        if nearest.len() > self.k && self.k > 0 {
            let by_distance =
                |left: &(f32, usize), right: &(f32, usize)| left.0.total_cmp(&right.0);
            let (_, last, _) = nearest.select_nth_unstable_by(self.k - 1, by_distance);
            let limit = last.0 + SLACK * (1.0 + last.0.abs());
            nearest.retain(|(distance, _)| *distance <= limit);
        }
        if self.k == 0 {
            nearest.clear();
        }
        nearest.into_iter().map(|(_, position)| position).collect()
    }

    fn perhaps_sample(&self, outcome: &Outcome, indexes: &Indexes) {
        let index = &self.request.index;
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
    let scale = if metric == Metric::Cosine {
        let norm = norm(vector);
        (norm > 0.0).then(|| 1.0 / norm)?
    } else {
        1.0
    };
    Some(metric.distance(query, vector, scale))
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
