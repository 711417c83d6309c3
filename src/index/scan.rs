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
//! they are sorted by the exact distance then, by the sort above or by [`Request::sort`]. There are `k`
//! whenever `k` rows match.
//!
//! The pages of a list (`LIMIT page OFFSET n`, so `k = n + page`) repeat no row: they are cut from
//! one list, whatever `n` is. It begins with the rows of the first page, which a walk of their own finds.
//! Then the graph is walked in batches of a size that depends on the page alone, and a row of a later
//! batch that is nearer than one of an earlier batch was missed then and is left out. Only
//! where the graph has no more rows does an exact list take its place.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use datafusion::common::exec_datafusion_err;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use vigil_sql::catalog::StandardTable;
use vigil_sql::{NotShort, SearchSettings};
use vigil_udfs::{UdfError, VectorKind};

use super::conditions::is_volatile;
use super::graph::Graph;
use super::kernel::{Metric, product_and_square};
use super::matching::Matching;
use super::registry::Indexes;
use super::search::SearchStatistics;
use super::vector_index::{Built, VectorIndex, normalised, prepared};
use crate::tables::{Snapshot, TableRows};

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
    /// So many rows are wanted, those of the pages before included.
    pub(super) k: usize,
    /// So many of them are the rows of a page.
    pub(super) page: usize,
    /// Whether it is known which of equally near rows come first.
    pub(super) ties: Ties,
    /// The condition, over the columns of `projection`.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The table's columns that the plan reads; `None` is all.
    pub(super) projection: Option<Vec<usize>>,
    pub(super) settings: SearchSettings,
    /// Whether nothing may be done that takes longer than a walk through the graph.
    pub(super) at_once: bool,
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

/// Whether something decides between rows that are equally near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ties {
    /// Any may come.
    Any,
    /// The order has more terms, so all that are as near as the last one must be looked at.
    Ordered,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Positions of rows in the table.
    pub(super) positions: Vec<usize>,
    /// Their distances in order, as near as `f32` tells them, or none: where they are not known, and once the rows
    /// are sorted.
    pub(super) distances: Vec<f32>,
    pub(super) way: Way,
    pub(super) statistics: SearchStatistics,
    /// Rows whose distance was computed without the graph.
    pub(super) scanned: usize,
}

/// The column with the name of a row's source.
const SOURCE: &str = "source";
/// Tables up to this size are scanned: that is no slower than a walk, and finds all.
const SMALL_TABLE: usize = 2_048;
/// A row that the graph is asked for takes as long as so many of a scan, as its vector lies anywhere.
const GRAPH_OVER_SCAN: usize = 4;
/// The graph is left when more than one in so many rows is wanted.
pub(super) const WANTED_SHARE: usize = 8;
/// Tables up to this size have their condition evaluated at once; larger ones are sampled first.
/// Tests have no such tables.
const SMALL: usize = if cfg!(test) { 2_500 } else { 65_536 };
/// Rows of a sample.
const SAMPLED_ROWS: usize = 2_048;
/// Distances this near to the last one wanted may change places when they are computed exactly.
pub(super) const SLACK: f32 = 1e-5;

/// The nearest rows.
///
/// # Errors
/// What the condition says, and when a row that counts has a vector of another model.
pub(super) fn run(request: &Request, rows: &TableRows, indexes: &Indexes) -> Result<Outcome> {
    let metric = request.target.metric;
    if request.at_once {
        return at_once(request, rows, indexes);
    }
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
    let page = request.page.min(k);
    if rows.rows() <= SMALL_TABLE || page.saturating_mul(WANTED_SHARE) > graph.rows() {
        return scan.exactly(request.matching(rows)?.as_ref());
    }
    if request.target.nulls == Nulls::First && scan.lacks_distances(built) {
        return everything(request, rows);
    }
    let Some(predicate) = &request.predicate else {
        let outcome = scan.in_graph(built, None)?;
        if outcome.positions.len() >= k {
            scan.perhaps_sample(&outcome, indexes);
            return Ok(outcome);
        }
        return scan.completed(outcome, None);
    };
    // Which rows are of a source is known without looking at them.
    if rows.rows() > SMALL
        && request.settings.iterative_scan
        && !request.is_of_source(predicate)?
        && request.share(rows)? >= 0.5
    {
        let outcome = scan.iteratively(built)?;
        if outcome.positions.len() < k {
            return scan.completed(outcome, request.matching(rows)?.as_ref());
        }
        scan.perhaps_sample(&outcome, indexes);
        return Ok(outcome);
    }
    let matching = request.matching(rows)?;
    let count = matching.as_ref().map_or(rows.rows(), Matching::count);
    if is_for_graph(count, rows.rows(), request.settings.ef_search.max(page))
        && count > page.saturating_mul(WANTED_SHARE)
    {
        let outcome = scan.in_graph(built, matching.as_ref())?;
        if outcome.positions.len() < k {
            return scan.completed(outcome, matching.as_ref());
        }
        scan.perhaps_sample(&outcome, indexes);
        return Ok(outcome);
    }
    scan.exactly(matching.as_ref())
}

/// Whether `count` rows of `rows` are found sooner in the graph than by a scan of them. The graph is walked
/// until it has met `ef` that match, about one in `rows / count`.
fn is_for_graph(count: usize, rows: usize, ef: usize) -> bool {
    let visited = ef.saturating_mul(rows) / count.max(1);
    count > visited.saturating_mul(GRAPH_OVER_SCAN)
}

/// Rows that are not in the graph yet and may be searched all the same in a short search.
const FEW_PENDING: usize = 2_048;

/// A walk through the graph, where that alone answers.
///
/// # Errors
/// [`NotShort`] where something else has to be done.
fn at_once(request: &Request, rows: &TableRows, indexes: &Indexes) -> Result<Outcome> {
    let not_short = || DataFusionError::External(Box::new(NotShort));
    let Target { table, metric, index, model, .. } = &request.target;
    let other_models = model.as_ref().is_some_and(|(_, expected)| {
        let mut sources = request.snapshot.sources();
        sources.any(|tables| tables.may_have_other_model(*table, expected))
    });
    let query = request.query.as_deref().and_then(|query| prepared(*metric, query));
    let (Some(query), Some(index), false) = (query, index, other_models) else {
        return Err(not_short());
    };
    let k = request.k.min(rows.rows());
    let built = index.built();
    let fits = built.has_one_length()
        && built.graph().is_some_and(|graph| {
            let is_small_part = request.page.min(k).saturating_mul(WANTED_SHARE) <= graph.rows();
            graph.options().dimensions == query.len() && is_small_part
        });
    let scan = Scan { request, rows, query: &query, k };
    if rows.rows() <= SMALL_TABLE {
        return scan.exactly(None);
    }
    if !fits || built.placed(&built.parts(), rows).pending.len() > FEW_PENDING {
        return Err(not_short());
    }
    let outcome = scan.in_graph(&built, None)?;
    if outcome.positions.len() < k {
        return Err(not_short());
    }
    scan.perhaps_sample(&outcome, indexes);
    Ok(outcome)
}

pub(super) fn everything(request: &Request, rows: &TableRows) -> Result<Outcome> {
    let matching = request.matching(rows)?;
    let positions = match matching {
        Some(matching) => matching.positions().collect(),
        None => (0..rows.rows()).collect(),
    };
    let (distances, statistics) = (Vec::new(), SearchStatistics::default());
    Ok(Outcome { positions, distances, way: Way::Exact, statistics, scanned: rows.rows() })
}

/// A condition over some columns of a table; `None` is all.
type Narrowed = (Arc<dyn PhysicalExpr>, Option<Vec<usize>>);

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
                let counts = matching.as_ref().is_none_or(|matching| matching.has(position + row));
                if counts && vectors.is_valid(row) && models.is_valid(row) {
                    vigil_udfs::check_model(models.value(row), expected)?;
                }
            }
            position += batch.num_rows();
        }
        Ok(())
    }

    pub(super) fn matching(&self, rows: &TableRows) -> Result<Option<Matching>> {
        let Some(predicate) = &self.predicate else { return Ok(None) };
        if self.is_of_source(predicate)? {
            // One row of each source tells of all.
            let sources = rows.sources().map(|(_, rows)| rows);
            let sources: Vec<Range<usize>> = sources.filter(|rows| !rows.is_empty()).collect();
            let first: Vec<usize> = sources.iter().map(|rows| rows.start).collect();
            let passing = self.passing(rows, &first)?;
            let passing =
                sources.into_iter().filter(|rows| passing.binary_search(&rows.start).is_ok());
            return Ok(Some(Matching::whole(passing.collect())));
        }
        let mut all = Vec::with_capacity(rows.rows());
        for batch in rows.batches().filter(|batch| batch.num_rows() > 0) {
            let passes = evaluate(predicate, &self.projected(batch)?)?;
            all.extend(passes.values().iter());
        }
        Ok(Some(Matching::each(all)))
    }

    /// Sorts rows that were found as `ORDER BY` does: by the distances that SQL's functions give, equal ones as
    /// they came. Those that are computed again are of rows whose distances `f32` does not tell apart.
    ///
    /// # Errors
    /// When a vector has another length than the query.
    pub(super) fn sort(
        &self,
        rows: &TableRows,
        outcome: &mut Outcome,
        is_first: bool,
    ) -> Result<()> {
        let Some(query) = self.query.as_deref() else { return Ok(()) };
        // They are of the order that was.
        let distances = std::mem::take(&mut outcome.distances);
        let positions = &mut outcome.positions;
        // The error of an inner product grows with the vectors' lengths.
        let are_known =
            distances.len() == positions.len() && self.target.metric != Metric::InnerProduct;
        let mut start = 0;
        while start < positions.len() {
            let end = if are_known {
                let is_beyond = |pair: &[f32]| pair[1] > limit(pair[0], 1.0);
                let next = distances[start..].windows(2).position(is_beyond);
                next.map_or(positions.len(), |last| start + last + 1)
            } else {
                positions.len()
            };
            if !are_known || end - start > 1 {
                self.sort_exactly(rows, query, &mut positions[start..end], is_first)?;
            }
            start = end;
        }
        Ok(())
    }

    fn sort_exactly(
        &self,
        rows: &TableRows,
        query: &[f32],
        positions: &mut [usize],
        is_first: bool,
    ) -> Result<()> {
        let Target { column, metric, nulls, .. } = self.target;
        let distance = |at: &usize| {
            let Some(vector) = rows.vector(column, *at) else { return Ok(None) };
            if vector.len() != query.len() {
                let (left, right) = match is_first {
                    true => (vector.len(), query.len()),
                    false => (query.len(), vector.len()),
                };
                return Err(UdfError::DifferentDimensions {
                    kind: VectorKind::Vector,
                    left,
                    right,
                });
            }
            Ok(metric.exact(query, vector))
        };
        let distances = positions.iter().map(distance).collect::<Result<Vec<_>, _>>()?;
        let mut sorted: Vec<(Option<f64>, usize)> =
            distances.into_iter().zip(positions.iter().copied()).collect();
        sorted.sort_by(|(left, _), (right, _)| match (left, right) {
            (Some(left), Some(right)) => left.total_cmp(right),
            _ if nulls == Nulls::First => left.is_some().cmp(&right.is_some()),
            _ => left.is_none().cmp(&right.is_none()),
        });
        for (position, (_, at)) in positions.iter_mut().zip(sorted) {
            *position = at;
        }
        Ok(())
    }

    /// Whether a condition asks for nothing but the source.
    fn is_of_source(&self, predicate: &Arc<dyn PhysicalExpr>) -> Result<bool> {
        let source = self.target.table.schema().index_of(SOURCE)?;
        let place = match &self.projection {
            Some(columns) => columns.iter().position(|column| *column == source),
            None => Some(source),
        };
        let mut is_of_source = true;
        predicate.apply(|part| {
            if let Some(column) = part.downcast_ref::<Column>() {
                is_of_source &= Some(column.index()) == place;
            }
            Ok(if is_of_source { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(is_of_source && !is_volatile(predicate)?)
    }

    /// The share of rows that fulfil the condition, estimated from a sample.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn share(&self, rows: &TableRows) -> Result<f64> {
        let step = (rows.rows() / SAMPLED_ROWS).max(1);
        let positions: Vec<usize> = (0..rows.rows()).step_by(step).collect();
        let passed = self.passing(rows, &positions)?.len();
        Ok(passed as f64 / positions.len().max(1) as f64)
    }

    /// The condition over the columns that it reads alone, and which of the table's those are: to gather
    /// vectors takes longer than anything that a condition asks of other columns.
    fn narrowed(&self, predicate: &Arc<dyn PhysicalExpr>) -> Result<Narrowed> {
        let read: BTreeSet<usize> = collect_columns(predicate).iter().map(Column::index).collect();
        let read: Vec<usize> = read.into_iter().collect();
        if read.is_empty() {
            // A batch without columns has no rows.
            return Ok((Arc::clone(predicate), self.projection.clone()));
        }
        let narrowed = Arc::clone(predicate).transform_up(|part| {
            let Some(column) = part.downcast_ref::<Column>() else {
                return Ok(Transformed::no(part));
            };
            let Ok(place) = read.binary_search(&column.index()) else {
                return Ok(Transformed::no(part));
            };
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), place));
            Ok(Transformed::yes(column))
        })?;
        let in_table = |column: &usize| match &self.projection {
            Some(columns) => columns[*column],
            None => *column,
        };
        Ok((narrowed.data, Some(read.iter().map(in_table).collect())))
    }

    /// Those of `positions` that fulfil the condition.
    pub(super) fn passing(&self, rows: &TableRows, positions: &[usize]) -> Result<Vec<usize>> {
        let Some(predicate) = &self.predicate else { return Ok(positions.to_vec()) };
        let (predicate, columns) = self.narrowed(predicate)?;
        let Some(batch) = rows.gather(positions, columns.as_deref())? else {
            return Ok(Vec::new());
        };
        let passes = evaluate(&predicate, &batch)?;
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

pub(super) struct Scan<'a> {
    pub(super) request: &'a Request,
    pub(super) rows: &'a TableRows,
    /// Normalised for the cosine.
    pub(super) query: &'a [f32],
    pub(super) k: usize,
}

impl Scan<'_> {
    /// Whether there may be rows without a distance.
    fn lacks_distances(&self, built: &Built) -> bool {
        let parts = built.parts();
        let sources = self.rows.sources();
        let linked = sources.filter_map(|(source, _)| parts.number(source));
        linked.into_iter().any(|number| parts.has_gaps(number))
            || built.placed(&parts, self.rows).pending.iter().any(|at| self.distance(*at).is_none())
    }

    /// What the graph gave, and of the rows that it did not reach those that are farther: a page that was cut
    /// from what it gave repeats no row then. Where there is no page before, the nearest rows of all.
    fn completed(&self, given: Outcome, matching: Option<&Matching>) -> Result<Outcome> {
        let last = given.positions.last().and_then(|at| self.distance(*at));
        let Some(last) = last.filter(|_| self.k > self.request.page) else {
            return self.exactly(matching);
        };
        let Scan { request, rows, query, k } = *self;
        let all = Scan { request, rows, query, k: rows.rows() }.exactly(matching)?;
        let known: BTreeSet<usize> = given.positions.iter().copied().collect();
        let is_farther = |at: &usize| self.distance(*at).is_none_or(|distance| distance >= last);
        let rest = all.positions.into_iter().filter(|at| !known.contains(at) && is_farther(at));
        let positions = given.positions.iter().copied().chain(rest).take(k).collect();
        Ok(Outcome { positions, distances: Vec::new(), scanned: all.scanned, ..given })
    }

    /// The distance by the table's own values.
    pub(super) fn distance(&self, at: usize) -> Option<f32> {
        let Target { column, metric, .. } = self.request.target;
        let vector = self.rows.vector(column, at)?;
        (vector.len() == self.query.len()).then(|| between(metric, self.query, vector))?
    }

    /// The `k` nearest, and those that are as near as the last of them for all that sums of `f32`
    /// can tell, nearest first and equally near ones by position; `scale` is how large their terms
    /// may be.
    pub(super) fn cut(&self, mut nearest: Vec<(f32, usize)>, scale: f32) -> Vec<usize> {
        let by_distance = |left: &(f32, usize), right: &(f32, usize)| {
            left.0.total_cmp(&right.0).then(left.1.cmp(&right.1))
        };
        if nearest.len() > self.k && self.k > 0 {
            let (_, last, _) = nearest.select_nth_unstable_by(self.k - 1, by_distance);
            let limit = limit(last.0, scale);
            nearest.retain(|(distance, _)| *distance <= limit);
        }
        if self.k == 0 {
            nearest.clear();
        }
        nearest.sort_unstable_by(by_distance);
        nearest.into_iter().map(|(_, position)| position).collect()
    }

    /// The same of a list that is in order already, of which the rows that `more` adds were found
    /// beside: the order of the list stays, as pages are cut from it.
    pub(super) fn cut_list(
        &self,
        list: Vec<(f32, usize)>,
        mut more: Vec<(f32, usize)>,
    ) -> (Vec<usize>, Vec<f32>) {
        more.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let mut merged: Vec<(f32, usize)> = Vec::with_capacity(list.len() + more.len());
        let mut more = more.into_iter().peekable();
        for one in list {
            while let Some(other) = more.next_if(|other| other.0 < one.0) {
                merged.push(other);
            }
            merged.push(one);
        }
        merged.extend(more);
        if let Some((last, _)) = merged.get(self.k.saturating_sub(1)).copied() {
            let limit = limit(last, 1.0);
            merged.retain(|(distance, _)| *distance <= limit);
        }
        if self.k == 0 {
            merged.clear();
        }
        merged.into_iter().map(|(distance, position)| (position, distance)).unzip()
    }
}

/// The greatest distance that may be the same as this one, for all that sums of `f32` can tell.
pub(super) fn limit(distance: f32, scale: f32) -> f32 {
    distance + SLACK * (scale.max(1.0) + distance.abs())
}

/// The distance of a prepared query and a vector as the table has it; `None` for the cosine of a
/// vector of zeros.
pub(super) fn between(metric: Metric, query: &[f32], vector: &[f32]) -> Option<f32> {
    if metric != Metric::Cosine {
        return Some(metric.distance(query, vector, 1.0));
    }
    let (product, square) = product_and_square(query, vector);
    if square.is_normal() {
        return Some(1.0 - product / square.sqrt());
    }
    // The square is too small or too large for `f32`, unless the vector is one of zeros.
    normalised(vector).map(|vector| metric.distance(query, &vector, 1.0))
}
