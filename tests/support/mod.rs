//! What several test files share. Each file uses its own part of it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test file uses a part of this"
)]

pub mod demo;
pub mod gate;
pub mod gated;
pub mod http2;
pub mod raw;
pub mod refused;
pub mod requests;
pub mod server;

use std::time::Duration;

/// The answer, which has to come: what hangs is a failure and not a test that never ends.
pub async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => panic!("{what}: nothing after a minute"),
    }
}
