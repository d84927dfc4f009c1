#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jaego_fuzz::run("typed", data));
