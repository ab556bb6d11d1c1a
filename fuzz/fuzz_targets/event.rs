//! Any event gets a response.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &[u8]| {
    fuzz::respond(event);
});
