//! Options of `CREATE SOURCE`: a line each, `name=value`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = vigil::source::parse_options(text);
});
