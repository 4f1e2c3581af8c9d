//! Portcullis: a gRPC authorization service for a partner-managed customer portal.

pub mod datafile;
pub mod domain;
pub mod store;
