//! From a request to an answer: what it has to pass, which service it is for, and how that works it
//! off.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::poll_immediate;
use http::{Request, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::Service as TowerService;
use tracing::Instrument as _;

use crate::clock::Moment;
use crate::grpc::{
    MAX_CATALOG_MESSAGE, MAX_MESSAGE, MAX_OPEN_MESSAGE, deadline_exceeded, stopping,
};
use crate::proto::v1::authorization_service_server::AuthorizationService;

use super::admission::Admission;
use super::answer::{Answer, Sent};
use super::aside::Aside;
use super::asked::{Asked, Begun};
use super::at_once::AtOnce;
use super::calls::{Calls, Tally};
use super::deadline::{TimeLeft, time_left, wanted};
use super::gate::{Admitted, Gate};
use super::http::refusal;
use super::incoming::Incoming;
use super::link::{Call, Link, Stream};
use super::methods::{Access, Ending, Method, Service, Work};
use super::perform::{Largeness, admitted, beside, leave_where_unasked, within_deadline};
use super::stream::StreamBody;
use super::trace;
use super::{Limits, Services};

/// From requests to answers.
#[derive(Debug)]
pub struct Router<A> {
    pub(super) services: Services<A>,
    gate: Gate,
    pub(super) admission: Arc<Admission>,
    aside: Aside,
    request_timeout: Duration,
    /// Where calls are counted.
    pub(super) calls: Arc<Calls>,
}

impl<A: AuthorizationService> Router<A> {
    /// A router to `services`, that lets through whom `gate` does, and so much as `limits` say.
    ///
    /// # Errors
    /// Where the threads for large calls cannot be started.
    pub fn new(services: Services<A>, gate: Gate, limits: &Limits) -> std::io::Result<Self> {
        Ok(Self {
            services,
            gate,
            admission: Arc::new(Admission::new(limits)),
            aside: Aside::new(limits.workers)?,
            request_timeout: limits.request_timeout,
            calls: Arc::new(Calls::new()),
        })
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Answers one request of a connection, for `method`. The request stays where it is until it has to be moved, and
    /// what need not be part of each call's future is boxed: that is moved a few times too.
    pub(super) async fn answer(
        &self,
        link: Arc<Link>,
        method: Option<Method>,
        mut request: Request<Incoming>,
    ) -> Response<Answer> {
        let began = Moment::now();
        let id = trace::request_id(request.headers());
        let mut call = Call::begin(link);
        if let Some(refused) = refusal(&request) {
            call.send();
            let mut response =
                refused.map(|body| self.answered(Sent::Streamed(body), call, None, None));
            trace::echo(response.headers_mut(), id.as_ref());
            return response;
        }
        let span = trace::span(method, request.headers(), id.as_ref());
        if let Some(id) = &id {
            request.extensions_mut().insert(id.clone());
        }
        let mut tally = Tally::begin(Arc::clone(call.link()), method, began, span.clone());
        let passed = self.pass(call.link(), method, &mut request);
        let (response, place) = match passed.instrument(span.clone()).await {
            Ok(passed) => {
                let at_once = poll_fn(|cx| {
                    let at_once = || self.at_once(cx, &mut request, &passed, began);
                    Poll::Ready(span.in_scope(at_once))
                });
                match at_once.await {
                    AtOnce::Answered(response) => (response, None),
                    AtOnce::Waits(answered) => (answered.instrument(span).await, None),
                    AtOnce::Odd(begun) => {
                        let work = self.work_off(call.link(), (begun, request), passed);
                        let (response, place) = Box::pin(work.instrument(span)).await;
                        (response.map(Sent::Streamed), place)
                    }
                }
            }
            Err(refused) => (refused.map(Sent::Streamed), None),
        };
        tally.headed(&response);
        if !method.is_some_and(|method| matches!(method.work, Work::Stream(_))) {
            call.send();
        }
        let mut response = response.map(|body| self.answered(body, call, Some(tally), place));
        trace::echo(response.headers_mut(), id.as_ref());
        response
    }

    fn answered(
        &self,
        body: Sent,
        call: Call,
        tally: Option<Tally>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        Answer::new(body, (call, tally), place, Arc::clone(&self.admission))
    }

    /// The method that a request is for, where there is one.
    pub(super) fn method<B>(&self, request: &Request<B>) -> Option<Method> {
        let method = match request.uri().query() {
            None => Method::at(request.uri().path()),
            Some(_) => None,
        };
        method.filter(|method| self.services.have(method.service))
    }

    /// What a request has to pass before anything is done for it.
    async fn pass(
        &self,
        link: &Link,
        method: Option<Method>,
        request: &mut Request<Incoming>,
    ) -> Result<Passed, Response<Body>> {
        let method = method.ok_or_else(unimplemented)?;
        let left = time_left(request.headers(), self.request_timeout);
        let caller = match self.gate.asks(method.access) {
            true => {
                let judged = self.gate.judge(link, request.headers(), method.access);
                Box::pin(self.judged(judged, &left))
                    .await
                    .map_err(Status::into_http)?
            }
            false => None,
        };
        if method.access != Access::Open {
            link.keep();
        }
        if let Some(caller) = &caller {
            request.extensions_mut().insert(caller.id.clone());
        }
        Ok(Passed {
            method,
            caller,
            left,
        })
    }

    /// Who calls, within the time of the call. Some have keys asked for: they are counted.
    async fn judged<T>(
        &self,
        judged: impl Future<Output = Result<T, Status>>,
        left: &Result<TimeLeft, Status>,
    ) -> Result<T, Status> {
        let mut judged = pin!(judged);
        if let Some(judged) = poll_immediate(judged.as_mut()).await {
            return judged;
        }
        let _taken = self.admission.arriving()?;
        match tokio::time::timeout(left.clone()?.time(), judged).await {
            Ok(judged) => judged,
            Err(_elapsed) => Err(deadline_exceeded()),
        }
    }

    async fn work_off(
        &self,
        link: &Arc<Link>,
        (begun, request): (Option<Begun>, Request<Incoming>),
        passed: Passed,
    ) -> (Response<Body>, Option<OwnedSemaphorePermit>) {
        let Passed {
            method,
            caller,
            left,
        } = passed;
        match (method.work, method.service) {
            // Past all bounds: an overloaded service is not a dead one.
            (Work::Here, Service::Health) => (self.health(link, request, left).await, None),
            (Work::AtOnce | Work::Here, _) => (self.here(link, (begun, request), left).await, None),
            (Work::Aside { limit, shapes }, service) => {
                let large = Largeness {
                    limit,
                    shapes,
                    service,
                };
                self.aside(link, large, request, left).await
            }
            (Work::Stream(ending), _) => {
                let lapse = self.gate.lapse(caller, method.access);
                (
                    self.stream(link, (method, ending), request, left, lapse)
                        .await,
                    None,
                )
            }
        }
    }

    /// Calls AuthorizationService; `begun` was read of the message before.
    async fn here(
        &self,
        link: &Link,
        (begun, request): (Option<Begun>, Request<Incoming>),
        left: Result<TimeLeft, Status>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (asked, whole) = Asked::live(begun, body, MAX_MESSAGE, Arc::clone(&self.admission));
        let request = Request::from_parts(parts, asked);
        let service = self.services.authorization.clone();
        let mut placed = None;
        let place = || {
            let has_arrived = whole.is();
            if placed.replace(has_arrived) == Some(has_arrived) {
                return Ok(None);
            }
            let taken = match has_arrived {
                true => self.admission.call(),
                false => self.admission.arriving(),
            };
            taken.map(Some)
        };
        let performed = admitted(service, request, left, place).await;
        leave_where_unasked(link, &performed, &whole);
        performed.into_response()
    }

    async fn aside(
        &self,
        link: &Link,
        large: Largeness,
        request: Request<Incoming>,
        left: Result<TimeLeft, Status>,
    ) -> (Response<Body>, Option<OwnedSemaphorePermit>) {
        let services = &self.services;
        match (large.service, large.limit) {
            (Service::Policy, MAX_CATALOG_MESSAGE) => {
                let service = services.large_policy.clone();
                self.aside_by(service, link, large, request, left).await
            }
            (Service::Policy, _) => {
                let service = services.policy.clone();
                self.aside_by(service, link, large, request, left).await
            }
            (_, MAX_CATALOG_MESSAGE) => {
                let service = services.catalog.clone();
                self.aside_by(service, link, large, request, left).await
            }
            (_, _) => {
                let service = services.authorization.clone();
                self.aside_by(service, link, large, request, left).await
            }
        }
    }

    async fn aside_by<S>(
        &self,
        service: S,
        link: &Link,
        large: Largeness,
        request: Request<Incoming>,
        left: Result<TimeLeft, Status>,
    ) -> (Response<Body>, Option<OwnedSemaphorePermit>)
    where
        S: TowerService<Request<Asked>, Response = Response<Body>, Error = Infallible>
            + Send
            + 'static,
        S::Future: Send,
    {
        let left = match left {
            Ok(left) => left,
            Err(status) => return (status.into_http(), None),
        };
        let work = beside(service, request, left, large, Arc::clone(&self.admission));
        match self.aside.do_here(work).await {
            Ok(beside) => {
                leave_where_unasked(link, &beside.performed, &beside.whole);
                (beside.performed.into_response(), beside.place)
            }
            Err(_given_up) => (Status::internal("the call was given up").into_http(), None),
        }
    }

    async fn health(
        &self,
        link: &Link,
        request: Request<Incoming>,
        left: Result<TimeLeft, Status>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (asked, whole) = Asked::live(None, body, MAX_OPEN_MESSAGE, Arc::clone(&self.admission));
        let request = Request::from_parts(parts, Body::new(asked));
        let health = self.services.health.clone();
        let mut is_placed = false;
        let place = || match std::mem::replace(&mut is_placed, true) {
            true => Ok(None),
            false => self.admission.health().map(Some),
        };
        let performed = admitted(health, request, left, place).await;
        leave_where_unasked(link, &performed, &whole);
        performed.into_response()
    }

    /// A call whose answer may be a stream: its beginning has a deadline as that of any other call,
    /// and its end is that of the connection, or its caller's.
    async fn stream(
        &self,
        link: &Arc<Link>,
        (method, ending): (Method, Ending),
        request: Request<Incoming>,
        left: Result<TimeLeft, Status>,
        lapse: impl Future<Output = Status> + Send + 'static,
    ) -> Response<Body> {
        let taken = match self.admission.stream(method.access) {
            Ok(taken) => taken,
            Err(status) => return status.into_http(),
        };
        let Some(stream) = Stream::begin(link) else {
            return self.admission.too_many_streams().into_http();
        };
        let wanted = match wanted(request.headers()) {
            Ok(wanted) => wanted,
            Err(status) => return status.into_http(),
        };
        // One that lies beyond what a clock can say is none.
        let deadline = wanted.and_then(|wanted| Instant::now().checked_add(wanted));
        let (parts, body) = request.into_parts();
        let (asked, whole, asking) = Asked::stream(body, MAX_MESSAGE, Arc::clone(&self.admission));
        let request = Request::from_parts(parts, asked);
        let services = &self.services;
        let performed = match (method.service, &services.reflection) {
            (Service::Health, _) => {
                within_deadline(services.health.clone(), request.map(Body::new), left).await
            }
            (Service::ReflectionV1, Some([v1, _])) => {
                within_deadline(v1.clone(), request.map(Body::new), left).await
            }
            (Service::ReflectionV1Alpha, Some([_, v1alpha])) => {
                within_deadline(v1alpha.clone(), request.map(Body::new), left).await
            }
            (_, _) => within_deadline(services.authorization.clone(), request, left).await,
        };
        leave_where_unasked(link, &performed, &whole);
        let leaving = link.leaving().clone().cancelled_owned();
        let end = Box::pin(async move {
            tokio::select! {
                () = leaving => stopping(),
                status = lapse => status,
                status = super::deadline::passes(deadline) => status,
            }
        });
        performed
            .into_response()
            .map(|body| Body::new(StreamBody::new(body, end, ending, asking, (taken, stream))))
    }
}

/// That a request may be worked off.
pub(super) struct Passed {
    pub(super) method: Method,
    caller: Option<Admitted>,
    /// How long it may take, where that can be read.
    pub(super) left: Result<TimeLeft, Status>,
}

fn unimplemented() -> Response<Body> {
    Status::unimplemented("there is no such method").into_http()
}
