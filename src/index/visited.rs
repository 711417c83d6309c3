//! Which nodes a search has seen: a mark a node, cleared by counting searches.

use std::sync::{Mutex, PoisonError};

/// Marks of one search at a time.
#[derive(Debug, Default)]
pub(super) struct Visited {
    marks: Vec<u16>,
    search: u16,
}

impl Visited {
    /// Begins a search over `nodes` nodes.
    fn begin(&mut self, nodes: usize) {
        if self.marks.len() < nodes {
            self.marks.resize(nodes, 0);
        }
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.marks.fill(0);
            self.search = 1;
        }
    }

    /// Marks a node; true when it had no mark. Nodes beyond those of `begin` count as seen.
    #[inline]
    pub(super) fn mark(&mut self, node: u32) -> bool {
        match self.marks.get_mut(node as usize) {
            Some(mark) if *mark != self.search => {
                *mark = self.search;
                true
            }
            _ => false,
        }
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
