//! Where log lines go: standard error, as text or as JSON.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging, for the whole process.
pub(super) fn start(format: LogFormat, filter: EnvFilter) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}
