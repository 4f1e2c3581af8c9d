//! How many calls are worked on at once.
//!
//! A call that would wait while too many others do is shed: it would take memory and be answered too
//! late. One that is answered at its first step, as a cached check is, takes no place and is never
//! shed: what there is of these beyond a core's reach is held back by HTTP/2. Health is asked past these bounds, so that an
//! overloaded service is not taken for a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::Limits;
use crate::grpc::overloaded;

/// A message above this is large.
pub(super) const LARGE: usize = 256 << 10;
/// How long a large message may wait for others before its call is shed.
const LARGE_WAITS: Duration = Duration::from_secs(1);

/// For each call in flight there may be so many that have not arrived whole: those hold little, and
/// whoever lets them lie must not keep others from being served.
const ARRIVING: usize = 4;

/// The bounds, and what is taken of them.
#[derive(Debug)]
pub(super) struct Admission {
    in_flight: Count,
    arriving: Count,
    streams: Count,
    large: Arc<Semaphore>,
    /// Calls whose answer may turn out to be large: so many that as many large answers again can
    /// wait for those that are being sent.
    aside: Arc<Semaphore>,
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
            in_flight: count(limits.max_in_flight),
            arriving: count(limits.max_in_flight.saturating_mul(ARRIVING)),
            streams: count(limits.max_in_flight),
            large: Arc::new(Semaphore::new(limits.max_large_in_flight)),
            aside: Arc::new(Semaphore::new(limits.max_large_in_flight)),
        }
    }

    /// A place for a call that has not arrived whole.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn arriving(&self) -> Result<Taken, Status> {
        self.arriving.take()
    }

    /// A place for a call that is worked on and waits for something.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn call(&self) -> Result<Taken, Status> {
        self.in_flight.take()
    }

    /// A place for a stream, which may last; those wait more than they work, and have the same
    /// bound to themselves.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn stream(&self) -> Result<Taken, Status> {
        self.streams.take()
    }

    /// A place for a large message if there is one now.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn large_now(&self) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.large).try_acquire_owned();
        taken.map_err(|_none_left| overloaded())
    }

    /// A place for a large message, waited for a while.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) async fn large(&self) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.large).acquire_owned();
        match tokio::time::timeout(LARGE_WAITS, taken).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }

    /// A place to work off a call whose answer may turn out to be large.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) async fn aside(&self) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.aside).acquire_owned();
        taken.await.map_err(|_closed| overloaded())
    }
}

impl Count {
    fn take(&self) -> Result<Taken, Status> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let taken = Taken(Arc::clone(&self.taken));
        match before < self.most {
            true => Ok(taken),
            false => Err(overloaded()),
        }
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
        let stream = admission.stream().unwrap();
        drop(first);
        let third = admission.call().unwrap();
        assert!(admission.call().is_err());
        drop((second, third, stream));
        assert_eq!(admission.in_flight.taken.load(Ordering::Relaxed), 0);
    }
}
