//! Both services over a real connection: every call, and what it answers.

#![cfg(test)]

mod support;

#[path = "grpc/consistency.rs"]
mod consistency;
#[path = "grpc/features.rs"]
mod features;
#[path = "grpc/grpcurl.rs"]
mod grpcurl;
#[path = "grpc/inline.rs"]
mod inline;
#[path = "grpc/policies.rs"]
mod policies;
#[path = "grpc/policies_accounts.rs"]
mod policies_accounts;
#[path = "grpc/policies_catalog.rs"]
mod policies_catalog;
#[path = "grpc/policies_explain.rs"]
mod policies_explain;
#[path = "grpc/policies_history.rs"]
mod policies_history;
#[path = "grpc/policies_preview.rs"]
mod policies_preview;
#[path = "grpc/prices.rs"]
mod prices;
#[path = "grpc/recipients.rs"]
mod recipients;
#[path = "grpc/stored.rs"]
mod stored;
#[path = "grpc/watch.rs"]
mod watch;
