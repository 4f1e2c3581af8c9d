//! Probes and metrics over plain HTTP: `/livez`, `/readyz`, `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::edge::Seats;
use crate::metrics::Page;

/// Whether calls should be sent here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They should.
    Ready,
    /// They should not, and why.
    NotReady(String),
}

/// Connections at once. Probes come one at a time; of others the oldest gives way.
const MAX_CONNECTIONS: usize = 256;
/// How long a peer may take to say what it wants, and to say the next thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes a page of metrics when one is asked for.
pub type Pages = dyn Fn() -> Page + Send + Sync;

/// Answers on `listener` until it is dropped.
pub async fn serve(
    listener: TcpListener,
    readiness: watch::Receiver<Readiness>,
    pages: Arc<Pages>,
) {
    let seats = Seats::new(MAX_CONNECTIONS);
    let one_page = Arc::new(Semaphore::new(1));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            seats.free_one();
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(seat) = seats.take() else {
            continue;
        };
        let (readiness, pages) = (readiness.clone(), Arc::clone(&pages));
        let one_page = Arc::clone(&one_page);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                // Not held while the answer is made: whoever changes it would wait for that.
                let now = readiness.borrow().clone();
                let (pages, one_page) = (Arc::clone(&pages), Arc::clone(&one_page));
                async move {
                    let is_page =
                        request.method() == Method::GET && request.uri().path() == "/metrics";
                    let response = match is_page {
                        true => page(pages, &one_page).await,
                        false => answer(&request, &now),
                    };
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // A peer that went away, or that gives way to another: its affair.
            tokio::select! {
                _ = connection => {}
                () = seat.given_up().cancelled() => {}
            }
        });
    }
}

/// A page of metrics. It takes milliseconds to make, which whoever lives on this runtime must not wait
/// for, and is made once at a time, however many ask.
async fn page(pages: Arc<Pages>, one_page: &Semaphore) -> Response<Full<Bytes>> {
    let _one = one_page.acquire().await;
    let made = tokio::task::spawn_blocking(move || pages().text()).await;
    match made {
        Ok(Ok(page)) => of_type(Page::MEDIA_TYPE, StatusCode::OK, page),
        Ok(Err(error)) => unwritten(&error),
        Err(error) => unwritten(&error),
    }
}

fn unwritten(error: &dyn std::fmt::Display) -> Response<Full<Bytes>> {
    tracing::error!(%error, "cannot write the metrics");
    let what = "the metrics cannot be written\n";
    text(StatusCode::INTERNAL_SERVER_ERROR, what)
}

fn answer(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET and HEAD are accepted\n",
        );
        let allowed = http::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        // That this is answered is the whole of it: the process turns over.
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" => match readiness {
            Readiness::Ready => text(StatusCode::OK, "ready\n"),
            Readiness::NotReady(why) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {why}\n"),
            ),
        },
        // Asked for with HEAD: that it is there.
        "/metrics" => of_type(Page::MEDIA_TYPE, StatusCode::OK, Bytes::new()),
        _ => text(
            StatusCode::NOT_FOUND,
            "/livez, /readyz and /metrics are here\n",
        ),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    of_type("text/plain; charset=utf-8", status, body)
}

fn of_type(
    media_type: &'static str,
    status: StatusCode,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    response
}
