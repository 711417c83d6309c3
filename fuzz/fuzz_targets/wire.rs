//! Messages of a client: everything that it may send, in one stream.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    vigil_sql::wire::read_messages(bytes);
});
