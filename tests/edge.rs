//! What is in front of the handlers: HTTP/2 as no gRPC client would speak it, probes, health,
//! reflection and the drain.

#![cfg(test)]

mod support;

#[path = "edge/at_once.rs"]
mod at_once;
#[path = "edge/drain.rs"]
mod drain;
#[path = "edge/health.rs"]
mod health;
#[path = "edge/hostile.rs"]
mod hostile;
#[path = "edge/http.rs"]
mod http;
#[path = "edge/limits.rs"]
mod limits;
#[path = "edge/overload.rs"]
mod overload;
#[path = "edge/reflection.rs"]
mod reflection;
#[path = "edge/rollout.rs"]
mod rollout;
