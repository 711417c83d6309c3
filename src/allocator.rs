//! Where Rust's memory comes from: jemalloc, which asks the kernel for huge pages.
//!
//! Vectors and graphs are read at random places all over hundreds of megabytes. With pages of
//! 4 KiB a search waits for the tables of pages as much as for what is on them: one of 100,000
//! vectors of 384 elements takes a sixth less time with pages of 2 MiB. Memory of FFmpeg and
//! ONNX Runtime comes from the C library as before.
//!
//! A library cannot choose for whoever links it, so a program says [`crate::huge_pages`] once.

pub use tikv_jemallocator::Jemalloc;

/// Makes jemalloc with huge pages the allocator of a program. `_RJEM_MALLOC_CONF` in the environment
/// wins over what is said here.
#[macro_export]
macro_rules! huge_pages {
    () => {
        #[global_allocator]
        static GLOBAL: $crate::allocator::Jemalloc = $crate::allocator::Jemalloc;

        // SAFETY: jemalloc declares this name as a pointer to a C string, which a reference to
        // bytes that end with a zero is, and only reads it.
        #[unsafe(export_name = "_rjem_malloc_conf")]
        #[used]
        static MALLOC_CONF: &[u8; 34] = b"thp:always,background_thread:true\0";
    };
}
