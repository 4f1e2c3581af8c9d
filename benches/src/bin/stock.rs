//! What Portcullis is compared with: a handler that does nothing behind tonic as it comes. Its runtime
//! of several threads, its router, its codec, the allocator of the system.

#![allow(
    clippy::unwrap_used,
    reason = "a figure of something that went wrong would be none: it ends there"
)]

use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use v1::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};

#[allow(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated"
)]
mod google {
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

#[allow(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    reason = "generated"
)]
mod portcullis {
    pub mod v1 {
        tonic::include_proto!("portcullis.v1");
    }
}
use portcullis::v1;

portcullis_bench::do_nothing!(
    v1,
    [
        v1::BatchCheckFeaturesRequest,
        v1::BatchCheckFeaturesResponse
    ],
    [v1::FilterCatalogRequest, v1::FilterCatalogResponse]
);

#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let connections = TcpListenerStream::new(listener);
    let service = AuthorizationServiceServer::new(Nothing);
    let server = Server::builder().add_service(service);
    server.serve_with_incoming(connections).await.unwrap();
}
