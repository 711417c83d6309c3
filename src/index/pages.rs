//! Huge pages for what is read at random places: with small ones a walk through a graph of a million nodes waits for
//! the tables of pages at nearly each of them.

#[cfg(target_os = "linux")]
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a huge page.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

/// Puts what lies at these addresses on huge pages now, where the kernel has them and can: memory that was given
/// back in between and then used again is on small ones, although huge ones were asked for. What else lies on the
/// same page goes with it, and holes in it become memory; so pages that are not half of these addresses stay as they
/// are. Nothing happens where huge pages are switched off.
#[cfg(target_os = "linux")]
pub(crate) fn gather_on_huge_pages(addresses: impl Iterator<Item = Range<usize>>) {
    /// Of Linux since 6.1; not every C library's headers name it.
    const MADV_COLLAPSE: libc::c_int = 25;
    if !has_huge_pages() {
        return;
    }
    for span in spans(addresses) {
        // What cannot be gathered stays where it is.
        // SAFETY: the content of the memory does not change, and addresses without memory are an error.
        unsafe { libc::madvise(span.start as *mut libc::c_void, span.len(), MADV_COLLAPSE) };
    }
}

/// Spans of whole pages of which at least half are these addresses; each costs a call that stops the processors.
#[cfg(target_os = "linux")]
fn spans(addresses: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut covered: BTreeMap<usize, usize> = BTreeMap::new();
    for range in addresses {
        for page in range.start / HUGE..range.end.div_ceil(HUGE) {
            let (start, end) = (range.start.max(page * HUGE), range.end.min((page + 1) * HUGE));
            *covered.entry(page).or_default() += end - start;
        }
    }
    let mut spans: Vec<Range<usize>> = Vec::new();
    for (page, _) in covered.into_iter().filter(|(_, bytes)| *bytes >= HUGE / 2) {
        match spans.last_mut() {
            Some(last) if last.end == page * HUGE => last.end += HUGE,
            _ => spans.push(page * HUGE..(page + 1) * HUGE),
        }
    }
    spans
}

/// Puts what lies at these addresses on huge pages; not here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn gather_on_huge_pages(_: impl Iterator<Item = Range<usize>>) {}

/// Whether whoever set the machine up lets programs have them.
#[cfg(target_os = "linux")]
fn has_huge_pages() -> bool {
    std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|enabled| !enabled.contains("[never]"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_mostly_others_stay_as_they_are() {
        let half = HUGE / 2;
        let parts = [0..half, HUGE..HUGE + 7, HUGE + 100..2 * HUGE, 3 * HUGE + 9..3 * HUGE + half];
        let one = 0..2 * HUGE;
        assert_eq!(spans(parts.into_iter()), [one]);
        let parts = [half..5 * half, 8 * half..12 * half];
        assert_eq!(spans(parts.into_iter()), vec![0..3 * HUGE, 4 * HUGE..6 * HUGE]);
    }

    #[test]
    fn what_is_gathered_stays_the_same() {
        let elements: Vec<usize> = (0..HUGE).collect();
        let Range { start, end } = elements.as_ptr_range();
        gather_on_huge_pages(std::iter::once(start.addr()..end.addr()));
        assert!(elements.iter().enumerate().all(|(at, element)| at == *element));
    }
}
