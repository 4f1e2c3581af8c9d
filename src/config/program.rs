//! The program as a whole: its commands and its help.

use clap::{CommandFactory as _, Parser, Subcommand};

use super::client::{CatalogArgs, CheckArgs, FeaturesArgs};
use super::complaint::Refused;
use super::environment::variable;
use super::layers::Origins;
use super::policy::{AccountCommand, ExplainArgs, PolicyCommand};
use super::serve::ServeArgs;
use super::tools::{ExportArgs, HealthcheckArgs, ImportArgs, MatrixCommandArgs, MigrateArgs};

const EPILOGUE: &str = "\
Settings:
  Every flag has an environment variable: --max-stale has PORTCULLIS_MAX_STALE. A flag goes
  before its variable. Switches are true or false there. Times have a unit: 300ms, 5s, 5m.

Examples:
  portcullis serve                                       serve demo data on 127.0.0.1:50051
  portcullis check northwind-retail pricing.view         ask it a question
  portcullis policy set northwind pricing.view=on        change a partner's policy
  PORTCULLIS_DATABASE_URL=postgres://… portcullis serve  serve from Postgres

Exit codes:
  0  done; allow        1  deny; calls were cut at shutdown        2  error";

/// A gRPC authorization service for a partner-managed customer portal
///
/// It answers two questions for the other services of the portal: may this account use this
/// feature, and which ordering locations may it see, with prices or without? `portcullis serve` is
/// the service; the other commands ask it, or look after its data.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    after_help = EPILOGUE,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Program {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve gRPC: from Postgres, from a data file, or demo data
    ///
    /// With no store configured it serves demo data from memory, so that there is something to try.
    /// SIGTERM and SIGINT end it when the calls under way are done; a second one ends it at once.
    Serve(Box<ServeArgs>),

    /// Bring the database's schema up to date; safe to run again, and from several places at once
    Migrate(MigrateArgs),

    /// Put a data file into the database, in one transaction
    ///
    /// The file is checked whole before anything is written. Importing it again changes nothing.
    Import(ImportArgs),

    /// Write everything that the database holds as a data file
    Export(ExportArgs),

    /// May ACCOUNT use FEATURE? Exit code 0: allow, 1: deny, 2: no answer
    Check(CheckArgs),

    /// Everything that ACCOUNT may use and may not, and why
    Features(FeaturesArgs),

    /// The locations that ACCOUNT may see, with their prices where it may see those
    ///
    /// Exit code 1 where the account may not order at all (`services.order` is denied), else 0.
    Catalog(CatalogArgs),

    /// Why may ACCOUNT use FEATURE, or why not? Exit code 0: allow, 1: deny, 2: no answer
    ///
    /// In one sentence: the rule or the setting that decides, and who set it when.
    Explain(ExplainArgs),

    /// Look at what a partner has set for its accounts, and change it
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Policy {
        /// What to do.
        #[command(subcommand)]
        command: PolicyCommand,
    },

    /// Look at accounts, and change them
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Account {
        /// What to do.
        #[command(subcommand)]
        command: AccountCommand,
    },

    /// Print the feature matrix that `serve` would use, and so check it
    Matrix(MatrixCommandArgs),

    /// Ask a running service whether it is ready; exit code 0 or 2
    ///
    /// One on this machine by its probes; with --endpoint one anywhere over gRPC, its health and
    /// then a decision. Without a certificate or a token, that it wants one is an answer too.
    Healthcheck(HealthcheckArgs),
}

impl Command {
    /// Checks what single values cannot: how settings go together.
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        match self {
            Self::Serve(args) => args.check(origins),
            Self::Migrate(args) => args.database.check_configured(origins),
            Self::Import(args) => args.database.check_configured(origins),
            Self::Export(args) => args.database.check_configured(origins),
            Self::Check(args) => args.client.check(origins),
            Self::Features(args) => args.client.check(origins),
            Self::Catalog(args) => args.client.check(origins),
            Self::Policy { command } => command.check(origins),
            Self::Account { command } => command.check(origins),
            Self::Explain(args) => args.service.check(origins),
            Self::Matrix(_) => Ok(()),
            Self::Healthcheck(args) => args.check(origins),
        }
    }
}

/// The parser, with the variable of each flag in its help.
pub(super) fn command() -> clap::Command {
    with_variables(Program::command())
}

fn with_variables(command: clap::Command) -> clap::Command {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    names
        .into_iter()
        .fold(command.mut_args(with_variable), |command, name| {
            command.mut_subcommand(name, with_variables)
        })
}

fn with_variable(flag: clap::Arg) -> clap::Arg {
    let Some(variable) = flag.get_long().map(variable) else {
        return flag;
    };
    let help = flag
        .get_help()
        .map(|help| format!("{help} [env: {variable}]"));
    let long = flag
        .get_long_help()
        .map(|help| format!("{help}\n\n[env: {variable}]"));
    match (help, long) {
        (Some(help), Some(long)) => flag.help(help).long_help(long),
        (Some(help), None) => flag.help(help),
        (None, _) => flag,
    }
}

/// The variables of all flags of all commands, sorted.
pub(super) fn variables(program: &clap::Command) -> Vec<String> {
    let own = program.get_arguments();
    let own = own.filter_map(|flag| flag.get_long().map(variable));
    let below = program.get_subcommands().flat_map(variables);
    let mut names: Vec<_> = own.chain(below).collect();
    names.sort_unstable();
    names.dedup();
    names
}
