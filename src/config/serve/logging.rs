//! What `serve` logs.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::complaint::Refused;
use crate::config::layers::Origins;
use crate::config::value::{self, LogFilter};
use crate::decisions::{Logged, TARGET};

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

    /// Which decisions are logged: who was told what about whom
    ///
    /// A line for each decision that is answered, with the target `portcullis::decision`, whatever
    /// --log says. No call waits for it: where more come than are written, lines are dropped, and
    /// it is said how many.
    #[arg(long, value_name = "DECISIONS", default_value = "off")]
    pub decision_log: DecisionsLogged,

    /// The share of calls whose decisions a sampled decision log has, from 0.0001 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = value::share)]
    pub decision_log_sample: f64,
}

impl LogArgs {
    /// The filter of all log lines.
    #[must_use]
    pub fn filter(&self) -> EnvFilter {
        match self.decisions() {
            Logged::Off => self.log.filter(),
            Logged::Denials | Logged::Sampled(_) | Logged::All => self.log.with(TARGET),
        }
    }

    /// Which decisions are logged.
    #[must_use]
    pub fn decisions(&self) -> Logged {
        match self.decision_log {
            DecisionsLogged::Off => Logged::Off,
            DecisionsLogged::Denials => Logged::Denials,
            DecisionsLogged::Sampled => Logged::Sampled(self.decision_log_sample),
            DecisionsLogged::All => Logged::All,
        }
    }

    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        let (log, sample) = ("decision-log", "decision-log-sample");
        if !origins.given(sample) || self.decision_log == DecisionsLogged::Sampled {
            return Ok(());
        }
        let is = self.decision_log.to_possible_value();
        Err(Refused::new(format!(
            "{} is for a sampled decision log, and {} is `{}`: give `sampled` there, or leave it out",
            origins.name(sample),
            origins.name(log),
            is.as_ref().map_or("", |value| value.get_name())
        )))
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which decisions are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecisionsLogged {
    /// None.
    Off,
    /// Those that deny.
    Denials,
    /// All of a share of calls.
    Sampled,
    /// All.
    All,
}
