//! Portcullis: a gRPC authorization service for a partner-managed customer portal.

pub mod domain;
pub mod store;
