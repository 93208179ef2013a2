#![no_main]

#[allow(dead_code)] // each target has its part
#[path = "../held/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::stream(data));
