//! How fast Portcullis is, as ratios to something that is measured in the same run.
//!
//! What the figures mean, how they are taken and what was tried is in `README.md` beside this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a figure of something that went wrong would be none: it ends there"
)]

pub mod alone;
mod cached;
pub mod caches;
pub mod catalogue;
#[cfg(feature = "cedar")]
pub mod cedar;
pub mod check;
pub mod decisions;
pub mod made_up;
pub mod measure;
pub mod memory;
pub mod nothing;
pub mod peers;
pub mod report;
pub mod scale;
pub mod table;
pub mod wire;
pub mod world;
