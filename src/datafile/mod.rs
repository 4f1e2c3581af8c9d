//! The data file: what `import` reads and `export` writes, in YAML or JSON.
//!
//! [`parse`] checks whatever can be checked without a store, and tells every problem with its
//! line and field; what depends on stored data is [`crate::store::plan()`]'s to say. [`render()`]
//! writes what [`parse`] reads to the same state. [`history()`] tells a change in the same shapes.
//! Knows the domain and the store's types, and does no IO.

mod history;
mod read;
mod render;
pub mod shape;
mod write;

#[cfg(test)]
mod generated;

pub use history::{MAX_HISTORY_BYTES, history, history_of};
pub use read::{DataFileError, MAX_PROBLEMS, MAX_SETTINGS, Warning, parse};
pub use render::render;
pub use write::Format;

/// The demo data: what `serve` answers from when no store is configured.
pub const DEMO: &str = include_str!("../../demo/demo.yaml");
