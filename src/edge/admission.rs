//! How many calls are worked on at once.
//!
//! A call that would wait while too many others do is shed: it would take memory and be answered too
//! late. One that is answered at its first step, as a cached check is, takes no place and is never
//! shed: what there is of these beyond a core's reach is held back by HTTP/2. Health is asked past these bounds, so that an
//! overloaded service is not taken for a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::Limits;
use super::methods::{Access, Service};
use crate::grpc::overloaded;
use crate::metrics::Counters;

/// Up to this a message is not counted by its bytes.
pub(super) const SMALL: usize = 4 << 10;
/// A message above this is large.
pub(super) const LARGE: usize = 256 << 10;
/// How long a message may wait for others before its call is shed.
const WAITS: Duration = Duration::from_secs(1);
/// Answers that are not large may be so many KiB in all before their callers take them: thousands of
/// them at once. A peer that takes none is cut, but not before it has had the time.
const UNTAKEN_KIB: usize = 32 << 10;
/// For each call in flight there may be so many that have not arrived whole: those hold little, and
/// whoever lets them lie must not keep others from being served.
const ARRIVING: usize = 4;
/// Messages that are not large may be so many KiB in all as long as they arrive.
const ARRIVING_KIB: usize = 64 << 10;
/// Calls of health at once that have not arrived whole.
const HEALTH: usize = 1024;

/// Why a call is shed: what there was no more of.
#[derive(Debug, Clone, Copy)]
enum Shed {
    InFlight,
    Arriving,
    Streams,
    Health,
    Messages,
    Large,
    Answers,
}

/// The same, by the names that metrics have for them.
const SHED: [(Shed, &str); 7] = [
    (Shed::InFlight, "in_flight"),
    (Shed::Arriving, "arriving"),
    (Shed::Streams, "streams"),
    (Shed::Health, "health"),
    (Shed::Messages, "messages"),
    (Shed::Large, "large"),
    (Shed::Answers, "answers"),
];

/// The bounds, and what is taken of them.
#[derive(Debug)]
pub(super) struct Admission {
    shed: Counters,
    in_flight: Count,
    arriving: Count,
    streams: Count,
    open_streams: Count,
    health: Count,
    /// KiB of messages that are not large, and have not arrived whole.
    arriving_kib: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// KiB of answers that are not large, and that their callers have not taken.
    untaken: Arc<Semaphore>,
    /// Calls whose answer may turn out to be large: so many that as many large answers again can
    /// wait for those that are being sent.
    aside: Arc<Semaphore>,
    /// The same of PolicyService, whose calls go to the store: they keep none from what is cached.
    policies_aside: Arc<Semaphore>,
}

/// What is counted up to a bound.
#[derive(Debug)]
struct Count {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// One of what is counted, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken(Arc<AtomicUsize>);

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let count = |most| Count {
            taken: Arc::default(),
            most,
        };
        Self {
            shed: Counters::new(SHED.len()),
            in_flight: count(limits.max_in_flight),
            arriving: count(limits.max_in_flight.saturating_mul(ARRIVING)),
            streams: count(limits.max_in_flight),
            open_streams: count(limits.max_in_flight),
            large: Arc::new(Semaphore::new(limits.max_large_in_flight)),
            untaken: Arc::new(Semaphore::new(UNTAKEN_KIB)),
            aside: Arc::new(Semaphore::new(limits.max_large_in_flight)),
            policies_aside: Arc::new(Semaphore::new(limits.max_large_in_flight)),
            arriving_kib: Arc::new(Semaphore::new(ARRIVING_KIB)),
            health: count(HEALTH),
        }
    }

    /// How many calls were shed, by why.
    pub(super) fn shed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SHED.iter()
            .map(|(what, name)| (*name, self.shed.total(*what as usize)))
    }

    /// How many calls wait for something, and how many may.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        self.in_flight.read()
    }

    /// How many streams are open.
    pub(super) fn open_streams(&self) -> usize {
        self.streams.read().0 + self.open_streams.read().0
    }

    /// There is no more of this.
    fn refuse(&self, what: Shed) -> Status {
        self.shed.add_one(what as usize);
        overloaded()
    }

    /// A place for a call that has not arrived whole.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn arriving(&self) -> Result<Taken, Status> {
        self.arriving
            .take()
            .ok_or_else(|| self.refuse(Shed::Arriving))
    }

    /// A place for a call that is worked on and waits for something.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn call(&self) -> Result<Taken, Status> {
        self.in_flight
            .take()
            .ok_or_else(|| self.refuse(Shed::InFlight))
    }

    /// A place for a stream, which may last; those wait more than they work, and have the same
    /// bound to themselves. Those that whoever connects may open have it once more: nobody who is
    /// known is kept out by them.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn stream(&self, access: Access) -> Result<Taken, Status> {
        let taken = match access {
            Access::Open => self.open_streams.take(),
            Access::AnyRole | Access::Role(_) => self.streams.take(),
        };
        taken.ok_or_else(|| self.too_many_streams())
    }

    /// One connection, or all of them, have as many streams as they may.
    pub(super) fn too_many_streams(&self) -> Status {
        self.refuse(Shed::Streams)
    }

    /// A place for a call of health that waits, which has nothing to wait for.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn health(&self) -> Result<Taken, Status> {
        self.health.take().ok_or_else(|| self.refuse(Shed::Health))
    }

    /// A place for a message of so many bytes as long as it arrives, if there is one now; a small one
    /// needs none.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn message_now(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let (taken, what) = match bytes {
            0..=SMALL => return Ok(None),
            _ if bytes <= LARGE => (
                Arc::clone(&self.arriving_kib).try_acquire_many_owned(kib(bytes)),
                Shed::Messages,
            ),
            _ => (Arc::clone(&self.large).try_acquire_owned(), Shed::Large),
        };
        taken.map(Some).map_err(|_none_left| self.refuse(what))
    }

    /// The same, waited for a while.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) async fn message(
        &self,
        bytes: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let place = match bytes {
            0..=SMALL => return Ok(None),
            _ if bytes <= LARGE => {
                let kib = Arc::clone(&self.arriving_kib).acquire_many_owned(kib(bytes));
                self.for_a_while(Shed::Messages, kib).await
            }
            _ => self.large().await,
        };
        place.map(Some)
    }

    /// A place for an answer of so many bytes until it is taken, if there is one now. Large ones are
    /// counted by their bytes here too: it is too late to wait.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn answer_now(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.untaken).try_acquire_many_owned(kib(bytes));
        taken.map_err(|_none_left| self.refuse(Shed::Answers))
    }

    /// A place for a large message, waited for a while.
    ///
    /// # Errors
    /// OVERLOADED.
    async fn large(&self) -> Result<OwnedSemaphorePermit, Status> {
        let large = Arc::clone(&self.large).acquire_owned();
        self.for_a_while(Shed::Large, large).await
    }

    /// A place for an answer of so many bytes until it is taken, waited for a while; `large` is one
    /// that its call has already.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) async fn answer(
        &self,
        bytes: usize,
        large: Option<OwnedSemaphorePermit>,
    ) -> Result<OwnedSemaphorePermit, Status> {
        if bytes > LARGE {
            return match large {
                Some(large) => Ok(large),
                None => self.large().await,
            };
        }
        let kib = Arc::clone(&self.untaken).acquire_many_owned(kib(bytes));
        self.for_a_while(Shed::Answers, kib).await
    }

    /// A place to work off a call whose answer may turn out to be large.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) async fn aside(&self, service: Service) -> Result<OwnedSemaphorePermit, Status> {
        let places = match service {
            Service::Policy => &self.policies_aside,
            Service::Authorization
            | Service::Health
            | Service::ReflectionV1
            | Service::ReflectionV1Alpha => &self.aside,
        };
        let taken = Arc::clone(places).acquire_owned();
        taken.await.map_err(|_closed| overloaded())
    }

    async fn for_a_while(
        &self,
        what: Shed,
        taken: impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>>,
    ) -> Result<OwnedSemaphorePermit, Status> {
        match tokio::time::timeout(WAITS, taken).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.refuse(what)),
        }
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes >> 10).unwrap_or(u32::MAX)
}

impl Count {
    fn take(&self) -> Option<Taken> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let taken = Taken(Arc::clone(&self.taken));
        (before < self.most).then_some(taken)
    }

    /// How many there are, and how many there may be.
    fn read(&self) -> (usize, usize) {
        (self.taken.load(Ordering::Relaxed), self.most)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_the_bound_is_shed_and_leaves_no_trace() {
        let admission = Admission::new(&Limits {
            max_in_flight: 2,
            ..Limits::default()
        });
        let first = admission.call().unwrap();
        let second = admission.call().unwrap();
        for _ in 0..3 {
            let status = admission.call().unwrap_err();
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        }
        let stream = admission.stream(Access::AnyRole).unwrap();
        drop(first);
        let third = admission.call().unwrap();
        assert!(admission.call().is_err());
        drop((second, third, stream));
        assert_eq!(admission.in_flight(), (0, 2));
        let shed: Vec<_> = admission.shed().filter(|(_, times)| *times > 0).collect();
        assert_eq!(shed, [("in_flight", 4)]);
    }

    #[test]
    fn what_is_shed_has_a_name() {
        for (place, (what, _)) in SHED.iter().enumerate() {
            assert_eq!(*what as usize, place);
        }
    }

    #[test]
    fn streams_that_are_open_to_all_take_no_place_of_others() {
        let admission = Admission::new(&Limits {
            max_in_flight: 1,
            ..Limits::default()
        });
        let _health = admission.stream(Access::Open).unwrap();
        assert!(admission.stream(Access::Open).is_err());
        let _reflection = admission.stream(Access::AnyRole).unwrap();
        assert!(admission.stream(Access::AnyRole).is_err());
    }
}
