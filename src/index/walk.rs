//! The ways through the graph: batches of the nearest rows, nearest first, until there are enough.

use std::collections::BTreeSet;

use datafusion::error::Result;

use super::codes::Precision;
use super::graph::{Graph, RowKey};
use super::matching::Matching;
use super::scan::{Outcome, Request, Scan, Ties, Way, limit};
use super::search::{Effort, Found, Resumable, Search, SearchStatistics};
use super::vector_index::Built;

/// Rows that a batch has beyond those of a page, so that rows as near as the last one are in it.
const BEYOND_PAGE: usize = 8;

/// How many times as many candidates a search keeps as it is told, where eight bits do not tell them apart.
const WIDEST: usize = 8;

/// Which rows a walk has to find.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// So many of the nearest, and those that are as near as the last of them.
    All(usize),
    /// So many of the nearest, whichever of equally near ones they are.
    AnyFirst(usize),
}

impl Wanted {
    /// Whether they are among these, which are sorted.
    fn are_in(self, nearest: &[(f32, usize)]) -> bool {
        let (Self::All(k) | Self::AnyFirst(k)) = self;
        let (Some((wanted, _)), Some((last, _))) =
            (nearest.get(k.saturating_sub(1)), nearest.last())
        else {
            return false;
        };
        matches!(self, Self::AnyFirst(_)) || *last > limit(*wanted, 1.0)
    }
}

/// The list whose first page is that of `first`, and whose others are cut from `all`: a row that is nearer and
/// that the first page does not have was missed there, and is left out.
fn continued(
    mut first: Vec<(f32, usize)>,
    all: Vec<(f32, usize)>,
    page: usize,
) -> Vec<(f32, usize)> {
    let Some((last, _)) = page.checked_sub(1).and_then(|last| first.get(last)) else { return all };
    let reach = limit(*last, 1.0);
    first.retain(|(distance, _)| *distance <= reach);
    let last = first.last().map_or(f32::NEG_INFINITY, |(distance, _)| *distance);
    let known: BTreeSet<usize> = first.iter().map(|(_, at)| *at).collect();
    first.extend(all.into_iter().filter(|(distance, at)| *distance >= last && !known.contains(at)));
    first
}

impl Scan<'_> {
    /// Rows from the graph that match, and the rows not in it yet.
    pub(super) fn in_graph(&self, built: &Built, matching: Option<&Matching>) -> Result<Outcome> {
        // Before the search: what is linked from now on is searched twice at worst, never missed.
        let parts = built.parts();
        let placed = built.placed(&parts, self.rows);
        let Some(graph) = built.graph() else { return self.exactly(matching) };
        let accept = |key| {
            placed.position(key).is_some_and(|at| matching.is_none_or(|matching| matching.has(at)))
        };
        let most = match matching {
            Some(_) => self.request.settings.max_scan_tuples.max(self.k),
            None => usize::MAX,
        };
        let place = |found: &Found| {
            let at = placed.position(found.key).filter(|_| !parts.is_loose(found.key))?;
            Some((found.distance, at))
        };
        let keep = |batch: &[Found]| Ok(batch.iter().filter_map(place).collect());
        let (nearest, statistics) = if self.request.ties == Ties::Any {
            let page = self.request.page.min(self.k);
            let (first, mut statistics) =
                self.walk(graph, accept, most, Wanted::AnyFirst(page), keep)?;
            if self.k <= page {
                (first, statistics)
            } else {
                let (all, more) = self.walk(graph, accept, most, Wanted::All(self.k), keep)?;
                statistics.add(more);
                (continued(first, all, page), statistics)
            }
        } else {
            self.walk(graph, accept, most, Wanted::All(self.k), keep)?
        };
        let pending = placed.pending.iter().copied();
        let passing = pending.filter(|at| matching.is_none_or(|all| all.has(*at)));
        let beside = self.measured(passing);
        let scanned = beside.len();
        let way = if matching.is_some() { Way::Traversal } else { Way::Graph };
        let (positions, distances) = self.cut_list(nearest, beside);
        Ok(Outcome { positions, distances, way, statistics, scanned })
    }

    /// Batches from the graph, each tested, until enough rows fulfil the condition.
    pub(super) fn iteratively(&self, built: &Built) -> Result<Outcome> {
        let parts = built.parts();
        let placed = built.placed(&parts, self.rows);
        let Some(graph) = built.graph() else { return self.exactly(None) };
        let accept = |key| placed.position(key).is_some() && !parts.is_loose(key);
        let most = self.request.settings.max_scan_tuples.max(self.k);
        let (nearest, mut statistics) =
            self.walk(graph, accept, most, Wanted::All(self.k), |batch: &[Found]| {
                let place = |found: &Found| Some((found.distance, placed.position(found.key)?));
                let batch: Vec<(f32, usize)> = batch.iter().filter_map(place).collect();
                let positions: Vec<usize> = batch.iter().map(|(_, position)| *position).collect();
                let passing = self.request.passing(self.rows, &positions)?;
                // Both are in the order of the batch.
                let mut passing = passing.into_iter().peekable();
                Ok(batch.into_iter().filter(|(_, at)| passing.next_if_eq(at).is_some()).collect())
            })?;
        statistics.filtered += statistics.returned - nearest.len();
        let pending = self.request.passing(self.rows, &placed.pending)?;
        let beside = self.measured(pending.into_iter());
        let scanned = beside.len();
        let (positions, distances) = self.cut_list(nearest, beside);
        Ok(Outcome { positions, distances, way: Way::Iterative, statistics, scanned })
    }

    /// Batches from the graph until there are enough rows of those that `keep` leaves, nearest
    /// first. The rows of all that are wanted are the first of a list that does not depend on how many those
    /// are. Of any first rows no others are ranked.
    fn walk(
        &self,
        graph: &Graph,
        accept: impl Fn(RowKey) -> bool,
        most: usize,
        wanted: Wanted,
        keep: impl Fn(&[Found]) -> Result<Vec<(f32, usize)>>,
    ) -> Result<(Vec<(f32, usize)>, SearchStatistics)> {
        let Request { settings, page, .. } = self.request;
        let mut ef =
            settings.ef_search.max(page.saturating_add(BEYOND_PAGE)).min(graph.rows().max(1));
        let widest = ef.saturating_mul(WIDEST).min(graph.rows());
        let (Wanted::All(k) | Wanted::AnyFirst(k)) = wanted;
        let mut resumable = if k > ef { Resumable::Yes } else { Resumable::No };
        let mut effort = Effort::Adaptive;
        'walks: loop {
            let mut search = Search::new(graph, self.query, &accept, resumable);
            let mut nearest: Vec<(f32, usize)> = Vec::new();
            loop {
                let batch = match wanted {
                    Wanted::AnyFirst(few) if resumable == Resumable::No => {
                        search.nearest(ef, most, few, effort)
                    }
                    _ => search.next_batch(ef, most),
                };
                if search.is_unsure() && search.statistics().visited < most {
                    if effort == Effort::Adaptive {
                        effort = Effort::Whole;
                        continue 'walks;
                    }
                    if ef < widest {
                        ef = ef.saturating_mul(2).min(widest);
                        continue 'walks;
                    }
                }
                let is_last = search.is_exhausted();
                let mut batch = keep(&batch)?;
                if self.rank_again(&mut batch) {
                    // Stable: equally near rows stay as the graph gave them.
                    batch.sort_by(|left, right| left.0.total_cmp(&right.0));
                }
                let last = nearest.last().map_or(f32::NEG_INFINITY, |(distance, _)| *distance);
                nearest.extend(batch.into_iter().filter(|(distance, _)| *distance >= last));
                if is_last || wanted.are_in(&nearest) {
                    return Ok((nearest, search.statistics()));
                }
                if resumable == Resumable::No {
                    break;
                }
            }
            // One batch was not enough; a search that goes on has to remember more.
            resumable = Resumable::Yes;
        }
    }

    /// Rows at some positions with their own distances.
    fn measured(&self, positions: impl Iterator<Item = usize>) -> Vec<(f32, usize)> {
        positions.filter_map(|at| Some((self.distance(at)?, at))).collect()
    }

    /// Puts the table's own values in the place of what the graph kept in fewer bits; false where
    /// it kept them whole.
    fn rank_again(&self, nearest: &mut [(f32, usize)]) -> bool {
        let index = self.request.target.index.as_ref();
        if index.is_none_or(|index| index.definition.precision == Precision::Full) {
            return false;
        }
        for (distance, at) in nearest {
            if let Some(exact) = self.distance(*at) {
                *distance = exact;
            }
        }
        true
    }
}
