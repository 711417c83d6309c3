//! Which nodes a search has seen: a bit a node, cleared where the search before has set some.

use std::sync::{Mutex, PoisonError};

/// Nodes of a word.
const BITS: usize = u64::BITS as usize;

/// Marks of one search at a time, a bit each: those of a million nodes stay near the processor.
#[derive(Debug, Default)]
pub(super) struct Visited {
    words: Vec<u64>,
    /// The words that have a mark.
    touched: Vec<u32>,
}

impl Visited {
    /// Begins a search over `nodes` nodes.
    fn begin(&mut self, nodes: usize) {
        for word in self.touched.drain(..) {
            self.words[word as usize] = 0;
        }
        // No longer either: another search may know of more nodes than this one.
        self.words.resize(nodes.div_ceil(BITS), 0);
    }

    /// Marks a node; true when it had no mark. Nodes beyond the last word of `begin` count as seen.
    #[inline]
    pub(super) fn mark(&mut self, node: u32) -> bool {
        let word = node as usize / BITS;
        let bit = 1 << (node as usize % BITS);
        let Some(marks) = self.words.get_mut(word).filter(|marks| **marks & bit == 0) else {
            return false;
        };
        if *marks == 0 {
            self.touched.push(word as u32);
        }
        *marks |= bit;
        true
    }
}

/// Marks that wait for their next search.
#[derive(Debug, Default)]
pub(super) struct VisitedPool(Mutex<Vec<Visited>>);

/// So many are kept; more searches at once make their own.
const KEPT: usize = 16;

impl VisitedPool {
    pub(super) fn take(&self, nodes: usize) -> Visited {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut visited = kept.unwrap_or_default();
        visited.begin(nodes);
        visited
    }

    pub(super) fn give_back(&self, visited: Visited) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(visited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_one_search() {
        let pool = VisitedPool::default();
        let mut visited = pool.take(512);
        assert!(visited.mark(3) && visited.mark(67) && visited.mark(511));
        assert!(!visited.mark(3) && !visited.mark(512));
        pool.give_back(visited);
        let mut visited = pool.take(256);
        assert!(visited.mark(3) && visited.mark(67) && !visited.mark(3));
        assert!(!visited.mark(300) && !visited.mark(511), "nodes that came later");
        pool.give_back(visited);
        let mut visited = pool.take(512);
        assert!(visited.mark(300) && visited.mark(511) && visited.mark(67));
    }
}
