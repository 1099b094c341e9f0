#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| unstick::testing::own::check_shard_file(data));
