//! Searching a graph: a query goes in, rows come out batch by batch, no row twice.
//!
//! What a row must fulfil is asked while the graph is walked: a row that does not pass leads on
//! to its neighbours and takes no place among the `ef` best. So deleted rows, rows after the
//! query's cut and rows that a filter excludes cost their visit and nothing else.

use std::cmp::Ordering::Greater;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::codes::{Lengths, Precision, Probe, Steps, walks_by_steps};
use super::graph::{Graph, GraphOptions, RowKey, View, place};
use super::kernel::Metric;
use super::links::NONE;
use super::scan::limit;
use super::vector_index::norm;
use super::visited::Visited;

/// What a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStatistics {
    /// Nodes whose edges were followed.
    pub hops: usize,
    /// Rows whose distance was computed.
    pub visited: usize,
    /// Rows that were not accepted.
    pub filtered: usize,
    /// Rows that were returned.
    pub returned: usize,
}

impl SearchStatistics {
    /// Counts another search for the same rows.
    pub(super) fn add(&mut self, other: Self) {
        self.hops += other.hops;
        self.visited += other.visited;
        self.filtered += other.filtered;
        self.returned += other.returned;
    }
}

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Its distance as the graph keeps vectors.
    pub distance: f32,
    /// Which one it is.
    pub key: RowKey,
}

/// A distance and a node as one number that sorts as the distance does.
#[inline]
pub(super) fn pack(distance: f32, node: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits };
    u64::from(ordered) << 32 | u64::from(node)
}

#[inline]
pub(super) fn unpack(packed: u64) -> (f32, u32) {
    let ordered = (packed >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered };
    (f32::from_bits(bits), packed as u32)
}

/// The nodes of a search on one level: those to look at next and the best so far.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    open: BinaryHeap<Reverse<u64>>,
    pub(super) found: BinaryHeap<u64>,
    pub(super) fresh: Vec<u32>,
}

impl Candidates {
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.found.clear();
    }

    /// The best, nearest first.
    pub(super) fn nearest(&self) -> Vec<(f32, u32)> {
        let mut found: Vec<u64> = self.found.iter().copied().collect();
        found.sort_unstable();
        found.into_iter().map(unpack).collect()
    }

    #[inline]
    pub(super) fn offer(&mut self, distance: f32, node: u32, ef: usize) {
        let packed = pack(distance, node);
        if self.found.len() < ef {
            self.found.push(packed);
        } else if let Some(mut worst) = self.found.peek_mut()
            && packed < *worst
        {
            *worst = packed;
        } else {
            return;
        }
        self.open.push(Reverse(packed));
    }

    /// The node that is looked at next if nothing nearer comes.
    #[inline]
    pub(super) fn likely_next(&self) -> Option<u32> {
        self.open.peek().map(|Reverse(packed)| unpack(*packed).1)
    }

    /// The nearest node not looked at yet; `None` when the best cannot get better.
    #[inline]
    pub(super) fn next(&mut self, ef: usize) -> Option<(f32, u32)> {
        let Reverse(nearest) = self.open.pop()?;
        if self.found.len() >= ef && self.found.peek().is_some_and(|worst| nearest > *worst) {
            return None;
        }
        Some(unpack(nearest))
    }
}

/// The nearest rows so far of a search that wants few, and when they are enough.
///
/// A walk for a few rows ends where all that is open is much farther than the last of them: Al-Jazzazi et al.,
/// "Distance Adaptive Beam Search for Provably Accurate Graph-Based Nearest Neighbor Search" (arXiv:2505.15636). Where
/// rows lie close together it is shorter by that; where they do not, `ef` ends it sooner.
#[derive(Debug)]
struct Few {
    k: usize,
    /// How many times as far counts as much farther, and what is added to that.
    times: f32,
    more: f32,
    nearest: BinaryHeap<u64>,
}

/// 1 + γ in the paper, for lengths.
const MUCH_FARTHER: f32 = 1.4;

/// What eight bits change a cosine by, and more.
const ROUNDED: f32 = 0.01;

impl Few {
    /// `None` where a distance is no length, nor the square of one.
    fn new(metric: Metric, k: usize) -> Option<Self> {
        let (times, more) = match metric {
            Metric::L1 => (MUCH_FARTHER, 0.0),
            Metric::L2 => (MUCH_FARTHER * MUCH_FARTHER, 0.0),
            // Half the square of a length.
            Metric::Cosine => (MUCH_FARTHER * MUCH_FARTHER, ROUNDED),
            Metric::InnerProduct => return None,
        };
        (k > 0).then(|| Self { k, times, more, nearest: BinaryHeap::with_capacity(k) })
    }

    #[inline]
    fn offer(&mut self, packed: u64) {
        if self.nearest.len() < self.k {
            self.nearest.push(packed);
        } else if let Some(mut worst) = self.nearest.peek_mut()
            && packed < *worst
        {
            *worst = packed;
        }
    }

    /// Whether nothing is looked for that leads by way of a node so far.
    #[inline]
    fn are_enough(&self, distance: f32) -> bool {
        self.nearest.len() == self.k
            && self
                .nearest
                .peek()
                .is_some_and(|worst| distance > unpack(*worst).0.max(0.0) * self.times + self.more)
    }
}

/// How many vectors ahead memory is asked for while those that were found are ranked.
const RANKED_AHEAD: usize = 3;

/// A search that can go on.
pub struct Search<'a, A> {
    graph: &'a Graph,
    view: Arc<View>,
    query: &'a [f32],
    /// The query in eight bits, where the graph is walked by them.
    steps: Option<Steps>,
    accept: A,
    visited: Visited,
    open: BinaryHeap<Reverse<u64>>,
    found: BinaryHeap<u64>,
    /// Accepted rows that were not among the best: the next batch's first.
    spare: BinaryHeap<Reverse<u64>>,
    fresh: Vec<u32>,
    /// Neighbours of one node that may be worth looking at.
    nearer: Vec<u64>,
    few: Option<Few>,
    statistics: SearchStatistics,
    resumable: bool,
    exhausted: bool,
    unsure: bool,
}

impl<'a, A: FnMut(RowKey) -> bool> Search<'a, A> {
    /// A search for the rows nearest to `query` among those that `accept` takes. A search that is
    /// not `resumable` gives one batch and is a little faster.
    pub fn new(graph: &'a Graph, query: &'a [f32], accept: A, resumable: Resumable) -> Self {
        let view = graph.view();
        let visited = graph.visited.take(view.nodes());
        let options = graph.options();
        let by_steps = options.precision != Precision::Half
            && walks_by_steps(options.metric, options.dimensions);
        let mut search = Self {
            graph,
            view,
            query,
            steps: by_steps.then(|| Steps::encode(query.len(), query)),
            accept,
            visited,
            open: BinaryHeap::new(),
            found: BinaryHeap::new(),
            spare: BinaryHeap::new(),
            fresh: Vec::new(),
            nearer: Vec::new(),
            few: None,
            statistics: SearchStatistics::default(),
            resumable: resumable == Resumable::Yes,
            exhausted: false,
            unsure: false,
        };
        search.begin();
        search
    }

    fn begin(&mut self) {
        let Some((top, entry)) = self.graph.entry() else { return };
        // A chunk that came after the view was taken may hold a new entry.
        if entry as usize >= self.view.nodes() {
            self.view = self.graph.view();
            self.graph.visited.give_back(std::mem::take(&mut self.visited));
            self.visited = self.graph.visited.take(self.view.nodes());
        }
        let metric = self.graph.options().metric;
        let probe = probe(self.query, self.steps.as_ref());
        let mut nearest = (self.view.walk_distance(metric, probe, entry), entry);
        for level in (1..=top).rev() {
            nearest = self.graph.descend(&self.view, probe, nearest, level);
            self.statistics.hops += 1;
        }
        self.visited.mark(nearest.1);
        self.statistics.visited += 1;
        self.open.push(Reverse(pack(nearest.0, nearest.1)));
        self.offer(nearest.0, nearest.1, usize::MAX);
    }

    /// The next rows by distance, at most `ef` of them and none that came before. Fewer come when
    /// no more can be reached or when `most` rows have been visited in all.
    pub fn next_batch(&mut self, ef: usize, most: usize) -> Vec<Found> {
        let mut batch = self.walk(ef, most);
        self.rank(&mut batch);
        self.found_of(batch)
    }

    /// The first `k` rows of a batch, those as near as the last of them, and some that may be. The whole
    /// vectors of the others are not looked at: what the walk knows of their distances is enough. The walk may
    /// end before the batch is full where `effort` lets it.
    pub fn nearest(&mut self, ef: usize, most: usize, k: usize, effort: Effort) -> Vec<Found> {
        self.few = match effort {
            Effort::Adaptive => Few::new(self.graph.options().metric, k),
            Effort::Whole => None,
        };
        if let Some(few) = &mut self.few {
            self.found.iter().for_each(|packed| few.offer(*packed));
        }
        let mut batch = self.walk(ef, most);
        self.few = None;
        let kept = self.rank_nearest(&mut batch, k);
        self.unsure = k < batch.len() && kept == batch.len() && !self.exhausted;
        batch.truncate(kept);
        self.found_of(batch)
    }

    /// Whether all of the last batch may be among the `k` nearest, for what is known of eight bits, so that
    /// others may be as well: vectors that lie closer together than rounding tells apart.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Whether the last batch was shorter than it might have been: there is no other.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// The next `ef` rows in no order, with the distances that the walk goes by.
    fn walk(&mut self, ef: usize, most: usize) -> Vec<u64> {
        self.refill(ef);
        let mut is_enough = false;
        while self.statistics.visited < most
            && let Some(Reverse(nearest)) = self.open.peek().copied()
        {
            if self.found.len() >= ef && self.found.peek().is_some_and(|worst| nearest > *worst) {
                break;
            }
            let (distance, node) = unpack(nearest);
            if self.few.as_ref().is_some_and(|few| few.are_enough(distance)) {
                is_enough = true;
                break;
            }
            self.open.pop();
            self.expand(node, ef);
        }
        self.exhausted = !is_enough && self.found.len() < ef;
        self.found.drain().collect()
    }

    fn found_of(&mut self, mut batch: Vec<u64>) -> Vec<Found> {
        batch.sort_unstable();
        self.statistics.returned += batch.len();
        let found = |packed| {
            let (distance, node) = unpack(packed);
            Found { distance, key: self.view.key(node) }
        };
        batch.into_iter().map(found).collect()
    }

    /// Ranks those that may be among the `k` nearest, puts them first, and says how many they are.
    fn rank_nearest(&self, batch: &mut [u64], k: usize) -> usize {
        let Some(steps) = self.steps.as_ref().filter(|_| 0 < k && k < batch.len()) else {
            self.rank(batch);
            return batch.len();
        };
        batch.select_nth_unstable(k - 1);
        let (first, rest) = batch.split_at_mut(k);
        self.rank(first);
        let worst = first.iter().max().map_or(f32::INFINITY, |packed| unpack(*packed).0);
        let limit = limit(worst, 1.0);
        let lengths = match self.graph.options().metric {
            Metric::Cosine => Lengths { query: 1.0, stored: Some(1.0) },
            _ => Lengths { query: norm(self.query), stored: None },
        };
        let mut kept = 0;
        for at in 0..rest.len() {
            let (distance, node) = unpack(rest[at]);
            let (chunk, place) = place(node);
            let error = self.view.codes[chunk].walk_error(steps, lengths, place);
            // What is beyond numbers is ranked as well: nothing is known of it.
            let is_beyond = |error: f32| (distance - error).partial_cmp(&limit) == Some(Greater);
            if !error.is_some_and(is_beyond) {
                rest.swap(kept, at);
                kept += 1;
            }
        }
        self.rank(&mut rest[..kept]);
        k + kept
    }

    /// Puts the distances of whole vectors in the place of those that the walk went by.
    fn rank(&self, batch: &mut [u64]) {
        let GraphOptions { precision, metric, .. } = *self.graph.options();
        if precision != Precision::Full || self.steps.is_none() {
            return;
        }
        for at in 0..batch.len() {
            if let Some(ahead) = batch.get(at + RANKED_AHEAD) {
                let (chunk, at) = place(unpack(*ahead).1);
                self.view.codes[chunk].prefetch_whole(self.query.len(), at);
            }
            let (_, node) = unpack(batch[at]);
            batch[at] = pack(self.view.distance(metric, self.query, node), node);
        }
    }

    /// What the search has done so far.
    pub fn statistics(&self) -> SearchStatistics {
        self.statistics
    }

    /// Puts the best of the rows that had no place before among the found ones.
    fn refill(&mut self, ef: usize) {
        while self.found.len() < ef
            && let Some(Reverse(packed)) = self.spare.pop()
        {
            self.found.push(packed);
        }
        while self.found.len() > ef {
            if let Some(worst) = self.found.pop() {
                self.spare.push(Reverse(worst));
            }
        }
    }

    fn expand(&mut self, node: u32, ef: usize) {
        self.statistics.hops += 1;
        let metric = self.graph.options().metric;
        let (chunk, at) = place(node);
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.clear();
        for neighbour in self.view.links[chunk].read(at, 0) {
            if self.visited.mark(neighbour) {
                self.view.prefetch(self.query.len(), neighbour);
                fresh.push(neighbour);
            }
        }
        self.statistics.visited += fresh.len();
        let steps = self.steps.take();
        let probe = probe(self.query, steps.as_ref());
        if let Some(Reverse(next)) = self.open.peek() {
            self.view.prefetch_links(unpack(*next).1);
        }
        let mut nearer = std::mem::take(&mut self.nearer);
        nearer.clear();
        for neighbour in &fresh {
            let packed = pack(self.view.walk_distance(metric, probe, *neighbour), *neighbour);
            if self.counts(packed, ef) {
                self.view.prefetch_row(*neighbour);
                nearer.push(packed);
            }
        }
        for packed in &nearer {
            if self.counts(*packed, ef) {
                let (distance, neighbour) = unpack(*packed);
                if self.open.peek().is_none_or(|Reverse(first)| packed < first) {
                    self.view.prefetch_links(neighbour);
                }
                self.open.push(Reverse(*packed));
                self.offer(distance, neighbour, ef);
            }
        }
        self.nearer = nearer;
        self.fresh = fresh;
        self.steps = steps;
    }

    /// Whether a node is worth looking at.
    #[inline]
    fn counts(&self, packed: u64, ef: usize) -> bool {
        self.resumable
            || self.found.len() < ef
            || self.found.peek().is_some_and(|worst| packed < *worst)
    }

    /// Gives the node's rows a place among the best `ef`, as far as they are accepted.
    fn offer(&mut self, distance: f32, node: u32, ef: usize) {
        let mut row = node;
        while row != NONE && (row as usize) < self.view.nodes() {
            if (self.accept)(self.view.key(row)) {
                let packed = pack(distance, row);
                if let Some(few) = &mut self.few {
                    few.offer(packed);
                }
                self.found.push(packed);
                if self.found.len() > ef
                    && let Some(worst) = self.found.pop()
                    && self.resumable
                {
                    self.spare.push(Reverse(worst));
                }
                // What is as near and comes later has no place; a twin that comes earlier has one,
                // as it would have in a search that can go on.
                if !self.resumable
                    && self.found.len() >= ef
                    && self.found.peek().is_some_and(|worst| unpack(*worst).0 < distance)
                {
                    return;
                }
            } else {
                self.statistics.filtered += 1;
            }
            row = self.view.twin(row);
        }
    }
}

impl<A> Drop for Search<'_, A> {
    fn drop(&mut self) {
        self.graph.visited.give_back(std::mem::take(&mut self.visited));
    }
}

/// What nodes are compared with.
fn probe<'a>(query: &'a [f32], steps: Option<&'a Steps>) -> Probe<'a> {
    match steps {
        Some(steps) => steps.probe(query.len(), 0),
        None => Probe::Whole(query),
    }
}

/// Whether a search gives more than one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumable {
    /// It remembers all that it has seen.
    Yes,
    /// It forgets what is not among the best.
    No,
}

/// How far a search for a few rows goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Until the rest is much farther than what was found.
    Adaptive,
    /// Until as many are found as `ef` says.
    Whole,
}
