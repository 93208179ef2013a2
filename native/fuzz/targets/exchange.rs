#![no_main]

#[path = "../held/exchange.rs"]
mod exchange;
#[allow(dead_code)] // each target has its part
#[path = "../held/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    exchange::exchange(data);
});
