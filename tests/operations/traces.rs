//! Spans, as a collector gets them, and ids that are given back.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use portcullis::proto::v1::GetAccountRequest;
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tower::Service as _;

use crate::support::http2::{Answer, Connection, frame};
use crate::support::probe;
use crate::support::process::Process;
use crate::support::requests;
use crate::support::within;
use crate::world::CHECK;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// What a collector was sent.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        for resource in &resources {
            let named = attributes(&resource.resource.as_ref().unwrap().attributes);
            assert_eq!(named["service.name"], "portcullis");
        }
        let scopes = resources
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = TraceServiceServer::new(self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let mut server = server.clone();
                    async move {
                        let response: Response<tonic::body::Body> = server
                            .call(request)
                            .await
                            .unwrap_or_else(|never| match never {});
                        Ok::<_, Infallible>(response)
                    }
                });
                let connection = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        address
    }

    /// The spans, as soon as there are so many.
    async fn spans(&self, count: usize) -> Vec<Span> {
        let all = || self.0.lock().unwrap().clone();
        let there = async {
            while all().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within("spans", there).await;
        all()
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |value: &Option<AnyValue>| {
        let value = value.as_ref().unwrap().value.as_ref().unwrap();
        if let Value::StringValue(text) = value {
            return text.clone();
        }
        let Value::IntValue(number) = value else {
            panic!("{value:?}");
        };
        number.to_string()
    };
    pairs
        .iter()
        .map(|pair| (&*pair.key, text(&pair.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A check of this account, as it is sent.
fn check(account: &str) -> Vec<u8> {
    requests::check(account, "pricing.view").encode_to_vec()
}

/// A server that traces to `endpoint`, ready, and a connection to it.
async fn traced(endpoint: &str, folder: &Path) -> (Process, Connection) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Process::start(&[], &variables, folder);
    probe::until_ready(server.http).await;
    let connection = Connection::open(server.grpc).await;
    (server, connection)
}

async fn call(
    connection: &Connection,
    path: &str,
    message: &[u8],
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = connection.request(path);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    connection.send(request, frame(message)).await.unwrap()
}

#[tokio::test]
async fn a_call_is_a_span_below_its_callers() {
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen().await);
    let folder = tempfile::tempdir().unwrap();
    let (server, connection) = traced(&endpoint, folder.path()).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("traceparent", &*traceparent),
        ("x-request-id", "8f14-e45f"),
    ];
    let answer = call(&connection, CHECK, &check("northwind-games"), &headers).await;
    assert_eq!(
        answer.grpc().map_or(Code::Ok, |status| status.code()),
        Code::Ok
    );
    let account = GetAccountRequest {
        account_id: "nobody".to_owned(),
    };
    let path = "/portcullis.v1.PolicyService/GetAccount";
    let answer = call(&connection, path, &account.encode_to_vec(), &headers).await;
    assert_eq!(answer.grpc().unwrap().code(), Code::NotFound);

    let spans = collector.spans(4).await;
    let find = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let span = found.next().unwrap_or_else(|| panic!("{name}: {spans:#?}"));
        assert!(found.next().is_none(), "{name} is there twice");
        span
    };
    for (name, method, status, step) in [
        (
            "portcullis.v1.AuthorizationService/CheckFeature",
            "CheckFeature",
            "0",
            "directory/load",
        ),
        (
            "portcullis.v1.PolicyService/GetAccount",
            "GetAccount",
            "5",
            "store/read",
        ),
    ] {
        let span = find(name);
        assert_eq!(
            (&*hex(&span.trace_id), &*hex(&span.parent_span_id)),
            (TRACE, PARENT)
        );
        let attributes = attributes(&span.attributes);
        for (attribute, want) in [
            ("rpc.system", "grpc"),
            ("rpc.method", method),
            ("rpc.grpc.status_code", status),
            ("request_id", "8f14-e45f"),
        ] {
            assert_eq!(attributes[attribute], want, "{attribute}");
        }
        // No status of OpenTelemetry: the caller is to blame, or nobody.
        assert_eq!(span.status.as_ref().map_or(0, |status| status.code), 0);
        let step = find(step);
        assert_eq!(
            (&step.trace_id, &step.parent_span_id),
            (&span.trace_id, &span.span_id)
        );
    }
    // Polls and loads of the service's own are nobody's calls.
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert!(
        !server.log().contains("portcullis::trace"),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn a_stream_is_a_span_as_long_as_it_lasts() {
    const LASTS: Duration = Duration::from_millis(300);
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.listen().await);
    let folder = tempfile::tempdir().unwrap();
    let (_server, connection) = traced(&endpoint, folder.path()).await;
    let mut watch = connection.request("/portcullis.v1.AuthorizationService/WatchChanges");
    let timeout = format!("{}m", LASTS.as_millis()).parse().unwrap();
    watch.headers_mut().insert("grpc-timeout", timeout);
    let answer = connection.send(watch, frame(&[])).await.unwrap();
    assert_eq!(answer.grpc().unwrap().code(), Code::DeadlineExceeded);
    let spans = collector.spans(1).await;
    let span = &spans[0];
    let lasted = Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano);
    assert!(lasted >= LASTS, "{lasted:?}");
    // Of OpenTelemetry's, where the service is to blame.
    assert_eq!(span.status.as_ref().map_or(0, |status| status.code), 2);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        // Nobody listens there.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ];
    let mut server = Process::start(&[], &variables, folder.path());
    probe::until_ready(server.http).await;
    let connection = Connection::open(server.grpc).await;
    for _ in 0..50 {
        let answer = connection
            .call("CheckFeature", &check("northwind-games"))
            .await;
        assert_eq!(
            answer.grpc().map_or(Code::Ok, |status| status.code()),
            Code::Ok
        );
    }
    let said = async {
        while !server.log().contains("traces cannot be exported") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("a word of it", said).await;
    for _ in 0..20 {
        connection
            .call("CheckFeature", &check("northwind-games"))
            .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = server.log();
    assert_eq!(log.matches("traces cannot be exported").count(), 1, "{log}");
    assert_eq!(server.end().await, Some(0));
}

#[tokio::test]
async fn the_id_of_a_request_is_given_back_with_every_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::serve_demo(&["--decision-log=all"], folder.path());
    probe::until_ready(server.http).await;
    let connection = Connection::open(server.grpc).await;
    let id = |answer: &Answer| {
        let id = answer.headers.get("x-request-id");
        id.map(|id| id.to_str().unwrap().to_owned())
    };
    for account in ["northwind-games", "nobody", "a b"] {
        let headers = [("x-request-id", account)];
        let answer = call(&connection, CHECK, &check(account), &headers).await;
        // What could not be in a log line is not given back.
        let want = (account != "a b").then(|| account.to_owned());
        assert_eq!(id(&answer), want);
    }
    let headers = [("x-request-id", "no-method")];
    let answer = call(&connection, "/no/method", &[], &headers).await;
    assert_eq!(id(&answer).as_deref(), Some("no-method"));
    let answer = connection
        .call("CheckFeature", &check("northwind-games"))
        .await;
    assert_eq!(id(&answer), None);
    let logged = async {
        while !server.log().contains("request_id=\"northwind-games\"") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("the decision log", logged).await;
}
