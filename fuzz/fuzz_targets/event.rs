//! Whatever Lambda hands over, there is an answer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &[u8]| {
    fuzz::answer(event);
});
