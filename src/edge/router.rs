//! From a request to an answer: what it has to pass, which service it is for, and how that works it
//! off.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use http::{Request, Response};
use hyper::body::Incoming;
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
use crate::traces::RequestId;

use super::admission::Admission;
use super::answer::Answer;
use super::aside::Aside;
use super::asked::{Asked, Whole};
use super::calls::{Calls, Tally};
use super::deadline::{TimeLeft, time_left, wanted};
use super::gate::{Admitted, Gate};
use super::http::refusal;
use super::link::{Call, Link, Stream};
use super::methods::{Access, Ending, Method, Service, Work};
use super::perform::{Largeness, Performed, admitted, beside, within_deadline};
use super::stream::StreamBody;
use super::trace;
use super::{Limits, Services};

/// From requests to answers.
#[derive(Debug)]
pub struct Router<A> {
    services: Services<A>,
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

    /// Answers one request of a connection.
    pub(super) async fn answer(
        &self,
        link: Arc<Link>,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let id = trace::request_id(request.headers());
        let mut response = self.answer_as(link, request, id.as_ref()).await;
        if let Some(id) = id {
            trace::echo(response.headers_mut(), &id);
        }
        response
    }

    async fn answer_as(
        &self,
        link: Arc<Link>,
        mut request: Request<Incoming>,
        id: Option<&RequestId>,
    ) -> Response<Answer> {
        let began = Moment::now();
        let mut call = Call::begin(link);
        if let Some(refused) = refusal(&request) {
            call.send();
            return refused.map(|body| self.answered(body, call, None, None));
        }
        if let Some(id) = id {
            request.extensions_mut().insert(id.clone());
        }
        let method = self.method(&request);
        let span = trace::span(method, request.headers(), id);
        let mut tally = Tally::begin(Arc::clone(call.link()), method, began, span.clone());
        let worked_off = async {
            match self.pass(call.link(), method, request).await {
                Ok(passed) => self.work_off(call.link(), passed).await,
                Err(refused) => (refused, None),
            }
        };
        let (response, place) = worked_off.instrument(span).await;
        tally.headed(&response);
        if !method.is_some_and(|method| matches!(method.work, Work::Stream(_))) {
            call.send();
        }
        response.map(|body| self.answered(body, call, Some(tally), place))
    }

    fn answered(
        &self,
        body: Body,
        call: Call,
        tally: Option<Tally>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        Answer::new(body, (call, tally), place, Arc::clone(&self.admission))
    }

    /// The method that a request is for, where there is one.
    fn method(&self, request: &Request<Incoming>) -> Option<Method> {
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
        mut request: Request<Incoming>,
    ) -> Result<Passed, Response<Body>> {
        let method = method.ok_or_else(unimplemented)?;
        let judged = self.gate.judge(link, request.headers(), method.access);
        let left = time_left(request.headers(), self.request_timeout);
        let caller = self
            .judged(judged, &left)
            .await
            .map_err(Status::into_http)?;
        if method.access != Access::Open {
            link.keep();
        }
        if let Some(caller) = &caller {
            request.extensions_mut().insert(caller.id.clone());
        }
        Ok(Passed {
            method,
            request,
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
        passed: Passed,
    ) -> (Response<Body>, Option<OwnedSemaphorePermit>) {
        let Passed {
            method,
            request,
            caller,
            left,
        } = passed;
        match (method.work, method.service) {
            // Past all bounds: an overloaded service is not a dead one.
            (Work::Here, Service::Health) => (self.health(link, request, left).await, None),
            (Work::Here, _) => (self.here(link, request, left).await, None),
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

    async fn here(
        &self,
        link: &Link,
        request: Request<Incoming>,
        left: Result<TimeLeft, Status>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (asked, whole) = Asked::live(body, MAX_MESSAGE, Arc::clone(&self.admission));
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
        let (asked, whole) = Asked::live(body, MAX_OPEN_MESSAGE, Arc::clone(&self.admission));
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

/// Where a call was over before it was asked whole, its connection is told.
fn leave_where_unasked(link: &Link, performed: &Performed, whole: &Whole) {
    if let Performed::Late(left) = performed
        && !whole.is()
    {
        link.unasked(matches!(left, TimeLeft::Servers(_)));
    }
}

/// A request that may be worked off.
struct Passed {
    method: Method,
    request: Request<Incoming>,
    caller: Option<Admitted>,
    /// How long it may take, where that can be read.
    left: Result<TimeLeft, Status>,
}

fn unimplemented() -> Response<Body> {
    Status::unimplemented("there is no such method").into_http()
}
