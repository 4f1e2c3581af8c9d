//! Any text as the value of a flag or its variable.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portcullis_fuzz::flag(bytes));

/// Without a fuzzer: the inputs are files, as where one that was found is tried again.
#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    portcullis_fuzz::run(portcullis_fuzz::flag)
}
