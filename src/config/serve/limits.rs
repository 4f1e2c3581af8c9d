//! Bounds of what `serve` lets in, and for how long.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use crate::config::value;
use crate::edge::Limits;

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long calls may take, and how many there may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Calls")]
pub struct CallArgs {
    /// The longest that a call may take, whatever deadline the caller gave
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::duration)]
    pub request_timeout: Duration,

    /// The most calls that wait for something at once; more are answered RESOURCE_EXHAUSTED
    ///
    /// Answering those at once keeps the others fast. Checks that are answered from the cache and
    /// health checks do not wait and are not counted. Streams have the same bound to themselves.
    #[arg(long, value_name = "COUNT", default_value = "4096", value_parser = value::count(1_usize..=1_000_000))]
    pub max_in_flight: usize,

    /// The most calls at once with a message above 256 KiB
    ///
    /// A catalogue may have several MiB: this bounds the memory that is needed for them.
    #[arg(long, value_name = "COUNT", default_value = "16", value_parser = value::count(1_usize..=10_000))]
    pub max_large_in_flight: usize,

    /// How long to go on as before after SIGTERM or SIGINT, not ready already
    ///
    /// Then connections are told to leave. Give a few seconds where calls come through a balancer
    /// that notices only after a while that this replica is not ready, as in Kubernetes.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = value::grace)]
    pub shutdown_delay: Duration,

    /// How long calls may go on after SIGTERM or SIGINT, before they are cut
    ///
    /// The exit code is 0 when all of them finished, and 1 when some were cut. Keep it below the
    /// time that the supervisor waits, 30 s in Kubernetes.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = value::grace)]
    pub shutdown_grace: Duration,

    /// The threads that serve; default: one for each core
    #[arg(long, value_name = "COUNT", value_parser = value::workers)]
    pub workers: Option<NonZeroUsize>,
}

/// Bounds of connections.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// The most connections at once; who comes then is turned away
    ///
    /// Before that, the connection gives way that has waited the longest without being served. Each
    /// needs a file descriptor: `ulimit -n` has to be above this.
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = value::count(1_usize..=1_000_000))]
    pub max_connections: usize,

    /// The most calls at once on one connection; a client waits before it sends more
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = value::count(1_u32..=10_000))]
    pub max_concurrent_streams: u32,

    /// The most bytes of a call's headers, with 32 more for each of them
    ///
    /// A bearer token is one of the headers, and takes one to two KiB.
    #[arg(long, value_name = "BYTES", default_value = "16384", value_parser = value::count(4_096_u32..=1_048_576))]
    pub max_header_list: u32,

    /// How long a client may take from connecting to the end of its TLS handshake and its first
    /// frame of HTTP/2
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::time(TENTH, 5 * MINUTE))]
    pub handshake_timeout: Duration,

    /// After so long without a word from a client it is sent a ping
    ///
    /// So that connections of clients that vanished do not stay.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = value::time(TENTH, HOUR))]
    pub keepalive: Duration,

    /// How long a client may take to answer that, before its connection is closed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::time(TENTH, 5 * MINUTE))]
    pub keepalive_timeout: Duration,

    /// How long a connection may be without a call, before it is asked to end
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = value::time(SECOND, DAY))]
    pub max_connection_idle: Duration,

    /// How long a connection may last, before it is asked to end
    ///
    /// Give or take a tenth, so that not all end at once. Calls under way are finished. It spreads
    /// clients over replicas that were added later.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = value::time(SECOND, DAY))]
    pub max_connection_age: Duration,
}

/// The bounds that both mean.
pub(super) fn limits(calls: &CallArgs, connections: &ConnectionArgs) -> Limits {
    Limits {
        request_timeout: calls.request_timeout,
        max_in_flight: calls.max_in_flight,
        max_large_in_flight: calls.max_large_in_flight,
        handshake_timeout: connections.handshake_timeout,
        keepalive: connections.keepalive,
        keepalive_timeout: connections.keepalive_timeout,
        max_connection_idle: connections.max_connection_idle,
        max_connection_age: connections.max_connection_age,
        max_connections: connections.max_connections,
        max_concurrent_streams: connections.max_concurrent_streams,
        max_header_list: connections.max_header_list,
        workers: calls.workers.unwrap_or_else(|| Limits::default().workers),
    }
}
