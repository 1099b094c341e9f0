#![no_main]
#[path = "../../tests/support/differential.rs"]
mod differential;
#[path = "../../tests/support/tokio_codec.rs"]
mod tokio_codec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| differential::differential(data));
