//! What is no request of gRPC is told so in HTTP, before anything else is done for it.

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::body::Body;

use super::incoming::Incoming;

/// The answer to what is no request of gRPC at all.
pub(super) fn refusal(request: &Request<Incoming>) -> Option<Response<Body>> {
    if request.method() != Method::POST {
        let allowed = Some((header::ALLOW, "POST"));
        return Some(refuse(StatusCode::METHOD_NOT_ALLOWED, allowed));
    }
    let is_refused = !is_grpc(request.headers());
    is_refused.then(|| refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, None))
}

/// `application/grpc`, alone, with a subtype (`+proto`) or with parameters.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
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
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
