//! How calls went: by method and status, and how long they took.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body::Frame;
use tonic::{Code, Status};
use tracing::Span;

use super::link::Link;
use super::methods::{Method, Work};
use super::trace;
use crate::clock::Moment;
use crate::metrics::{Counters, Histogram, Histograms};

/// Ten microseconds to ten seconds, about two and a half times as much each.
const BOUNDS: [Duration; 19] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// The statuses of gRPC by their names in metrics, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Calls by method, counted.
#[derive(Debug)]
pub(super) struct Calls {
    started: Counters,
    /// Of each method by status.
    handled: Counters,
    handling: Histograms,
}

/// How the calls of one method went.
#[derive(Debug)]
pub struct MethodCalls {
    /// `unary`, `server_stream` or `bidi_stream`.
    pub kind: &'static str,
    /// With its package.
    pub service: &'static str,
    /// Without its service.
    pub method: &'static str,
    /// How many began.
    pub started: u64,
    /// How many ended, by the name of their status.
    pub handled: Vec<(&'static str, u64)>,
    /// How long they took; none of streams, which last as long as their callers like.
    pub handling: Option<Histogram>,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            started: Counters::new(Method::PLACES),
            handled: Counters::new(Method::PLACES * CODES.len()),
            handling: Histograms::new(Method::PLACES, &BOUNDS),
        }
    }

    /// How they went so far, of each method and of those that are none.
    pub(super) fn read(&self) -> Vec<MethodCalls> {
        let known = Method::all().map(|method| (method.place(), Some(method)));
        let all = known.chain([(Method::NOWHERE, None)]);
        all.map(|(place, method)| self.of(place, method)).collect()
    }

    fn of(&self, place: usize, method: Option<Method>) -> MethodCalls {
        let (service, name) = method.map_or(("unknown", "unknown"), |method| method.names());
        // Before those that began, or more would have ended than began.
        let handled: Vec<_> = CODES
            .iter()
            .enumerate()
            .map(|(code, name)| {
                let index = place * CODES.len() + code;
                (*name, self.handled.total(index))
            })
            .collect();
        let is_stream = method.is_some_and(|method| matches!(method.work, Work::Stream(_)));
        MethodCalls {
            kind: method.map_or("unary", Method::kind),
            service,
            method: name,
            started: self.started.total(place),
            handled,
            handling: (!is_stream).then(|| self.handling.read(place)),
        }
    }
}

/// One call, counted when it began and when it is over. One that is dropped before it has a status
/// was left by its caller, unless it panicked.
#[derive(Debug)]
pub(super) struct Tally {
    link: Arc<Link>,
    place: usize,
    began: Moment,
    code: Option<Code>,
    span: Span,
    is_over: bool,
}

impl Tally {
    /// A call of `method`, or of none that there is, that began then, and its span.
    pub(super) fn begin(
        link: Arc<Link>,
        method: Option<Method>,
        began: Moment,
        span: Span,
    ) -> Self {
        let place = method.map_or(Method::NOWHERE, |method| method.place());
        link.calls().started.add_one(place);
        Self {
            link,
            place,
            began,
            code: None,
            span,
            is_over: false,
        }
    }

    /// Takes the status of an answer that is headers alone.
    pub(super) fn headed<B>(&mut self, response: &Response<B>) {
        self.take(response.headers());
    }

    /// Takes the status of the last frame.
    pub(super) fn framed<D>(&mut self, frame: &Frame<D>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.take(trailers);
            self.end();
        }
    }

    fn take(&mut self, headers: &HeaderMap) {
        let status = headers.get(Status::GRPC_STATUS);
        self.code = status.map(|status| Code::from_bytes(status.as_bytes()));
    }

    /// Nothing comes any more.
    fn end(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let calls = self.link.calls();
        let code = self.code.unwrap_or(Code::Cancelled);
        let index = usize::try_from(i32::from(code)).unwrap_or_default();
        calls.handled.add_one(self.place * CODES.len() + index);
        let took = Moment::now().since(self.began);
        calls.handling.observe(self.place, took);
        trace::end(&self.span, code);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.code.get_or_insert(Code::Internal);
        }
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::edge::gate::Peer;
    use crate::edge::seats::Seats;

    #[test]
    fn every_status_has_the_name_of_its_number() {
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).unwrap());
            assert_eq!(usize::try_from(i32::from(code)).unwrap(), number);
            // As others spell it who name them so.
            let want = match format!("{code:?}").as_str() {
                "Ok" => "OK".to_owned(),
                "Cancelled" => "Canceled".to_owned(),
                other => other.to_owned(),
            };
            assert_eq!(*name, want);
        }
    }

    fn tally(calls: &Arc<Calls>) -> Tally {
        let link = Link::new(
            Peer::Unknown,
            Seats::new(1).take().unwrap(),
            Arc::clone(calls),
            CancellationToken::new(),
        );
        Tally::begin(link, None, Moment::now(), Span::none())
    }

    #[test]
    fn a_call_is_counted_once_by_its_first_last_word() {
        let calls = Arc::new(Calls::new());
        let trailers = |code: Code| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", i32::from(code).into());
            headers
        };
        let mut answered = tally(&calls);
        answered.framed(&Frame::data(()));
        answered.framed(&Frame::<()>::trailers(trailers(Code::Ok)));
        drop(answered);
        let mut refused = tally(&calls);
        let mut response = Response::new(());
        *response.headers_mut() = trailers(Code::NotFound);
        refused.headed(&response);
        drop(refused);
        drop(tally(&calls));
        let panics = tally(&calls);
        let panicked = std::thread::spawn(move || {
            let _panics = panics;
            panic!("as a handler may");
        });
        assert!(panicked.join().is_err());
        let read = calls.read();
        let unknown = read.last().unwrap();
        let handled: Vec<_> = unknown
            .handled
            .iter()
            .filter(|(_, times)| *times > 0)
            .collect();
        let want = ["OK", "Canceled", "NotFound", "Internal"].map(|code| (code, 1));
        assert_eq!(handled, want.iter().collect::<Vec<_>>());
        assert_eq!((unknown.method, unknown.started), ("unknown", 4));
    }

    #[test]
    fn every_reason_for_a_cut_is_at_its_place() {
        for (place, cut) in crate::edge::connection::Cut::ALL.iter().enumerate() {
            assert_eq!(*cut as usize, place, "{}", cut.name());
        }
    }

    #[test]
    fn bounds_go_up() {
        assert!(BOUNDS.is_sorted_by(|shorter, longer| shorter < longer));
    }
}
