//! The data file: what `import` reads and `export` writes, in YAML or JSON.
//!
//! [`parse`] checks whatever can be checked without a store, and tells every problem with its
//! line and field; what depends on stored data is [`crate::store::plan`]'s to say.
//! Knows the domain and the store's types, and does no IO.

mod read;

pub use read::{DataFileError, MAX_PROBLEMS, MAX_SETTINGS, Warning, parse};

/// The demo data: what `serve` answers from when no store is configured.
pub const DEMO: &str = include_str!("../../demo/demo.yaml");
