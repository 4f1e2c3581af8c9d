//! Probes over plain HTTP, and gRPC's health service: one task feeds both.

use std::sync::Arc;

use portcullis::http::{self, Readiness};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::probe::ask;
use crate::support::server::Server;
use crate::support::within;

const SERVICES: [&str; 3] = [
    "",
    "portcullis.v1.AuthorizationService",
    "portcullis.v1.PolicyService",
];

pub(crate) fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

/// Waits until the service says of itself that it serves.
pub(crate) async fn serving(server: &Server) {
    let mut client = HealthClient::new(server.channel().await);
    let mut watched = client.watch(service("")).await.unwrap().into_inner();
    loop {
        let next = within("a status", watched.message()).await.unwrap();
        if next.unwrap().status() == ServingStatus::Serving {
            return;
        }
    }
}

#[tokio::test]
async fn probes() {
    let server = Server::demo().await;
    serving(&server).await;
    for (method, path, want, text) in [
        ("GET", "/livez", 200, "alive"),
        ("GET", "/readyz", 200, "ready"),
        ("GET", "/readyz?verbose", 200, "ready"),
        ("GET", "/", 404, "/livez, /readyz and /metrics"),
        ("GET", "/livez/", 404, ""),
        ("GET", "/LIVEZ", 404, ""),
        ("POST", "/livez", 405, "GET"),
        ("DELETE", "/readyz", 405, "GET"),
    ] {
        let (status, _, body) = ask(server.http, method, path).await;
        assert_eq!(status, want, "{method} {path}");
        assert!(body.contains(text), "{method} {path}: {body}");
    }
    let (status, _, body) = ask(server.http, "HEAD", "/readyz").await;
    assert_eq!((status, body.as_str()), (200, ""));
    let (_, head, _) = ask(server.http, "POST", "/readyz").await;
    assert!(head.contains("\r\nallow: GET, HEAD\r\n"), "{head}");
}

#[tokio::test]
async fn a_probe_says_why_it_is_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let why = "the store was not read yet";
    let (told, readiness) = watch::channel(Readiness::NotReady(why.to_owned()));
    let probes = tokio::spawn(http::serve(
        listener,
        readiness,
        Arc::new(portcullis::metrics::Page::default),
    ));
    let (status, _, body) = ask(address, "GET", "/readyz").await;
    assert_eq!(
        (status, body.as_str()),
        (503, "not ready: the store was not read yet\n")
    );
    // Alive all the same: nothing is won by ending the process.
    assert_eq!(ask(address, "GET", "/livez").await.0, 200);
    told.send_replace(Readiness::Ready);
    assert_eq!(ask(address, "GET", "/readyz").await.0, 200);
    probes.abort();
}

#[tokio::test]
async fn nonsense_on_the_probes_port_ends_nothing() {
    let server = Server::demo().await;
    for hello in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(hello).await.unwrap();
        let _ = within("an end", stream.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(ask(server.http, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn health_knows_the_whole_and_each_service() {
    let server = Server::demo().await;
    serving(&server).await;
    let mut client = HealthClient::new(server.channel().await);
    for name in SERVICES {
        let answer = client.check(service(name)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
        let mut watched = client.watch(service(name)).await.unwrap().into_inner();
        let first = within("a status", watched.message()).await.unwrap();
        assert_eq!(first.unwrap().status(), ServingStatus::Serving, "{name:?}");
    }
    let unknown = "portcullis.v1.NoSuchService";
    let status = client.check(service(unknown)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // SERVICE_UNKNOWN on a stream would be the other way to say it.
    let status: Status = client.watch(service(unknown)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
