//! The edges of a chunk of nodes and the rows that they are: read without a lock while they change.
//!
//! A list is a count and so many node numbers. A writer holds the node's lock; it writes numbers
//! before the count, and every number that was ever in the list is a node, so that a reader in
//! between meets at worst an edge that has just gone.
//!
//! What says which row a node is lies before its edges on the lowest level: a walk that takes a node asks for
//! the one, and mostly for the other soon after, and each other place of the memory would be waited for.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codes::addresses;
use super::graph::RowKey;
use super::kernel;

/// Nodes of a chunk.
pub(super) const CHUNK: usize = 256;
/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// The edges of a chunk; a clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// For each node [`HEAD`] numbers about its row and the edges of the lowest level, a count and `base_width`
    /// numbers.
    base: Arc<[AtomicU32]>,
    base_width: usize,
    upper_width: usize,
    /// Edges of the levels above, a count and `upper_width` numbers for each level of a node.
    upper: Arc<[Box<[AtomicU32]>]>,
    locks: Arc<[Mutex<()>]>,
}

/// Part and row of a node's key, and the next row of the same vector.
const HEAD: usize = 3;
const TWIN: usize = 2;

fn empty<List: FromIterator<AtomicU32>>(length: usize) -> List {
    (0..length).map(|_| AtomicU32::new(0)).collect()
}

impl Links {
    /// No edges yet; `levels` says for each node the highest level that it is on.
    pub(super) fn new(m: usize, keys: &[RowKey], levels: &[u8]) -> Self {
        let base_width = 2 * m;
        let node = |RowKey { part, row }: &RowKey| {
            let edges = std::iter::repeat_n(0, 1 + base_width);
            [*part, *row, NONE].into_iter().chain(edges).map(AtomicU32::new)
        };
        Self {
            base: keys.iter().flat_map(node).collect(),
            base_width,
            upper: levels.iter().map(|level| empty(usize::from(*level) * (m + 1))).collect(),
            upper_width: m,
            locks: (0..CHUNK).map(|_| Mutex::default()).collect(),
        }
    }

    /// The highest level of a node.
    pub(super) fn level(&self, at: usize) -> usize {
        self.upper[at].len() / (self.upper_width + 1)
    }

    /// How many edges a node may have on a level.
    pub(super) fn width(&self, level: usize) -> usize {
        if level == 0 { self.base_width } else { self.upper_width }
    }

    /// What is kept of a node on the lowest level.
    #[inline]
    fn node(&self, at: usize) -> &[AtomicU32] {
        let width = HEAD + 1 + self.base_width;
        &self.base[at * width..(at + 1) * width]
    }

    #[inline]
    fn list(&self, at: usize, level: usize) -> &[AtomicU32] {
        if level == 0 {
            &self.node(at)[HEAD..]
        } else {
            let width = self.upper_width + 1;
            let start = (level - 1) * width;
            self.upper[at].get(start..start + width).unwrap_or_default()
        }
    }

    /// The nodes that `at` has edges to.
    #[inline]
    pub(super) fn read(&self, at: usize, level: usize) -> impl Iterator<Item = u32> + '_ {
        let (count, nodes) = match self.list(at, level).split_first() {
            Some((count, nodes)) => (count.load(Ordering::Acquire) as usize, nodes),
            None => (0, &[] as &[AtomicU32]),
        };
        nodes.iter().take(count).map(|node| node.load(Ordering::Relaxed))
    }

    /// Asks the memory for the edges of `at` on the lowest level.
    #[inline]
    pub(super) fn prefetch(&self, at: usize) {
        kernel::prefetch(self.list(at, 0));
    }

    /// Asks the memory for what says which rows `at` is.
    #[inline]
    pub(super) fn prefetch_rows(&self, at: usize) {
        kernel::prefetch(&self.node(at)[..HEAD]);
    }

    /// The row of a node.
    #[inline]
    pub(super) fn key(&self, at: usize) -> RowKey {
        match self.node(at) {
            [part, row, ..] => {
                let (part, row) = (part.load(Ordering::Relaxed), row.load(Ordering::Relaxed));
                RowKey { part, row }
            }
            _ => RowKey { part: NONE, row: NONE },
        }
    }

    /// Keeps other writers from the node.
    pub(super) fn lock(&self, at: usize) -> MutexGuard<'_, ()> {
        self.locks[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the edges; the caller holds the lock.
    pub(super) fn write(&self, at: usize, level: usize, nodes: &[u32]) {
        let Some((count, places)) = self.list(at, level).split_first() else { return };
        for (place, node) in places.iter().zip(nodes) {
            place.store(*node, Ordering::Relaxed);
        }
        let length = u32::try_from(nodes.len().min(places.len())).unwrap_or(0);
        count.store(length, Ordering::Release);
    }

    /// The next row with the vector of `at`, or [`NONE`].
    #[inline]
    pub(super) fn twin(&self, at: usize) -> u32 {
        self.node(at)[TWIN].load(Ordering::Acquire)
    }

    /// Makes `node` the next row; the caller holds the lock.
    pub(super) fn set_twin(&self, at: usize, node: u32) {
        self.node(at)[TWIN].store(node, Ordering::Release);
    }

    /// Where the edges of the lowest level lie.
    pub(super) fn addresses(&self) -> Range<usize> {
        addresses(&self.base)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let upper: usize = self.upper.iter().map(|list| size_of_val(list.as_ref())).sum();
        size_of_val(self.base.as_ref())
            + upper
            + size_of_val(self.upper.as_ref())
            + size_of_val(self.locks.as_ref())
    }
}
