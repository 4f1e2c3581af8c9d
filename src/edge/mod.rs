//! The edge of the service: what a request passes before it reaches a handler, and the connections
//! that it comes on.
//!
//! In the order in which a peer meets them: the accept loop (`server`) and its `seats`, the
//! `connection` on one of the `workers` with its `guard` and its `life`, `http2`, and for each request
//! the exact path (`methods`), the `gate`, the `admission`, the `deadline`, then gRPC.

mod admission;
mod answer;
mod aside;
mod asked;
mod at_once;
mod calls;
mod connection;
mod deadline;
mod figures;
mod frames;
mod gate;
mod guard;
mod http;
mod http2;
mod incoming;
mod life;
mod limits;
mod link;
mod memory;
mod methods;
mod perform;
mod router;
mod seats;
mod seldom;
mod server;
mod services;
mod stream;
pub mod tls;
mod trace;
mod workers;

pub use calls::MethodCalls;
pub use figures::Figures;
pub use gate::{Gate, Proofs};
pub use limits::Limits;
pub use router::Router;
pub(crate) use seats::Seats;
pub(crate) use seldom::Seldom;
pub use server::{Drained, Server};
pub use services::{Serves, Services};
