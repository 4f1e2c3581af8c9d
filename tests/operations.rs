//! What operators see: metrics, log lines and traces, and the tables that tell of them.

#![cfg(test)]

mod support;

#[path = "operations/events.rs"]
mod events;
#[path = "operations/exposition.rs"]
mod exposition;
#[path = "operations/metrics.rs"]
mod metrics;
#[path = "operations/sizing.rs"]
mod sizing;
#[path = "operations/tables.rs"]
mod tables;
#[path = "operations/traces.rs"]
mod traces;
#[path = "trust/world.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod world;
