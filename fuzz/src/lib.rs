//! What is fuzzed: functions of any bytes that panic where a promise is broken. The targets of
//! `cargo fuzz` call them, and so does `tests/fuzz.rs` with bytes of its own.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a promise that is broken ends the run, with the input that broke it"
)]

mod configuration;
mod files;
mod told;

pub use configuration::{connection_string, flag};
pub use files::{data_file, matrix};

/// Calls `target` with the contents of each file that the command line names.
///
/// # Errors
/// Where one cannot be read.
pub fn run(target: fn(&[u8])) -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(file)?);
    }
    Ok(())
}
