#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| unstick::testing::own::targets::round_trip(data));
