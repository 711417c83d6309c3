//! The edges of a chunk of nodes: read without a lock while they change.
//!
//! A list is a count and so many node numbers. A writer holds the node's lock; it writes numbers
//! before the count, and every number that was ever in the list is a node, so that a reader in
//! between meets at worst an edge that has just gone.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kernel;

/// Nodes of a chunk.
pub(super) const CHUNK: usize = 256;
/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// The edges of a chunk; a clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Edges of the lowest level, a count and `base_width` numbers for each node.
    base: Arc<[AtomicU32]>,
    /// The next row of the same vector.
    twins: Arc<[AtomicU32]>,
    base_width: usize,
    upper_width: usize,
    /// Edges of the levels above, a count and `upper_width` numbers for each level of a node.
    upper: Arc<[Box<[AtomicU32]>]>,
    locks: Arc<[Mutex<()>]>,
}

fn empty<List: FromIterator<AtomicU32>>(length: usize) -> List {
    (0..length).map(|_| AtomicU32::new(0)).collect()
}

impl Links {
    /// No edges yet; `levels` says for each node the highest level that it is on.
    pub(super) fn new(m: usize, levels: &[u8]) -> Self {
        Self {
            base: empty(CHUNK * (2 * m + 1)),
            base_width: 2 * m,
            upper: levels.iter().map(|level| empty(usize::from(*level) * (m + 1))).collect(),
            upper_width: m,
            twins: (0..CHUNK).map(|_| AtomicU32::new(NONE)).collect(),
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

    #[inline]
    fn list(&self, at: usize, level: usize) -> &[AtomicU32] {
        let width = self.width(level) + 1;
        if level == 0 {
            &self.base[at * width..(at + 1) * width]
        } else {
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

    /// Asks the memory for what says whether `at` has a twin.
    #[inline]
    pub(super) fn prefetch_twin(&self, at: usize) {
        kernel::prefetch(&self.twins[at..=at]);
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
        self.twins[at].load(Ordering::Acquire)
    }

    /// Makes `node` the next row; the caller holds the lock.
    pub(super) fn set_twin(&self, at: usize, node: u32) {
        self.twins[at].store(node, Ordering::Release);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let upper: usize = self.upper.iter().map(|list| size_of_val(list.as_ref())).sum();
        size_of_val(self.base.as_ref())
            + upper
            + size_of_val(self.upper.as_ref())
            + size_of_val(self.twins.as_ref())
            + size_of_val(self.locks.as_ref())
    }
}
