//! Statements: ours and PostgreSQL's, read and not planned.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = vigil_sql::parse_statements(text);
});
