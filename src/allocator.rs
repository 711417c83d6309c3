//! Where Rust's memory comes from: jemalloc, which asks the kernel for huge pages.
//!
//! Vectors and graphs are read at random places all over hundreds of megabytes. With pages of
//! 4 KiB a search waits for the tables of pages as much as for what is on them: one of 100,000
//! vectors of 384 elements takes a sixth less time with pages of 2 MiB. Memory of FFmpeg and
//! ONNX Runtime comes from the C library as before.

#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What jemalloc reads when the process starts. `_RJEM_MALLOC_CONF` in the environment wins.
// SAFETY: jemalloc declares this name as a pointer to a C string, which a reference to bytes that
// end with a zero is, and only reads it.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
pub static MALLOC_CONF: &[u8; 34] = b"thp:always,background_thread:true\0";
