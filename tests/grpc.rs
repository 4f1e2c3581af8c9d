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
#[path = "grpc/prices.rs"]
mod prices;
#[path = "grpc/recipients.rs"]
mod recipients;
#[path = "grpc/stored.rs"]
mod stored;
#[path = "grpc/watch.rs"]
mod watch;
