//! The program as a person runs it: the real binary, in an environment of its own.

#![cfg(test)]

#[path = "cli/clients.rs"]
mod clients;
#[path = "cli/decisions.rs"]
mod decisions;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/policies.rs"]
mod policies;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/settings.rs"]
mod settings;
mod support;
#[path = "cli/tls.rs"]
mod tls;

use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

/// What a run printed, and its exit code.
#[derive(Debug)]
struct Run {
    out: String,
    err: String,
    code: i32,
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let output = command(arguments, variables).output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}
