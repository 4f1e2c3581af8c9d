//! From a path to a service.
//!
//! A path is matched byte by byte: one with a query, a doubled slash or an escaped letter is no
//! method, so that nothing in front of this service can read it differently from this service.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use crate::clock::Moment;
use crate::grpc::{
    AuthorizationApi, MAX_CATALOG_MESSAGE, MAX_MESSAGE, PolicyApi, deadline_exceeded,
    message_too_large,
};
use crate::proto::v1::authorization_service_server::AuthorizationServiceServer;
use crate::proto::v1::policy_service_server::PolicyServiceServer;

use super::aside::Aside;
use super::deadline::{time_left, wanted};
use super::drain::{AskBody, DrainBody, Ending};

type Streaming = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Every service on the gRPC port.
#[derive(Clone)]
pub struct Router {
    authorization: AuthorizationServiceServer<AuthorizationApi>,
    /// The same service with the message limit of FilterCatalog: tonic's limit is per service.
    catalog: AuthorizationServiceServer<AuthorizationApi>,
    policy: PolicyServiceServer<PolicyApi>,
    /// The same service with the message limit of what writes the catalogue.
    large_policy: PolicyServiceServer<PolicyApi>,
    health: Streaming,
    reflection: Option<[Streaming; 2]>,
    aside: Arc<Aside>,
    request_timeout: Duration,
    drain: CancellationToken,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Authorization,
    FilterCatalog,
    WatchChanges,
    Policy,
    /// Methods of PolicyService that take long or whose messages are large.
    LargePolicy,
    Health,
    ReflectionV1,
    ReflectionV1Alpha,
    Nothing,
}

fn route(path: &str) -> Route {
    match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some(("portcullis.v1.AuthorizationService", "FilterCatalog")) => Route::FilterCatalog,
        Some(("portcullis.v1.AuthorizationService", "WatchChanges")) => Route::WatchChanges,
        Some(("portcullis.v1.AuthorizationService", _)) => Route::Authorization,
        Some((
            "portcullis.v1.PolicyService",
            "PutBillingMarkets"
            | "DeleteBillingMarkets"
            | "PutLocations"
            | "DeleteLocations"
            | "PreviewPartnerPolicy",
        )) => Route::LargePolicy,
        Some(("portcullis.v1.PolicyService", _)) => Route::Policy,
        Some(("grpc.health.v1.Health", _)) => Route::Health,
        Some(("grpc.reflection.v1.ServerReflection", _)) => Route::ReflectionV1,
        Some(("grpc.reflection.v1alpha.ServerReflection", _)) => Route::ReflectionV1Alpha,
        Some(_) | None => Route::Nothing,
    }
}

impl Router {
    /// A router whose calls take `request_timeout` at most, and whose streams end with `drain`.
    ///
    /// # Errors
    /// Where the threads for large calls cannot be started.
    pub fn new<H>(
        api: AuthorizationApi,
        policy: PolicyApi,
        health: H,
        request_timeout: Duration,
        drain: CancellationToken,
    ) -> std::io::Result<Self>
    where
        H: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        H::Future: Send,
    {
        let api = Arc::new(api);
        let server = |limit| {
            AuthorizationServiceServer::from_arc(Arc::clone(&api)).max_decoding_message_size(limit)
        };
        let policy = Arc::new(policy);
        let policy_server = |limit| {
            PolicyServiceServer::from_arc(Arc::clone(&policy)).max_decoding_message_size(limit)
        };
        Ok(Self {
            authorization: server(MAX_MESSAGE),
            catalog: server(MAX_CATALOG_MESSAGE),
            policy: policy_server(MAX_MESSAGE),
            large_policy: policy_server(MAX_CATALOG_MESSAGE),
            health: BoxCloneSyncService::new(health),
            reflection: None,
            aside: Arc::new(Aside::new()?),
            request_timeout,
            drain,
        })
    }

    /// Serves reflection too.
    #[must_use]
    pub fn with_reflection<V1, V1Alpha>(mut self, v1: V1, v1alpha: V1Alpha) -> Self
    where
        V1: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        V1::Future: Send,
        V1Alpha: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        V1Alpha::Future: Send,
    {
        self.reflection = Some([
            BoxCloneSyncService::new(v1),
            BoxCloneSyncService::new(v1alpha),
        ]);
        self
    }

    /// Answers one request.
    pub(super) async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::POST {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                Some((header::ALLOW, "POST")),
            );
        }
        if !is_grpc(request.headers()) {
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, None);
        }
        if request.uri().query().is_some() {
            return unimplemented();
        }
        let [v1, v1alpha] = match self.reflection {
            Some([v1, v1alpha]) => [Some(v1), Some(v1alpha)],
            None => [None, None],
        };
        match route(request.uri().path()) {
            Route::Authorization => {
                within_deadline(self.authorization, request, self.request_timeout).await
            }
            Route::FilterCatalog => {
                let call = within_deadline(self.catalog, request, self.request_timeout);
                self.aside.work_off(call).await
            }
            Route::Policy => within_deadline(self.policy, request, self.request_timeout).await,
            Route::LargePolicy => {
                let call = within_deadline(self.large_policy, request, self.request_timeout);
                self.aside.work_off(call).await
            }
            Route::WatchChanges => {
                let (watch, ending) = (Some(self.authorization), Ending::AtOnce);
                until_drained(watch, request, self.request_timeout, self.drain, ending).await
            }
            Route::Health => {
                let (health, ending) = (Some(self.health), Ending::WhenIdle);
                until_drained(health, request, self.request_timeout, self.drain, ending).await
            }
            Route::ReflectionV1 => {
                let ending = Ending::WhenIdle;
                until_drained(v1, request, self.request_timeout, self.drain, ending).await
            }
            Route::ReflectionV1Alpha => {
                let ending = Ending::WhenIdle;
                until_drained(v1alpha, request, self.request_timeout, self.drain, ending).await
            }
            Route::Nothing => unimplemented(),
        }
    }
}

/// A call that is cut at its deadline. It is cut between two steps of its future: what it waits for
/// goes on for others, and only the waiting ends.
async fn within_deadline<S, B>(service: S, request: Request<B>, longest: Duration) -> Response<Body>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    let left = match time_left(request.headers(), longest) {
        Ok(left) => left,
        Err(status) => return status.into_http(),
    };
    let began = Moment::now();
    match tokio::time::timeout(left, service.oneshot(request)).await {
        // An answer that was there at the first look may still be too late.
        Ok(Ok(_)) if Moment::now().since(began) >= left => deadline_exceeded().into_http(),
        Ok(Ok(response)) => with_our_status(response),
        Ok(Err(never)) => match never {},
        Err(_elapsed) => deadline_exceeded().into_http(),
    }
}

/// A call whose answer may be a stream: its beginning has a deadline as that of any other call, and
/// its end is the caller's deadline or the drain.
async fn until_drained<S>(
    service: Option<S>,
    request: Request<Incoming>,
    longest: Duration,
    drain: CancellationToken,
    ending: Ending,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let Some(service) = service else {
        return unimplemented();
    };
    let wanted = match wanted(request.headers()) {
        Ok(wanted) => wanted,
        Err(status) => return status.into_http(),
    };
    // One that lies beyond what a clock can say is none.
    let deadline = wanted.and_then(|wanted| Instant::now().checked_add(wanted));
    let (parts, asked) = request.into_parts();
    let (asked, asking) = AskBody::new(asked);
    let request = Request::from_parts(parts, Body::new(asked));
    within_deadline(service, request, longest)
        .await
        .map(|body| {
            let drain = drain.cancelled_owned();
            Body::new(DrainBody::new(body, drain, deadline, ending, asking))
        })
}

/// tonic says OUT_OF_RANGE for a message that is larger than its service takes, and nothing else
/// here does: said as gRPC says it elsewhere, with a reason.
fn with_our_status(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => {
            message_too_large(status.message()).into_http()
        }
        Some(_) | None => response,
    }
}

/// `application/grpc`, alone, with a subtype (`+proto`) or with parameters.
fn is_grpc(headers: &http::HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(http::HeaderValue::as_bytes);
    content_type
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

fn refuse(status: StatusCode, extra: Option<(header::HeaderName, &'static str)>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some((name, value)) = extra {
        response
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(value));
    }
    response
}

fn unimplemented() -> Response<Body> {
    Status::unimplemented("there is no such method").into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_byte_by_byte() {
        for (path, want) in [
            (
                "/portcullis.v1.AuthorizationService/CheckFeature",
                Route::Authorization,
            ),
            (
                "/portcullis.v1.AuthorizationService/FilterCatalog",
                Route::FilterCatalog,
            ),
            (
                "/portcullis.v1.PolicyService/GetPartnerPolicy",
                Route::Policy,
            ),
            (
                "/portcullis.v1.PolicyService/PreviewPartnerPolicy",
                Route::LargePolicy,
            ),
            (
                "/portcullis.v1.AuthorizationService/WatchChanges",
                Route::WatchChanges,
            ),
            ("/grpc.health.v1.Health/Check", Route::Health),
            ("/portcullis.v1.AuthorizationService", Route::Nothing),
            (
                "//portcullis.v1.AuthorizationService/CheckFeature",
                Route::Nothing,
            ),
            (
                "/portcullis.v1.authorizationService/CheckFeature",
                Route::Nothing,
            ),
            (
                "/portcullis.v1.AuthorizationServic%65/CheckFeature",
                Route::Nothing,
            ),
            ("", Route::Nothing),
            ("/", Route::Nothing),
        ] {
            assert_eq!(route(path), want, "{path}");
        }
    }

    #[test]
    fn content_types() {
        for (value, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("application/grp", false),
        ] {
            let headers = [(header::CONTENT_TYPE, value.parse().unwrap())]
                .into_iter()
                .collect();
            assert_eq!(is_grpc(&headers), want, "{value}");
        }
        assert!(!is_grpc(&http::HeaderMap::new()));
    }
}
