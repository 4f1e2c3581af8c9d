//! How `serve` uses its store, and what it caches of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::complaint::Refused;
use crate::config::layers::Origins;
use crate::config::value;

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

    /// The most accounts that are cached, at about 600 bytes each
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

impl FreshnessArgs {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
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
