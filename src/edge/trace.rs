//! A call in the words of those who follow it through many services: its id, and its span.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::methods::Method;
use crate::traces::{RequestId, TARGET};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that a caller has given its request.
pub(super) fn request_id(headers: &HeaderMap) -> Option<RequestId> {
    RequestId::try_from(headers.get(&REQUEST_ID)?.as_bytes()).ok()
}

/// Gives a caller its id back, where it has given one.
pub(super) fn echo(headers: &mut HeaderMap, id: Option<&RequestId>) {
    // Made of a header's value.
    if let Some(Ok(value)) = id.map(|id| HeaderValue::from_str(id.as_str())) {
        headers.insert(&REQUEST_ID, value);
    }
}

/// The span of a call of `method`, below its caller's where that has one.
pub(super) fn span(method: Option<Method>, headers: &HeaderMap, id: Option<&RequestId>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = Empty,
        rpc.method = Empty,
        rpc.grpc.status_code = Empty,
        request_id = id.map(RequestId::as_str),
    );
    if span.is_disabled() {
        return span;
    }
    let (service, name) = method.map_or(("unknown", "unknown"), Method::names);
    span.record("otel.name", format!("{service}/{name}"));
    span.record("rpc.service", service);
    span.record("rpc.method", name);
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // Refused only where nobody listens to the span any more.
    let _ = span.set_parent(parent);
    span
}

/// How it ended.
pub(super) fn end(span: &Span, code: Code) {
    // Inside, for that is when a span ends: that it is dropped is not noticed.
    span.in_scope(|| {
        span.record("rpc.grpc.status_code", i32::from(code));
        if is_fault(code) {
            span.record("otel.status_code", "error");
        }
    });
}

/// Whether the service is to blame for a status, as OpenTelemetry has it.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// Headers, for the reader of trace contexts.
struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
