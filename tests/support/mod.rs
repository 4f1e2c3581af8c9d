//! What several test files share. Each file uses its own part of it.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test file uses a part of this"
)]

pub mod gate;
pub mod server;
