//! Those who keep answers of the service themselves, and want to know when to ask again.
//!
//! Whatever is applied is told to all of them at once, after it is published: who then asks gets an
//! answer with the change in it. One reading of the store serves them all. A watcher that is too slow
//! for the queue is told that everything changed, and goes on from the present.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;

use crate::domain::Revision;
use crate::store::{ChangeEntry, ChangeSubject, ChangedKeys};

use super::ledger::Ledger;
use super::request::Request;
use super::stamp::Stamp;
use super::{Directory, DirectoryError, Shared};

/// How many changes wait for a watcher before it is told that everything changed.
const QUEUE: usize = 1_024;

/// How long a watcher is told nothing before it is told so: half of what is promised.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// Every change up to and including this one was told.
    pub revision: Revision,
    /// What changed at this revision. Nothing: only that the watch goes on.
    pub changes: Vec<ChangeSubject>,
}

impl WatchEvent {
    fn checkpoint(revision: Revision) -> Self {
        Self {
            revision,
            changes: Vec::new(),
        }
    }

    fn everything(revision: Revision) -> Self {
        Self {
            revision,
            changes: vec![ChangeSubject::Everything],
        }
    }
}

/// What is told to all watchers.
#[derive(Debug, Clone)]
struct Told {
    at: Stamp,
    changes: Arc<[ChangeSubject]>,
    /// Whether it is no change of the history, and comes beside that of its revision.
    is_beside: bool,
}

/// Where watchers are told from.
#[derive(Debug, Clone)]
pub(super) struct Hub(broadcast::Sender<Told>);

impl Default for Hub {
    fn default() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }
}

impl Hub {
    /// Tells of a change of the history, `at` being its revision.
    pub(super) fn tell(&self, at: Stamp, change: &ChangeEntry) {
        self.send(at, subjects(change), false);
    }

    /// Tells that everything is to be asked for again, whether or not the revision `at` is new.
    pub(super) fn tell_everything(&self, at: Stamp) {
        self.send(at, vec![ChangeSubject::Everything], true);
    }

    fn send(&self, at: Stamp, changes: Vec<ChangeSubject>, is_beside: bool) {
        // Nobody may be watching.
        let _ = self.0.send(Told {
            at,
            changes: changes.into(),
            is_beside,
        });
    }

    /// Begins a watch at what the ledger knows now; none before the first poll.
    ///
    /// Whoever tells, calls this: otherwise what is told in between would be missed.
    pub(super) fn begin(&self, ledger: &Ledger, after: Option<Revision>) -> Option<Begun> {
        ledger.head()?;
        let at = ledger.applied();
        let mut first = VecDeque::new();
        let known = after.filter(|after| !ledger.matrix_changed_since(*after));
        match after.map(|_| known.and_then(|after| ledger.since(after))) {
            None => {}
            Some(None) => first.push_back(WatchEvent::everything(at.revision())),
            Some(Some(changes)) => first.extend(changes.map(|change| WatchEvent {
                revision: change.head.revision,
                changes: subjects(change),
            })),
        }
        if first.is_empty() {
            first.push_back(WatchEvent::checkpoint(at.revision()));
        }
        let live = self.0.subscribe();
        Some(Begun { first, at, live })
    }
}

/// What watchers are told of a change: what it names, or that it may be everything.
fn subjects(change: &ChangeEntry) -> Vec<ChangeSubject> {
    match (&change.subject, &change.keys) {
        (ChangeSubject::Everything, _) | (_, ChangedKeys::Everything) => {
            vec![ChangeSubject::Everything]
        }
        (
            ChangeSubject::Account(_) | ChangeSubject::Partner(_) | ChangeSubject::Catalog,
            ChangedKeys::Named {
                accounts,
                partners,
                catalog,
            },
        ) => {
            let accounts = accounts.iter().cloned().map(ChangeSubject::Account);
            let partners = partners.iter().cloned().map(ChangeSubject::Partner);
            let catalog = catalog.then_some(ChangeSubject::Catalog);
            accounts.chain(partners).chain(catalog).collect()
        }
    }
}

/// A watch, from the instant on at which it began.
#[derive(Debug)]
pub(super) struct Begun {
    /// What is told first.
    first: VecDeque<WatchEvent>,
    /// Up to where that goes.
    at: Stamp,
    live: broadcast::Receiver<Told>,
}

impl Begun {
    /// The next event; none when the loader is gone.
    async fn next(&mut self, shared: &Shared) -> Option<WatchEvent> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        loop {
            match timeout(CHECKPOINT, self.live.recv()).await {
                // Told before: the queue began earlier than the watch goes on.
                Ok(Ok(told)) if told.at < self.at || (told.at == self.at && !told.is_beside) => {}
                Ok(Ok(told)) => {
                    self.at = told.at;
                    return Some(WatchEvent {
                        revision: told.at.revision(),
                        changes: told.changes.to_vec(),
                    });
                }
                Ok(Err(RecvError::Lagged(_))) => {
                    // In this order: what is told in between is in the new queue.
                    self.live = self.live.resubscribe();
                    self.at = shared.published.view().applied;
                    return Some(WatchEvent::everything(self.at.revision()));
                }
                Ok(Err(RecvError::Closed)) => return None,
                // What was told, not what is applied: more may be on the way here.
                Err(_elapsed) => return Some(WatchEvent::checkpoint(self.at.revision())),
            }
        }
    }
}

impl Directory {
    /// Watches the changes after a revision, in their order, or those from now on. What is no longer
    /// known, or not reached, is told as a change of everything. Before the store was first looked
    /// at, this waits for that.
    ///
    /// The stream ends when the service does.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] where the service is stopping.
    pub async fn watch(
        &self,
        after: Option<Revision>,
    ) -> Result<impl Stream<Item = WatchEvent> + Send + use<>, DirectoryError> {
        let applied = self.shared.published.view().applied.revision();
        if after.is_some_and(|after| after > applied) {
            // Another replica may be ahead of this one.
            self.ask(Request::Nudge).await?;
        }
        let begun = self.ask(|reply| Request::Watch { after, reply }).await?;
        let shared = Arc::clone(&self.shared);
        let watch = stream::unfold((begun, shared), |(mut begun, shared)| async move {
            let event = begun.next(&shared).await?;
            Some((event, (begun, shared)))
        });
        Ok(watch)
    }
}
