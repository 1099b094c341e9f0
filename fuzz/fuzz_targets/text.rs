#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| unstick::testing::own::targets::text(data));
