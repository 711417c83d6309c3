//! A hierarchical navigable small world graph (Malkov and Yashunin, arXiv:1603.09320): vectors go
//! in, a chunk at a time; the nearest ones come out, while others go in.
//!
//! Rows with the same vector are one node with a list of twins: a camera that sees a still scene
//! writes one caption a thousand times, and a thousand nodes without any distance between them
//! would be linked among themselves alone.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::codes::{Codes, Precision, Probe};
use super::kernel::Metric;
use super::links::{CHUNK, Links, NONE};
use super::pages::gather_on_huge_pages;
use super::search::Candidates;
use super::visited::VisitedPool;

/// Which row a vector belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The part of the table, such as a source; numbered by whoever fills the graph.
    pub part: u32,
    /// The row in its part.
    pub row: u32,
}

/// What a graph is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphOptions {
    /// Elements of a vector.
    pub dimensions: usize,
    /// How far two vectors are apart.
    pub metric: Metric,
    /// The precision that vectors are kept in.
    pub precision: Precision,
    /// Edges of a node; twice as many on the lowest level.
    pub m: usize,
    /// Candidates that are kept while a node looks for its edges.
    pub ef_construction: usize,
}

/// The chunks of a graph at one moment. Edges may lead to nodes that came later.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) codes: Vec<Codes>,
    pub(super) links: Vec<Links>,
}

#[inline]
pub(super) fn place(node: u32) -> (usize, usize) {
    (node as usize / CHUNK, node as usize % CHUNK)
}

impl View {
    /// Nodes, those that are not linked yet included.
    pub(super) fn nodes(&self) -> usize {
        self.codes.len() * CHUNK
    }

    /// As near as the node's vector is kept.
    #[inline]
    pub(super) fn distance(&self, metric: Metric, query: &[f32], node: u32) -> f32 {
        let (chunk, at) = place(node);
        self.codes[chunk].distance(metric, query, at)
    }

    /// As near as a walk needs it.
    #[inline]
    pub(super) fn walk_distance(&self, metric: Metric, probe: Probe<'_>, node: u32) -> f32 {
        let (chunk, at) = place(node);
        self.codes[chunk].walk_distance(metric, probe, at)
    }

    #[inline]
    pub(super) fn key(&self, node: u32) -> RowKey {
        let (chunk, at) = place(node);
        self.links[chunk].key(at)
    }

    #[inline]
    pub(super) fn twin(&self, node: u32) -> u32 {
        let (chunk, at) = place(node);
        self.links[chunk].twin(at)
    }

    /// Asks the memory for what a walk reads of a node's vector.
    #[inline]
    pub(super) fn prefetch(&self, dimensions: usize, node: u32) {
        let (chunk, at) = place(node);
        if let Some(codes) = self.codes.get(chunk) {
            codes.prefetch(dimensions, at);
        }
    }

    /// Asks the memory for the edges of a node that is likely looked at soon.
    #[inline]
    pub(super) fn prefetch_links(&self, node: u32) {
        let (chunk, at) = place(node);
        self.links[chunk].prefetch(at);
    }

    /// Asks the memory for what tells whether a node's rows count.
    #[inline]
    pub(super) fn prefetch_row(&self, node: u32) {
        let (chunk, at) = place(node);
        self.links[chunk].prefetch_rows(at);
    }
}

/// A graph that grows while it is searched.
#[derive(Debug)]
pub struct Graph {
    options: GraphOptions,
    view: RwLock<Arc<View>>,
    /// Level and number of the node where searches begin; all ones while there is none.
    entry: AtomicU64,
    /// Held while the entry changes.
    entry_lock: Mutex<()>,
    /// Nodes with edges.
    linked: AtomicUsize,
    pub(super) visited: VisitedPool,
}

/// Edges that a node has at least, where there are so many candidates.
const LEAST: usize = 8;

/// So many of the nearest are looked at for the same vector: others may round to the same steps.
const TWINS_AMONG: usize = 16;

const NO_ENTRY: u64 = u64::MAX;

impl Graph {
    /// Rows that go in together.
    pub const CHUNK: usize = CHUNK;

    /// A graph without nodes.
    pub fn new(options: GraphOptions) -> Self {
        Self {
            options,
            view: RwLock::default(),
            entry: AtomicU64::new(NO_ENTRY),
            entry_lock: Mutex::default(),
            linked: AtomicUsize::new(0),
            visited: VisitedPool::default(),
        }
    }

    /// What it is built with.
    pub fn options(&self) -> &GraphOptions {
        &self.options
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.view().nodes()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let view = self.view();
        let codes: usize = view.codes.iter().map(Codes::bytes).sum();
        codes + view.links.iter().map(Links::bytes).sum::<usize>()
    }

    /// Puts chunks on huge pages, as far as there are any: a walk meets each node in another place, and looks each
    /// place up in the tables of pages.
    pub(super) fn gather_on_huge_pages(&self, chunks: Range<usize>) {
        let view = self.view();
        let codes = view.codes[chunks.clone()].iter().flat_map(Codes::addresses);
        let links = view.links[chunks].iter().map(Links::addresses);
        gather_on_huge_pages(codes.chain(links));
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The node where a search begins and its level.
    pub(super) fn entry(&self) -> Option<(usize, u32)> {
        match self.entry.load(Ordering::Acquire) {
            NO_ENTRY => None,
            entry => Some(((entry >> 32) as usize, entry as u32)),
        }
    }

    /// Adds a chunk of [`Graph::CHUNK`] rows and gives the number of its first node. The rows are
    /// found once each of them has been linked by [`Graph::link`].
    ///
    /// `vectors` are the rows' vectors one after the other, normalised for [`Metric::Cosine`].
    pub fn add_chunk(&self, keys: &[RowKey], vectors: Vec<f32>) -> u32 {
        debug_assert_eq!(keys.len(), CHUNK);
        debug_assert_eq!(vectors.len(), CHUNK * self.options.dimensions);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let first = u32::try_from(view.nodes()).unwrap_or(NONE);
        let levels: Vec<u8> =
            (0..keys.len()).map(|at| level(first as usize + at, self.options.m)).collect();
        let GraphOptions { precision, metric, dimensions, .. } = self.options;
        let codes = Codes::encode(precision, metric, dimensions, vectors);
        let links = Links::new(self.options.m, keys, &levels);
        let view = Arc::make_mut(&mut view);
        view.codes.push(codes);
        view.links.push(links);
        first
    }

    /// Links a node that [`Graph::add_chunk`] has added. Several threads may link different nodes
    /// at once.
    ///
    /// Nobody is led to the node before it has its edges on every level: a search that came to it
    /// on an upper level and found nothing below would end there, and a node that was linked by
    /// such a search would be lost.
    pub fn link(&self, node: u32, scratch: &mut LinkScratch) {
        let view = self.view();
        let (chunk, at) = place(node);
        let links = &view.links[chunk];
        let top = links.level(at);
        // A node above all others is linked alone, as two of them would not know of each other.
        let is_above = |entry: Option<(usize, u32)>| entry.is_none_or(|(level, _)| top > level);
        let raising = is_above(self.entry())
            .then(|| self.entry_lock.lock().unwrap_or_else(PoisonError::into_inner))
            .filter(|_| is_above(self.entry()));
        let LinkScratch { vector, decoded, candidates, chosen, edges } = scratch;
        let GraphOptions { dimensions, metric, .. } = self.options;
        let query = view.codes[chunk].probe(metric, dimensions, at, vector);
        let entry_level = loop {
            let linked = self.linked.load(Ordering::Relaxed);
            let Some((entry_level, entry)) = self.entry() else {
                self.linked.store(1, Ordering::Relaxed);
                self.set_entry(top, node);
                return;
            };
            let mut nearest = (view.walk_distance(metric, query, entry), entry);
            for level in (top + 1..=entry_level).rev() {
                nearest = self.descend(&view, query, nearest, level);
            }
            let mut starts = vec![nearest];
            edges.clear();
            for level in (0..=top.min(entry_level)).rev() {
                let ef = self.options.ef_construction;
                self.search_level(&view, query, &starts, ef, level, candidates);
                starts = candidates.nearest();
                starts.retain(|(_, found)| *found != node);
                if level == 0 && self.becomes_twin(&view, node, &starts) {
                    return;
                }
                self.choose(&view, &starts, self.options.m, decoded, chosen);
                edges.extend(chosen.iter().map(|neighbour| (level, *neighbour)));
            }
            // A thread that was kept from running finds the graph grown: edges to what were the nearest
            // of a few nodes are not kept by those, and nobody would be led to this one.
            if self.linked.load(Ordering::Relaxed) <= 2 * linked {
                break entry_level;
            }
        };
        for level in 0..=top.min(entry_level) {
            chosen.clear();
            chosen.extend(edges.iter().filter(|(on, _)| *on == level).map(|(_, node)| *node));
            let _lock = links.lock(at);
            links.write(at, level, chosen);
        }
        for (level, neighbour) in edges.iter().rev() {
            self.connect(&view, *neighbour, node, *level, decoded, chosen);
        }
        self.linked.fetch_add(1, Ordering::Relaxed);
        if raising.is_some() {
            self.set_entry(top, node);
        }
    }

    /// Lets searches begin at a node; the caller holds the entry's lock.
    fn set_entry(&self, level: usize, node: u32) {
        self.entry.store((level as u64) << 32 | u64::from(node), Ordering::Release);
    }

    /// Hangs the node on one with the same vector, if there is one among the nearest.
    fn becomes_twin(&self, view: &View, node: u32, nearest: &[(f32, u32)]) -> bool {
        let (chunk, at) = place(node);
        let dimensions = self.options.dimensions;
        let same = |other: u32| {
            let (other_chunk, other_at) = place(other);
            view.codes[chunk].same(at, &view.codes[other_chunk], other_at, dimensions)
        };
        let Some((_, twin)) =
            nearest.iter().take(TWINS_AMONG).find(|(_, other)| *other != node && same(*other))
        else {
            return false;
        };
        let (twin_chunk, twin_at) = place(*twin);
        let links = &view.links[twin_chunk];
        let _lock = links.lock(twin_at);
        view.links[chunk].set_twin(at, links.twin(twin_at));
        links.set_twin(twin_at, node);
        true
    }

    /// Greedily to the nearest node of a level.
    pub(super) fn descend(
        &self,
        view: &View,
        query: Probe<'_>,
        mut nearest: (f32, u32),
        level: usize,
    ) -> (f32, u32) {
        loop {
            let (chunk, at) = place(nearest.1);
            let before = nearest;
            for neighbour in view.links[chunk].read(at, level) {
                view.prefetch(self.options.dimensions, neighbour);
            }
            for neighbour in view.links[chunk].read(at, level) {
                if neighbour as usize >= view.nodes() {
                    continue;
                }
                let distance = view.walk_distance(self.options.metric, query, neighbour);
                if distance < nearest.0 {
                    nearest = (distance, neighbour);
                }
            }
            if nearest.1 == before.1 {
                return nearest;
            }
        }
    }

    fn search_level(
        &self,
        view: &View,
        query: Probe<'_>,
        starts: &[(f32, u32)],
        ef: usize,
        level: usize,
        candidates: &mut Candidates,
    ) {
        let mut visited = self.visited.take(view.nodes());
        candidates.clear();
        for (distance, node) in starts {
            if visited.mark(*node) {
                candidates.offer(*distance, *node, ef);
            }
        }
        while let Some((_, node)) = candidates.next(ef) {
            let (chunk, at) = place(node);
            candidates.fresh.clear();
            for neighbour in view.links[chunk].read(at, level) {
                if visited.mark(neighbour) {
                    view.prefetch(self.options.dimensions, neighbour);
                    candidates.fresh.push(neighbour);
                }
            }
            if let Some(next) = candidates.likely_next() {
                view.prefetch_links(next);
            }
            for index in 0..candidates.fresh.len() {
                let neighbour = candidates.fresh[index];
                let distance = view.walk_distance(self.options.metric, query, neighbour);
                candidates.offer(distance, neighbour, ef);
            }
        }
        self.visited.give_back(visited);
    }

    /// The neighbours that keep the graph navigable: of candidates by distance, each that is
    /// nearer to the node than to those chosen before (algorithm 4 of the paper). Where that leaves
    /// fewer than [`LEAST`], the nearest of the others come as well: copies that lie close together
    /// would have edges among themselves alone.
    fn choose(
        &self,
        view: &View,
        candidates: &[(f32, u32)],
        count: usize,
        decoded: &mut Vec<f32>,
        chosen: &mut Vec<u32>,
    ) {
        let metric = self.options.metric;
        chosen.clear();
        for (distance, node) in candidates {
            if chosen.len() == count {
                return;
            }
            let (chunk, at) = place(*node);
            let vector = view.codes[chunk].probe(metric, self.options.dimensions, at, decoded);
            if chosen.iter().all(|other| view.walk_distance(metric, vector, *other) >= *distance) {
                chosen.push(*node);
            }
        }
        let least = LEAST.min(count);
        for (_, node) in candidates {
            if chosen.len() >= least {
                return;
            }
            if !chosen.contains(node) {
                chosen.push(*node);
            }
        }
    }

    /// Adds the edge from `node` to `new`, and takes the least useful ones away when there are
    /// too many.
    fn connect(
        &self,
        view: &View,
        node: u32,
        new: u32,
        level: usize,
        decoded: &mut Vec<f32>,
        chosen: &mut Vec<u32>,
    ) {
        let (chunk, at) = place(node);
        let links = &view.links[chunk];
        let _lock = links.lock(at);
        let mut edges: Vec<u32> = links.read(at, level).collect();
        if edges.contains(&new) {
            return;
        }
        edges.push(new);
        if edges.len() > links.width(level) {
            let mut scratch = Vec::new();
            let GraphOptions { dimensions, metric, .. } = self.options;
            let vector = view.codes[chunk].probe(metric, dimensions, at, &mut scratch);
            // An edge to a node beyond this view was written by another thread; it stays out of
            // the choice and out of the list, as its other direction remains.
            let mut by_distance: Vec<(f32, u32)> = edges
                .iter()
                .filter(|edge| (**edge as usize) < view.nodes())
                .map(|edge| (view.walk_distance(metric, vector, *edge), *edge))
                .collect();
            by_distance.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
            self.choose(view, &by_distance, links.width(level), decoded, chosen);
            links.write(at, level, chosen);
        } else {
            links.write(at, level, &edges);
        }
    }
}

/// Memory that linking a node needs, kept from one node to the next.
#[derive(Debug, Default)]
pub struct LinkScratch {
    vector: Vec<f32>,
    decoded: Vec<f32>,
    candidates: Candidates,
    chosen: Vec<u32>,
    /// The levels and the nodes that the edges of the node lead to.
    edges: Vec<(usize, u32)>,
}

/// The highest level of a node: geometrically distributed, and the same each time.
#[expect(clippy::cast_precision_loss, reason = "a random number needs no more")]
#[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 16")]
fn level(node: usize, m: usize) -> u8 {
    let mut bits = (node as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    (-uniform.ln() / (m.max(2) as f64).ln()).min(15.0) as u8
}
