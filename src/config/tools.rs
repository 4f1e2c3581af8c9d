//! The settings of the commands that work on a store or on a file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::complaint::Refused;
use super::database::{DatabaseArgs, MatrixArgs};
use super::layers::Origins;
use super::service::ServiceArgs;
use super::value;

/// `migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// How long the whole of it may take, with waiting for another migration
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::duration, help_heading = "Store")]
    pub migrate_timeout: Duration,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The data file, YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Make the store exactly the file: what the file does not name is removed
    ///
    /// Otherwise it stays, and what the file names is created or replaced.
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub replace: bool,

    /// Check the file against the store and tell what would change; write nothing
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub dry_run: bool,

    /// Who imports, for the history; default: the user's name, from USER
    #[arg(long, value_name = "NAME", value_parser = value::actor)]
    pub actor: Option<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = value::comment)]
    pub comment: Option<String>,

    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// How long the import may take; beyond that nothing is written
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::duration, help_heading = "Store")]
    pub import_timeout: Duration,

    /// Which matrix.
    #[command(flatten)]
    pub matrix: MatrixArgs,
}

/// `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The format of the data file
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    pub format: ExportFormat,

    /// Write to this file, at once or not at all; default: standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// How long reading everything may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::duration, help_heading = "Store")]
    pub export_timeout: Duration,
}

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// `matrix`.
#[derive(Debug, Clone, Args)]
pub struct MatrixCommandArgs {
    /// YAML, as --matrix reads it, or a table to look at
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    pub format: MatrixFormat,

    /// Which matrix.
    #[command(flatten)]
    pub matrix: MatrixArgs,
}

/// How a matrix is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MatrixFormat {
    /// YAML.
    Yaml,
    /// A table.
    Table,
}

/// `healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckArgs {
    /// Where the service answers probes: its own --http-listen
    ///
    /// An unspecified address (`0.0.0.0`, `[::]`) is asked on loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = value::address)]
    pub http_listen: SocketAddr,

    /// The account whose `services.order` is asked about where --endpoint is given
    ///
    /// That there is no such account is an answer too.
    #[arg(long, value_name = "ACCOUNT", default_value = "healthcheck")]
    pub account: String,

    /// Which service to ask over gRPC, where --endpoint is given.
    #[command(flatten)]
    pub service: ServiceArgs,
}

impl HealthcheckArgs {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        // Not by its variable: a container may have that for other commands, and its probe is about itself.
        if origins.on_command_line("endpoint") {
            return self.service.check(origins);
        }
        for long in ["account", "json"] {
            if origins.on_command_line(long) {
                return Err(Refused::new(format!(
                    "{} is for a service that is asked over gRPC: --endpoint names it",
                    origins.name(long)
                )));
            }
        }
        if self.http_listen.port() == 0 {
            return Err(Refused::new(format!(
                "{} is `{}`: the port that the service listens on is needed",
                origins.name("http-listen"),
                self.http_listen
            )));
        }
        Ok(())
    }
}
