//! Standard output and standard error. A reader that went away, as `head` does, is no error.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::StyledStr;

use super::ERROR;
use crate::config::text::escaped;

/// Prints an answer.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints help, in colour at a terminal.
pub(super) fn help(text: &StyledStr) -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        print(&text.ansi().to_string())
    } else {
        print(&text.to_string())
    }
}

/// Tells something that is not the answer.
pub(super) fn note(line: &str) {
    // Where standard error is closed, nobody can be told.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Tells something that may be a mistake.
pub(super) fn warn(line: &str) {
    note(&format!("warning: {}", escaped(line)));
}

/// Tells why a command failed; its exit code.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    for line in explain(error).lines() {
        note(&format!("error: {}", escaped(line)));
    }
    ExitCode::from(ERROR)
}

/// An error with its causes; one that repeats what was said is left out.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::anyhow!("no answer within 5s")
            .context("the store is not available: no answer within 5s")
            .context("cannot export");
        assert_eq!(
            explain(&error),
            "cannot export: the store is not available: no answer within 5s"
        );
    }
}
