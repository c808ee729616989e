#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vmscope_wire_fuzz::pim(data));
