//! The loader's other half: it follows the store's changes, and tells what they made wrong.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::clock::Moment;
use crate::domain::Revision;
use crate::store::{Poll, StoreError};

use super::DirectoryError;
use super::ledger::Seen;
use super::loader::{Ahead, Answer, Loader};
use super::mirror::Mirror;
use super::watch::Begun;

/// How long a load that is ahead of the feed waits for the feed before it is given up.
const KEEP_WITHIN: Duration = Duration::from_secs(1);

impl Loader {
    /// Puts off what is ahead of the feed until the feed has caught up.
    pub(super) fn wait_for_feed(&mut self, ahead: Ahead) {
        if let Some(until) = self.settling {
            // It was looked at again: it has the time that it had, and causes no further poll.
            self.ahead.push((until, ahead));
            return;
        }
        self.ahead.push((Instant::now() + KEEP_WITHIN, ahead));
        // A poll that is under way may have been sent before the change.
        let (nudge, _) = oneshot::channel();
        self.nudges.push(nudge);
    }

    /// Looks again at what was ahead. What still is stays there.
    fn settle(&mut self) {
        let applied = self.mirror.ledger.head().map(|head| head.revision);
        for (until, ahead) in mem::take(&mut self.ahead) {
            let read = match &ahead {
                Ahead::Accounts(landed) => landed.read,
                Ahead::Catalog { read, .. } => *read,
            };
            if Some(read.head.revision) > applied {
                self.ahead.push((until, ahead));
                continue;
            }
            self.settling = Some(until);
            match ahead {
                Ahead::Accounts(landed) => self.keep(landed),
                Ahead::Catalog { catalog, read } => self.keep_catalog(catalog, read),
            }
        }
        self.settling = None;
    }

    /// Lets go of what waited for the feed too long; those who joined it begin again.
    pub(super) fn give_up(&mut self) {
        let now = Instant::now();
        for (until, ahead) in mem::take(&mut self.ahead) {
            match ahead {
                ahead if until > now => self.ahead.push((until, ahead)),
                Ahead::Accounts(landed) => landed.answer_joined(None),
                Ahead::Catalog { .. } => {
                    let error =
                        DirectoryError::Unavailable("the feed is behind the catalogue".to_owned());
                    self.answer_catalog(&Err(error));
                }
            }
        }
    }

    /// Sends a poll: because it is time, or because somebody asked.
    pub(super) fn poll(&mut self, is_asked: bool) {
        self.polling = true;
        self.poll_again = false;
        self.signals.polled();
        self.nudges_polling = mem::take(&mut self.nudges);
        let (store, seen) = (Arc::clone(&self.store), self.mirror.ledger.head());
        let sent = Moment::now();
        self.under_way.push(Box::pin(async move {
            let result = store.poll(seen).await;
            Answer::Poll {
                is_asked,
                sent,
                result,
            }
        }));
    }

    pub(super) fn land_poll(
        &mut self,
        is_asked: bool,
        sent: Moment,
        result: Result<Poll, StoreError>,
    ) {
        self.polling = false;
        self.next_poll = Instant::now() + self.shared.config.poll_interval;
        match result {
            Ok(poll) => {
                let seen = self.apply(sent, &poll);
                if seen == Seen::Advanced && !is_asked {
                    self.signals.found_changes();
                }
            }
            Err(error) => self.trouble(&error),
        }
        for nudge in mem::take(&mut self.nudges_polling) {
            let _ = nudge.send(());
        }
    }

    fn apply(&mut self, sent: Moment, poll: &Poll) -> Seen {
        if let Some(trouble) = self.shared.trouble.swap(None) {
            tracing::info!(after = %trouble, "the store answers again");
        }
        let present = poll.at.head.revision;
        let seen = self.mirror.observe(poll, sent);
        let applied = self.mirror.ledger.applied();
        match seen {
            Seen::Unchanged => {}
            Seen::Advanced => {
                tracing::debug!(revision = applied.revision().0, "policies changed");
            }
            Seen::Reset => tracing::info!(
                revision = applied.revision().0,
                epoch = applied.epoch(),
                "follows the store's history from here"
            ),
        }
        // It brought as many changes as a poll may, and there are more.
        self.poll_again = seen == Seen::Advanced && applied.revision() < present;
        if poll.at.primary {
            self.announce_matrix();
        }
        for (after, reply) in mem::take(&mut self.watchers) {
            self.watch(after, reply);
        }
        self.settle();
        seen
    }

    pub(super) fn watch(&mut self, after: Option<Revision>, reply: oneshot::Sender<Begun>) {
        let Mirror { ledger, hub, .. } = &self.mirror;
        match hub.begin(ledger, after) {
            // A watcher that left does not mind.
            Some(begun) => drop(reply.send(begun)),
            None => {
                // Those who left, before one more comes: until the first poll nobody else looks.
                self.watchers.retain(|(_, reply)| !reply.is_closed());
                self.watchers.push((after, reply));
            }
        }
    }

    /// Tells the store once by which matrix this replica decides, so that the watchers of others hear
    /// of it if that is another one.
    fn announce_matrix(&mut self) {
        let Some(digest) = self.announcement.take() else {
            return;
        };
        let store = Arc::clone(&self.store);
        self.under_way.push(Box::pin(async move {
            let result = store.announce_matrix(&digest).await;
            Answer::MatrixAnnounced { digest, result }
        }));
    }

    pub(super) fn land_announcement(&mut self, digest: String, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {}
            // After the next poll that finds it there, or a primary in its place.
            Err(StoreError::Unavailable(_) | StoreError::ReadOnly(_)) => {
                self.announcement = Some(digest);
            }
            Err(error) => tracing::warn!(
                %error,
                "watchers are not told if this replica decides by another matrix than the last one"
            ),
        }
    }

    /// Says once that something is wrong, not at every poll.
    fn trouble(&self, error: &StoreError) {
        let text = error.to_string();
        let before = self.shared.trouble.swap(Some(Arc::new(text.clone())));
        if before.is_some_and(|before| *before == text) {
            return;
        }
        let is_away = matches!(error, StoreError::Unavailable(_));
        if is_away && self.mirror.ledger.head().is_none() {
            tracing::warn!(
                error = text,
                "the database was not reached yet: see that the host in --database-url is right, runs, \
                 and takes connections from here"
            );
        } else {
            tracing::warn!(error = text, "cannot follow the store's changes");
        }
    }
}
