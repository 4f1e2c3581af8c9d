//! The messages and services of `proto/`, generated.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated"
)]

/// Package `portcullis`.
pub mod portcullis {
    /// Package `portcullis.v1`.
    pub mod v1 {
        tonic::include_proto!("portcullis.v1");
        // The servers.
        include!(concat!(env!("OUT_DIR"), "/served/portcullis.v1.rs"));
    }
}

/// Package `google`.
pub mod google {
    /// Package `google.type`.
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

pub use portcullis::v1;

/// The descriptors of everything under `proto/`, with comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
