//! Model manifests.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = vigil_models::manifest::parse("fuzz", text);
});
