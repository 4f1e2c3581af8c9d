//! The settings of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::complaint::Refused;
use super::database::{DatabaseArgs, MatrixArgs, exclusive};
use super::layers::Origins;
use super::value::{self, LogFilter};
use crate::directory::DirectoryConfig;
use crate::edge::Limits;
use crate::store::postgres::PostgresLimits;

/// `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where to listen.
    #[command(flatten)]
    pub listening: ListenArgs,
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How the store is used.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Which matrix.
    #[command(flatten)]
    pub matrix: MatrixArgs,
    /// How old answers may be, and how much is cached.
    #[command(flatten)]
    pub freshness: FreshnessArgs,
    /// How long calls may take.
    #[command(flatten)]
    pub calls: CallArgs,
    /// What is logged.
    #[command(flatten)]
    pub logging: LogArgs,
}

/// Where `serve` listens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Where gRPC is served
    ///
    /// An IP address and a port; port 0 takes a free one. Beyond loopback only with
    /// --allow-anonymous.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051", value_parser = value::address)]
    pub listen: SocketAddr,

    /// Where the probes /livez and /readyz are answered, over HTTP
    ///
    /// They tell nothing about accounts. In a pod, 0.0.0.0:9090, so that the kubelet reaches them.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = value::address)]
    pub http_listen: SocketAddr,

    /// Answer whoever can connect, beyond loopback too
    ///
    /// Callers are not authenticated yet, so --listen on another address than loopback is refused
    /// without this. Give it where something else decides who can connect, a network policy say.
    #[arg(long, value_name = "true|false", default_value = "false", num_args = 0..=1,
          default_missing_value = "true", require_equals = true, hide_possible_values = true)]
    pub allow_anonymous: bool,

    /// Whether gRPC reflection is served, by which grpcurl finds the methods
    #[arg(long, value_name = "true|false", default_value = "true", action = clap::ArgAction::Set,
          hide_possible_values = true)]
    pub reflection: bool,
}

/// How `serve` uses its store.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Serve this data file from memory; what changes is gone at exit
    ///
    /// YAML or JSON, as `export` writes it. Not together with a database. With neither, demo data
    /// is served.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Connections to Postgres, beside two at most that watch for changes
    ///
    /// Each runs one query for up to a thousand accounts at a time, so that a few are enough.
    #[arg(long, value_name = "COUNT", default_value = "8", value_parser = value::pool_size)]
    pub pool_size: usize,

    /// How long one read of accounts may take
    ///
    /// Short, since a call waits for it: a store that is slower than this counts as out of reach.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = value::duration)]
    pub store_timeout: Duration,

    /// How long reading the whole catalogue may take
    ///
    /// It runs on when a caller gives up, so that the next one finds it done.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::duration)]
    pub catalog_timeout: Duration,
}

/// Bounds of staleness and of the caches.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Freshness and caches")]
pub struct FreshnessArgs {
    /// Up to this age of its data an answer is fresh; an older one says `stale`
    ///
    /// The age is the time since the store last confirmed that the cached data is current.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::duration)]
    pub stale_after: Duration,

    /// Beyond this age there is no answer: calls fail with UNAVAILABLE
    ///
    /// It bounds how long a withdrawn permission can go on being granted while the store is out of
    /// reach, and how long an outage may last that callers do not notice. At least --stale-after.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::duration)]
    pub max_stale: Duration,

    /// How often the store is asked whether something changed
    ///
    /// At most --stale-after, or no answer would ever be fresh.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = value::duration)]
    pub poll_interval: Duration,

    /// The most accounts that are cached, at up to 200 bytes each
    #[arg(long, value_name = "COUNT", default_value = "1000000", value_parser = value::size)]
    pub max_cached_accounts: u64,

    /// The most partners whose policy is cached
    #[arg(long, value_name = "COUNT", default_value = "50000", value_parser = value::size)]
    pub max_cached_partners: u64,

    /// The most ids that are remembered to be of no account
    ///
    /// A bound of its own, so that invented ids push no account out of the cache.
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = value::size)]
    pub max_cached_unknown: u64,
}

/// How long calls may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Calls")]
pub struct CallArgs {
    /// The longest that a call may take, whatever deadline the caller gave
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::duration)]
    pub request_timeout: Duration,

    /// How long calls may go on after SIGTERM or SIGINT, before they are cut
    ///
    /// The exit code is 0 when all of them finished, and 1 when some were cut. Keep it below the
    /// time that the supervisor waits, 30 s in Kubernetes.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = value::grace)]
    pub shutdown_grace: Duration,
}

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

impl ServeArgs {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        self.listening.check(origins)?;
        self.database.check(origins)?;
        for url in ["database-url", "database-url-file"] {
            if self.store.data.is_some() && origins.given(url) {
                return Err(exclusive(origins, "data", url));
            }
        }
        self.freshness.check(origins)
    }

    /// The bounds of Postgres.
    #[must_use]
    pub fn limits(&self) -> PostgresLimits {
        PostgresLimits {
            pool_size: self.store.pool_size,
            store_timeout: self.store.store_timeout,
            catalog_timeout: self.store.catalog_timeout,
            ..PostgresLimits::default()
        }
    }

    /// The bounds of connections and calls.
    #[must_use]
    pub fn edge_limits(&self) -> Limits {
        Limits {
            request_timeout: self.calls.request_timeout,
            ..Limits::default()
        }
    }

    /// The bounds of staleness and of the caches.
    #[must_use]
    pub fn directory(&self) -> DirectoryConfig {
        let bounds = &self.freshness;
        DirectoryConfig {
            stale_after: bounds.stale_after,
            max_stale: bounds.max_stale,
            poll_interval: bounds.poll_interval,
            max_cached_accounts: bounds.max_cached_accounts,
            max_cached_partners: bounds.max_cached_partners,
            max_cached_unknown: bounds.max_cached_unknown,
            ..DirectoryConfig::default()
        }
    }
}

impl ListenArgs {
    fn check(&self, origins: &Origins) -> Result<(), Refused> {
        if self.listen == self.http_listen && self.listen.port() != 0 {
            return Err(Refused::new(format!(
                "{} and {} are both `{}`: each needs an address of its own",
                origins.name("listen"),
                origins.name("http-listen"),
                self.listen
            )));
        }
        let is_loopback = self.listen.ip().to_canonical().is_loopback();
        if is_loopback || self.allow_anonymous {
            return Ok(());
        }
        Err(Refused::new(format!(
            "{} is `{}`, which other machines may reach, and callers are not authenticated yet: listen on loopback \
             (`127.0.0.1:{}`), or give `--allow-anonymous` (`PORTCULLIS_ALLOW_ANONYMOUS=true`) to answer whoever can \
             connect",
            origins.name("listen"),
            self.listen,
            self.listen.port()
        )))
    }
}

impl FreshnessArgs {
    fn check(&self, origins: &Origins) -> Result<(), Refused> {
        let bounds = [
            (
                "poll-interval",
                self.poll_interval,
                "stale-after",
                self.stale_after,
                "or no answer is ever fresh",
            ),
            (
                "stale-after",
                self.stale_after,
                "max-stale",
                self.max_stale,
                "or answers end before they are stale",
            ),
        ];
        for (name, value, bound_name, bound, why) in bounds {
            if value > bound {
                return Err(Refused::new(format!(
                    "{} is `{}`, more than {} (`{}`): it has to be at most that, {why}",
                    origins.name(name),
                    humantime::format_duration(value),
                    origins.name(bound_name),
                    humantime::format_duration(bound)
                )));
            }
        }
        Ok(())
    }
}
