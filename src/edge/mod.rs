//! The edge of the service: what a request passes before it reaches a handler, and the connections
//! that it comes on.
//!
//! In the order in which a request meets them: the `server` with its limits of HTTP/2, the
//! method and content type, the exact path (`router`), the `deadline`, then gRPC.

mod aside;
mod deadline;
mod drain;
mod limits;
mod router;
mod server;
pub mod tls;

pub use limits::Limits;
pub use router::Router;
pub use server::{Drained, Server};
