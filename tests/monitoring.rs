#![cfg(test)]
//! Alerts, their runbook and the dashboard: whether they say what they should, of metrics that there
//! are.

#[path = "monitoring/alerts.rs"]
mod alerts;
#[path = "monitoring/dashboard.rs"]
mod dashboard;
#[path = "monitoring/metrics.rs"]
mod metrics;
#[path = "support/promql.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "other tests use other parts of it"
)]
mod promql;
#[path = "monitoring/promtool.rs"]
mod promtool;
#[path = "support/queries.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "other tests use other parts of it"
)]
mod queries;
#[path = "monitoring/render.rs"]
mod render;
#[path = "operations/tables.rs"]
mod tables;
