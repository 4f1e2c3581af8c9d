//! The commands, one file each, and what they print.
//!
//! Standard output has the answer, standard error everything else. An error is one line that
//! begins with `error:`. Exit codes: 0 done or allow, 1 deny or calls that were cut, 2 error.

mod account;
mod administration;
mod catalog;
mod check;
mod client;
mod connection;
mod demo;
mod explain;
mod export;
mod features;
mod healthcheck;
mod import;
mod json;
mod logging;
mod matrix;
mod migrate;
mod output;
mod policy;
mod progress;
mod proof;
mod refusal;
mod serve;
mod signals;
mod table;
mod traces;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::{self, Command, Environment, Invocation, Stop};

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It did what it was asked to, or the answer is an allow.
    Yes,
    /// The answer is a denial, or not everything was finished.
    No,
}

const ERROR: u8 = 2;

/// Runs the program: `arguments` begin with its name, `variables` are its environment.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let environment: Environment = variables.into_iter().collect();
    let outcome = match config::read(arguments.into_iter().collect(), &environment) {
        Ok(invocation) => execute(invocation, &environment),
        Err(Stop::Asked(help)) => output::help(&help).map(|()| Verdict::Yes),
        Err(Stop::NoCommand(help)) => {
            let printed = output::help(&help);
            return printed.map_or_else(|error| output::fail(&error), |()| ExitCode::from(ERROR));
        }
        Err(Stop::Refused(refused)) => Err(refused.into()),
    };
    match outcome {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        Err(error) => output::fail(&error),
    }
}

fn execute(invocation: Invocation, environment: &Environment) -> anyhow::Result<Verdict> {
    let Invocation {
        command,
        origins,
        warnings,
    } = invocation;
    if let Command::Serve(args) = command {
        return serve::run(&args, &origins, environment, &warnings);
    }
    warnings.iter().for_each(|line| output::warn(line));
    match command {
        Command::Serve(args) => serve::run(&args, &origins, environment, &[]),
        Command::Migrate(args) => wait_for(migrate::run(&args, &origins)),
        Command::Import(args) => wait_for(import::run(&args, &origins, environment.user())),
        Command::Export(args) => wait_for(export::run(&args, &origins)),
        Command::Check(args) => wait_for(check::run(&args)),
        Command::Features(args) => wait_for(features::run(&args)),
        Command::Catalog(args) => wait_for(catalog::run(&args)),
        Command::Explain(args) => wait_for(explain::run(&args)),
        Command::Policy { command } => wait_for(policy::run(&command, environment.user())),
        Command::Account { command } => wait_for(account::run(&command, environment.user())),
        Command::Matrix(args) => matrix::run(&args, &origins),
        Command::Healthcheck(args) => {
            let over_grpc = origins.on_command_line("endpoint");
            wait_for(healthcheck::run(&args, over_grpc))
        }
    }
}

/// Runs a command that waits for others. One thread is enough for it.
fn wait_for(command: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}
