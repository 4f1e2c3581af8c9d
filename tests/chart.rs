//! The Helm chart: what it makes of values, by Helm itself, and what it refuses.
//!
//! Each file of `tests/chart/values` is rendered for the oldest and the newest Kubernetes, and every
//! test looks at all of what came out.

#![cfg(test)]

#[path = "chart/documented.rs"]
mod documented;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/migration.rs"]
mod migration;
#[path = "chart/mounted.rs"]
mod mounted;
#[path = "chart/names.rs"]
mod names;
#[path = "chart/notes.rs"]
mod notes;
#[path = "chart/objects.rs"]
mod objects;
#[path = "chart/program.rs"]
mod program;
#[path = "chart/refused.rs"]
mod refused;
#[path = "chart/restricted.rs"]
mod restricted;
#[path = "chart/schemas.rs"]
mod schemas;
#[path = "chart/single.rs"]
mod single;
#[path = "chart/wiring.rs"]
mod wiring;

mod support;
