#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| unstick::testing::targets::custom_header(data));
