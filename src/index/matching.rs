//! Which rows of a table fulfil a condition.

use std::ops::Range;

/// Rows by position.
pub(super) struct Matching {
    /// Rows outside of these do not match; in ascending order and apart.
    within: Vec<Range<usize>>,
    /// For each position whether it does, where not all within do.
    each: Option<Vec<bool>>,
    count: usize,
}

impl Matching {
    /// All rows of some ranges, which are in ascending order and apart.
    pub(super) fn whole(within: Vec<Range<usize>>) -> Self {
        let count = within.iter().map(Range::len).sum();
        Self { within, each: None, count }
    }

    /// Those of all rows that are marked.
    pub(super) fn each(marks: Vec<bool>) -> Self {
        let count = marks.iter().filter(|matches| **matches).count();
        let within = std::iter::once(0..marks.len()).collect();
        Self { within, each: Some(marks), count }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether all rows of the ranges match.
    pub(super) fn is_whole(&self) -> bool {
        self.each.is_none()
    }

    #[inline]
    pub(super) fn has(&self, at: usize) -> bool {
        match &self.each {
            Some(each) => each.get(at).is_some_and(|matches| *matches),
            None => {
                let next = self.within.partition_point(|rows| rows.end <= at);
                self.within.get(next).is_some_and(|rows| rows.contains(&at))
            }
        }
    }

    /// The parts of some positions outside of which no row matches.
    pub(super) fn within(&self, positions: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = self.within.partition_point(|rows| rows.end <= positions.start);
        let (start, end) = (positions.start, positions.end);
        self.within[first..]
            .iter()
            .take_while(move |rows| rows.start < end)
            .map(move |rows| rows.start.max(start)..rows.end.min(end))
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.within.iter().cloned().flatten().filter(|at| self.has(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::Matching;

    #[test]
    fn ranges_say_the_same_as_marks() {
        let whole = Matching::whole(vec![2..4, 7..8]);
        let marks = (0..10).map(|at| (2..4).contains(&at) || at == 7).collect();
        let each = Matching::each(marks);
        for matching in [&whole, &each] {
            assert_eq!(matching.count(), 3);
            assert_eq!(matching.positions().collect::<Vec<_>>(), [2, 3, 7]);
            let found: Vec<usize> = (0..12).filter(|at| matching.has(*at)).collect();
            assert_eq!(found, [2, 3, 7]);
        }
        assert_eq!(whole.within(3..20).collect::<Vec<_>>(), [3..4, 7..8]);
        assert!(whole.within(0..3).eq(std::iter::once(2..3)));
        assert_eq!(whole.within(4..7).count(), 0);
    }
}
