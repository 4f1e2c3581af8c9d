//! What the edge lets through, and for how long.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Bounds of connections and calls. The defaults are those of the flags of `serve`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest that a call may take, whatever the caller's deadline.
    pub request_timeout: Duration,
    /// Calls that are worked on at once; more are shed.
    pub max_in_flight: usize,
    /// Calls at once that have a message above 256 KiB.
    pub max_large_in_flight: usize,
    /// From the connection to a finished TLS handshake and the first frame of HTTP/2.
    pub handshake_timeout: Duration,
    /// After so long without a word from the peer it is sent a ping.
    pub keepalive: Duration,
    /// How long the peer may take to answer that.
    pub keepalive_timeout: Duration,
    /// How long a connection may be open without a call.
    pub max_connection_idle: Duration,
    /// How long a connection may be open at all, give or take a tenth.
    pub max_connection_age: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// Calls at once on one connection.
    pub max_concurrent_streams: u32,
    /// The most bytes of a request's headers, each counted with 32 more, as HTTP/2 has it.
    pub max_header_list: u32,
    /// Threads that serve, each with a runtime of its own.
    pub workers: NonZeroUsize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(5),
            max_in_flight: 4096,
            max_large_in_flight: 16,
            handshake_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(10),
            max_connection_idle: Duration::from_secs(15 * 60),
            max_connection_age: Duration::from_secs(30 * 60),
            max_connections: 10_000,
            max_concurrent_streams: 256,
            max_header_list: 16 << 10,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}
