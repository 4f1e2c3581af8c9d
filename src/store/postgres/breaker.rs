//! Says at once that Postgres does not answer, once it is known not to.
//!
//! A load that waits in vain costs its callers the whole of `store_timeout`, and those who gather
//! behind it the same again. So after several in a row that were not answered, one load at a time
//! goes on finding out, and the others are refused at once, those under way too. A poll that is
//! answered lets all of them try again: otherwise those would be refused that come with the first
//! load after an outage.

use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::store::{StoreError, Unavailable};

/// So many loads in a row without an answer are no accident.
const IN_A_ROW: usize = 3;

/// How long it takes from a load that was not answered to the next that finds out. Who gathered
/// while the first was under way comes right after it, and has waited enough.
const PAUSE: Duration = Duration::from_millis(100);

/// Stands before the loads of one store.
#[derive(Debug)]
pub(super) struct Breaker {
    pause: Duration,
    state: watch::Sender<State>,
    /// Held by the one load that goes on finding out.
    probe: Semaphore,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Loads in a row that were not answered.
    unanswered: usize,
    /// When the last of them was given up.
    since: Option<Instant>,
    /// Whether it was said that loads are refused, and not yet that they are answered again.
    is_told: bool,
}

impl State {
    fn is_open(self) -> bool {
        self.unanswered >= IN_A_ROW
    }
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            pause: PAUSE,
            state: watch::Sender::default(),
            probe: Semaphore::new(1),
        }
    }

    /// Whether loads are refused now, but for those that find out.
    pub(super) fn is_open(&self) -> bool {
        self.state.borrow().is_open()
    }

    /// Lets a load pass, or refuses it.
    ///
    /// # Errors
    /// Those of the load, and [`StoreError::Unavailable`] where it was refused.
    pub(super) async fn pass<T>(
        &self,
        load: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut state = self.state.subscribe();
        let now = *state.borrow();
        let result = if now.is_open() {
            let is_time = now.since.is_none_or(|since| since.elapsed() >= self.pause);
            let Some(_probing) = self.probe.try_acquire().ok().filter(|_| is_time) else {
                return Err(refused());
            };
            load.await
        } else {
            tokio::select! {
                biased;
                result = load => result,
                // The sender is this value, and so never gone.
                _ = state.wait_for(|state| state.is_open()) => return Err(refused()),
            }
        };
        self.note(&result);
        result
    }

    /// Says that the server answered something else than a load: then it is worth trying again,
    /// until the next load that is not answered.
    pub(super) fn try_again(&self) {
        self.state.send_if_modified(|state| {
            let was_open = state.is_open();
            state.unanswered = state.unanswered.min(IN_A_ROW - 1);
            was_open
        });
    }

    fn note<T>(&self, result: &Result<T, StoreError>) {
        match result {
            // It was not asked: others have its connections.
            Err(StoreError::Unavailable(Unavailable::Busy(_))) => {}
            Err(error @ StoreError::Unavailable(_)) => self.state.send_modify(|state| {
                state.unanswered = state.unanswered.saturating_add(1);
                state.since = Some(Instant::now());
                if state.is_open() && !std::mem::replace(&mut state.is_told, true) {
                    tracing::warn!(%error, "loads are refused, but for one at a time, until one is answered");
                }
            }),
            // An error is an answer.
            Ok(_) | Err(StoreError::ReadOnly(_) | StoreError::Schema(_) | StoreError::Broken { .. }) => {
                self.state.send_if_modified(|state| {
                    if std::mem::take(&mut state.is_told) {
                        tracing::info!("loads are answered again");
                    }
                    std::mem::take(&mut state.unanswered) > 0
                });
            }
        }
    }
}

fn refused() -> StoreError {
    Unavailable::Connection("it did not answer the loads before this one".to_owned()).into()
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    /// One that lets loads find out right after one another.
    fn breaker() -> Breaker {
        Breaker {
            pause: Duration::ZERO,
            ..Breaker::new()
        }
    }

    fn unanswered() -> Result<(), StoreError> {
        Err(Unavailable::Connection("nothing".to_owned()).into())
    }

    /// The outcome of a load that ends at once.
    fn pass(breaker: &Breaker, load: Result<(), StoreError>) -> Result<(), String> {
        let result = breaker.pass(ready(load)).now_or_never().unwrap();
        result.map_err(|error| error.to_string())
    }

    #[test]
    fn several_in_a_row_close_the_way_for_all_but_one() {
        let breaker = breaker();
        for load in [
            unanswered(),
            unanswered(),
            Ok(()),
            unanswered(),
            unanswered(),
        ] {
            let _ = pass(&breaker, load);
        }
        assert_eq!(pass(&breaker, Ok(())), Ok(()));
        for _ in 0..IN_A_ROW {
            let _ = pass(&breaker, unanswered());
        }
        let mut probe = Box::pin(breaker.pass(pending::<Result<(), _>>()));
        assert!((&mut probe).now_or_never().is_none());
        assert_eq!(pass(&breaker, Ok(())), Err(refused().to_string()));
        // A probe whose caller leaves makes place for another, and one that is answered for all.
        drop(probe);
        assert_eq!(pass(&breaker, Ok(())), Ok(()));
        let first = breaker.pass(pending::<Result<(), _>>());
        let second = breaker.pass(pending::<Result<(), _>>());
        assert!(
            futures_util::future::join(first, second)
                .now_or_never()
                .is_none()
        );
    }

    #[test]
    fn loads_under_way_are_told_with_the_others() {
        let breaker = breaker();
        let mut under_way = Box::pin(breaker.pass(pending::<Result<(), _>>()));
        assert!((&mut under_way).now_or_never().is_none());
        for _ in 0..IN_A_ROW {
            let _ = pass(&breaker, unanswered());
        }
        let told = under_way.now_or_never().unwrap().unwrap_err();
        assert_eq!(told.to_string(), refused().to_string());
    }

    #[test]
    fn a_server_that_is_there_is_tried_again_until_a_load_is_not_answered() {
        let breaker = breaker();
        for _ in 0..IN_A_ROW {
            let _ = pass(&breaker, unanswered());
        }
        breaker.try_again();
        let mut both = [0; 2].map(|_| Box::pin(breaker.pass(pending::<Result<(), _>>())));
        for load in &mut both {
            assert!(load.now_or_never().is_none());
        }
        let _ = pass(&breaker, unanswered());
        for load in both {
            assert!(load.now_or_never().unwrap().is_err());
        }
    }

    #[test]
    fn who_comes_right_after_a_load_in_vain_does_not_find_out() {
        let breaker = Breaker {
            pause: Duration::from_secs(3600),
            ..Breaker::new()
        };
        for _ in 0..IN_A_ROW {
            let _ = pass(&breaker, unanswered());
        }
        assert_eq!(pass(&breaker, Ok(())), Err(refused().to_string()));
        breaker.try_again();
        assert_eq!(pass(&breaker, Ok(())), Ok(()));
    }

    #[test]
    fn an_error_is_an_answer() {
        let breaker = breaker();
        for _ in 0..IN_A_ROW {
            let _ = pass(&breaker, unanswered());
        }
        let schema = || Err(StoreError::Schema("version 9".to_owned()));
        assert!(pass(&breaker, schema()).is_err());
        let _probe = Box::pin(breaker.pass(pending::<Result<(), _>>())).now_or_never();
        assert_eq!(pass(&breaker, Ok(())), Ok(()));
    }
}
