//! What `serve` logs.

use clap::{Args, ValueEnum};

use crate::config::value::LogFilter;

/// What is logged, on standard error.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// How log lines are written: text for people, JSON for log collectors
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Which log lines are written: a level, and levels by target
    ///
    /// In the syntax of tracing's EnvFilter: `warn`, `info,portcullis::directory=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = LogFilter::parse)]
    pub log: LogFilter,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
