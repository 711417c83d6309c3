//! The SQL tests; being written.
fn main() {}
