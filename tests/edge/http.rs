//! Methods, content types, paths and headers.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method};
use portcullis::proto::v1;
use prost::Message as _;
use tonic::Code;

use crate::support::http2::{Connection, frame, path};
use crate::support::refused::{invalid, refused};
use crate::support::requests::check;
use crate::support::server::Server;
use crate::support::{raw, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn message() -> bytes::Bytes {
    frame(&check("acme", "pricing.view").encode_to_vec())
}

/// That the server is as good as before.
async fn still_answers(connection: &Connection) {
    let message = check("acme", "pricing.view").encode_to_vec();
    let answer = connection.call("CheckFeature", &message).await;
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    let answer = v1::CheckFeatureResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(answer.effect(), v1::Effect::Allow);
}

#[tokio::test]
async fn anything_but_post_is_405() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        for target in [path("CheckFeature"), "/nothing".to_owned()] {
            let mut request = connection.request(&target);
            *request.method_mut() = method.clone();
            let answer = connection.send(request, bytes::Bytes::new()).await.unwrap();
            assert_eq!(answer.status, 405, "{method} {target}");
            assert_eq!(answer.headers.get(ALLOW).unwrap(), "POST");
            assert!(answer.grpc().is_none() && answer.body.is_empty());
        }
    }
    still_answers(&connection).await;
}

#[tokio::test]
async fn any_content_type_but_grpc_is_415() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for content_type in [
        None,
        Some(""),
        Some("application/json"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpcc"),
        Some("text/plain, application/grpc"),
    ] {
        let mut request = connection.request(&path("CheckFeature"));
        let headers = request.headers_mut();
        headers.remove(CONTENT_TYPE);
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let answer = connection.send(request, message()).await.unwrap();
        assert_eq!(answer.status, 415, "{content_type:?}");
        assert!(answer.grpc().is_none() && answer.body.is_empty());
    }
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
    ] {
        let mut request = connection.request(&path("CheckFeature"));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let answer = connection.send(request, message()).await.unwrap();
        assert_eq!(answer.status, 200, "{content_type}");
        assert_eq!(answer.grpc().unwrap().code(), Code::Ok, "{content_type}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_exactly_a_method_is_unimplemented() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for path in [
        "/",
        "//portcullis.v1.AuthorizationService/CheckFeature",
        "/portcullis.v1.AuthorizationService//CheckFeature",
        "/portcullis.v1.AuthorizationService/CheckFeature/",
        "/portcullis.v1.AuthorizationService/CheckFeature?x=1",
        "/portcullis.v1.AuthorizationService/CheckFeature?",
        "/portcullis.v1.AuthorizationService/%43heckFeature",
        "/portcullis.v1.AuthorizationService%2FCheckFeature",
        "/portcullis.v1.Authorization%53ervice/CheckFeature",
        "/portcullis.v1.AuthorizationService/./CheckFeature",
        "/x/../portcullis.v1.AuthorizationService/CheckFeature",
        "/portcullis.v1.AuthorizationService/checkFeature",
        "/portcullis.v1.AuthorizationService/CheckFeature;v=1",
        "/portcullis.v1.AuthorizationService/FilterCatalog/",
        "/portcullis.v1.AuthorizationService/NoSuchMethod",
        "/portcullis.v1.PolicyService/NoSuchMethod",
        "/portcullis.v1.PolicyService/PutLocations/",
        "/portcullis.v1.AuthorizationService/",
        "/portcullis.v1.AuthorizationService",
        "/portcullis.v1.NoSuchService/CheckFeature",
        "/AuthorizationService/CheckFeature",
        "/grpc.health.v1.Health/Check/",
        "/grpc.health.v1.Health/NoSuchMethod",
        "/grpc.reflection.v1.ServerReflection/NoSuchMethod",
    ] {
        let answer = connection
            .send(connection.request(path), message())
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{path}");
        let status = answer.grpc().unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
        assert_eq!(
            answer.headers.get(CONTENT_TYPE).unwrap(),
            "application/grpc"
        );
    }
    still_answers(&connection).await;
}

#[tokio::test]
async fn a_malformed_timeout_is_named() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    for timeout in [
        "",
        "S",
        "5",
        "soon",
        "-1S",
        "+1S",
        "1.5S",
        "123456789S",
        "1s",
        " 1S",
        "1 S",
        "1SS",
        "\t",
    ] {
        let mut request = connection.request(&path("CheckFeature"));
        let headers = request.headers_mut();
        headers.insert("grpc-timeout", HeaderValue::from_str(timeout).unwrap());
        let answer = connection.send(request, message()).await.unwrap();
        let refused = refused(&answer.grpc().unwrap());
        assert_eq!(refused, invalid(["grpc-timeout"]), "{timeout:?}");
    }
    let mut request = connection.request(&path("CheckFeature"));
    let not_text = HeaderValue::from_bytes(b"\xff1S").unwrap();
    request.headers_mut().insert("grpc-timeout", not_text);
    let answer = connection.send(request, message()).await.unwrap();
    assert_eq!(refused(&answer.grpc().unwrap()), invalid(["grpc-timeout"]));
    still_answers(&connection).await;
}

#[tokio::test]
async fn headers_have_sixteen_kibibytes_at_most() {
    let server = Server::demo().await;
    let connection = Connection::open(server.grpc).await;
    let with = |bytes: usize| {
        let mut request = connection.request(&path("CheckFeature"));
        let value = HeaderValue::from_str(&"x".repeat(bytes)).unwrap();
        request.headers_mut().insert("x-large", value);
        request
    };
    let answer = connection.send(with(15 << 10), message()).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::Ok);
    // Either is HTTP/2's own: 431, or the stream is reset.
    match connection.send(with(17 << 10), message()).await {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(error) => assert!(error.is_reset(), "{error}"),
    }
    still_answers(&connection).await;
}

#[tokio::test]
async fn http_1_on_the_grpc_port_is_closed() {
    let server = Server::demo().await;
    for hello in [
        &b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..],
        b"POST /portcullis.v1.AuthorizationService/CheckFeature HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = TcpStream::connect(server.grpc).await.unwrap();
        stream.write_all(hello).await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset; either way there is an end, and no HTTP/1 answer before it.
        let _ = within("an end", stream.read_to_end(&mut answer)).await;
        assert!(!raw::contains(&answer, "HTTP/1"), "{answer:?}");
    }
    still_answers(&Connection::open(server.grpc).await).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let server = Server::demo().await;
    for _ in 0..20 {
        let connection = Connection::open(server.grpc).await;
        let mut requests = connection.requests.clone().ready().await.unwrap();
        let request = connection.request(&path("CheckFeature"));
        let (answer, mut sending) = requests.send_request(request, false).unwrap();
        sending.send_data(message().slice(..7), false).unwrap();
        drop((answer, sending));
        connection.closed.abort();
    }
    still_answers(&Connection::open(server.grpc).await).await;
}
