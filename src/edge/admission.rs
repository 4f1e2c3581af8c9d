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
use super::methods::Access;
use crate::grpc::overloaded;

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

/// The bounds, and what is taken of them.
#[derive(Debug)]
pub(super) struct Admission {
    in_flight: Count,
    arriving: Count,
    streams: Count,
    open_streams: Count,
    large: Arc<Semaphore>,
    /// KiB of answers that are not large, and that their callers have not taken.
    untaken: Arc<Semaphore>,
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
            open_streams: count(limits.max_in_flight),
            large: Arc::new(Semaphore::new(limits.max_large_in_flight)),
            untaken: Arc::new(Semaphore::new(UNTAKEN_KIB)),
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
    /// bound to themselves. Those that whoever connects may open have it once more: nobody who is
    /// known is kept out by them.
    ///
    /// # Errors
    /// OVERLOADED.
    pub(super) fn stream(&self, access: Access) -> Result<Taken, Status> {
        match access {
            Access::Open => self.open_streams.take(),
            Access::AnyRole | Access::Role(_) => self.streams.take(),
        }
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
        for_a_while(Arc::clone(&self.large).acquire_owned()).await
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
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        for_a_while(Arc::clone(&self.untaken).acquire_many_owned(kib)).await
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

async fn for_a_while(
    taken: impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>>,
) -> Result<OwnedSemaphorePermit, Status> {
    match tokio::time::timeout(WAITS, taken).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(overloaded()),
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
        let stream = admission.stream(Access::AnyRole).unwrap();
        drop(first);
        let third = admission.call().unwrap();
        assert!(admission.call().is_err());
        drop((second, third, stream));
        assert_eq!(admission.in_flight.taken.load(Ordering::Relaxed), 0);
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
