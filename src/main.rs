//! The `portcullis` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    let variables = std::env::vars_os();
    portcullis::cli::run(std::env::args_os(), variables)
}
