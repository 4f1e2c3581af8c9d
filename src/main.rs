//! The `portcullis` program.

use std::process::ExitCode;

/// A call allocates dozens of times: with this one it takes some 14 % fewer instructions than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    let variables = std::env::vars_os();
    portcullis::cli::run(std::env::args_os(), variables)
}
