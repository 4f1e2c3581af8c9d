//! Portcullis: a gRPC authorization service for a partner-managed customer portal.

pub mod administrator;
pub mod app;
pub mod authorizer;
pub mod callers;
pub mod cli;
pub mod clock;
pub mod config;
pub mod datafile;
pub mod decisions;
pub mod directory;
pub mod domain;
pub mod edge;
pub mod grpc;
pub mod http;
pub mod metrics;
pub mod pem;
pub mod proto;
pub mod reload;
pub mod store;
pub mod traces;
