//! Counting, so that it costs the calls that are counted next to nothing.
//!
//! Whoever does something counts it in [`Counters`] and [`Histograms`] of its own, which know
//! neither names nor labels; a [`Page`] gives what was counted its names when somebody asks. This
//! module knows nothing of the crate.

mod counters;
mod histograms;
mod page;

pub use counters::Counters;
pub use histograms::{Histogram, Histograms};
pub use page::Page;
