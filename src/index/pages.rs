//! Huge pages for what is read at random places: with small ones a walk through a graph of a million nodes waits for
//! the tables of pages at nearly each of them.

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::ops::Range;

/// Puts what lies at these addresses on huge pages now, where the kernel has them and can: memory that was given
/// back in between and then used again is on small ones, although huge ones were asked for. What else lies beside
/// goes with it. Nothing happens where huge pages are switched off.
#[cfg(target_os = "linux")]
pub(crate) fn gather_on_huge_pages(addresses: impl Iterator<Item = Range<usize>>) {
    const HUGE: usize = 2 << 20;
    /// Of Linux since 6.1; `libc` does not name it.
    const MADV_COLLAPSE: libc::c_int = 25;
    if !has_huge_pages() {
        return;
    }
    let pages: BTreeSet<usize> =
        addresses.flat_map(|range| range.start / HUGE..range.end.div_ceil(HUGE)).collect();
    for page in pages {
        // What cannot be gathered stays where it is.
        // SAFETY: the content of the memory does not change, and addresses without memory are an error.
        unsafe { libc::madvise((page * HUGE) as *mut libc::c_void, HUGE, MADV_COLLAPSE) };
    }
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
