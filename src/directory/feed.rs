//! The loader's other half: it follows the store's changes, and tells what they made wrong.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::clock::Moment;
use crate::store::{Poll, StoreError};

use super::DirectoryError;
use super::ledger::{Seen, Verdict};
use super::loader::{Ahead, Answer, Loader};
use super::request::Standing;

/// How long a load that is ahead of the feed waits for the feed before it is given up.
const KEEP_WITHIN: Duration = Duration::from_secs(1);

impl Loader {
    /// Puts off what is ahead of the feed until the feed has caught up.
    pub(super) fn wait_for_feed(&mut self, ahead: Ahead) {
        self.ahead.push((Instant::now() + KEEP_WITHIN, ahead));
        // A poll that is under way may have been sent before the change.
        let (nudge, _) = oneshot::channel();
        self.nudges.push(nudge);
    }

    /// Looks again at what was ahead.
    fn settle(&mut self) {
        for (until, ahead) in mem::take(&mut self.ahead) {
            let read = match &ahead {
                Ahead::Accounts(landed) => landed.read,
                Ahead::Catalog { read, .. } => *read,
            };
            if self.ledger.judge(&read) == Verdict::Wait {
                self.ahead.push((until, ahead));
                continue;
            }
            match ahead {
                Ahead::Accounts(landed) => self.keep(landed),
                Ahead::Catalog { catalog, read } => self.keep_catalog(catalog, read),
            }
        }
    }

    /// Lets go of what waited for the feed too long; those who joined it begin again.
    pub(super) fn give_up(&mut self) {
        let now = Instant::now();
        for (until, ahead) in mem::take(&mut self.ahead) {
            match ahead {
                ahead if until > now => self.ahead.push((until, ahead)),
                Ahead::Accounts(landed) => landed.answer_joined(Standing::JoinedDiscarded),
                Ahead::Catalog { .. } => {
                    let error =
                        DirectoryError::Unavailable("the feed is behind the catalogue".to_owned());
                    self.answer_catalog(&Err(error));
                }
            }
        }
    }

    pub(super) fn poll(&mut self) {
        self.polling = true;
        self.nudges_polling = mem::take(&mut self.nudges);
        let (store, seen, sent) = (Arc::clone(&self.store), self.ledger.head(), Moment::now());
        self.under_way.push(Box::pin(async move {
            let result = store.poll(seen).await;
            Answer::Poll { sent, result }
        }));
    }

    pub(super) fn land_poll(&mut self, sent: Moment, result: Result<Poll, StoreError>) {
        self.polling = false;
        self.next_poll = Instant::now() + self.shared.config.poll_interval;
        match result {
            Ok(poll) => self.apply(sent, &poll),
            Err(error) => self.trouble(&error),
        }
        for nudge in mem::take(&mut self.nudges_polling) {
            let _ = nudge.send(());
        }
    }

    fn apply(&mut self, sent: Moment, poll: &Poll) {
        if let Some(trouble) = self.shared.trouble.swap(None) {
            tracing::info!(after = %trouble, "the store answers again");
        }
        let revision = poll.at.head.revision.0;
        match self.ledger.observe(poll) {
            Seen::Unchanged => {}
            Seen::Advanced(stamp) => {
                self.shared.caches.forget(self.ledger.catalog(), stamp);
                self.shared.published.raise(stamp);
                tracing::debug!(revision, "policies changed");
            }
            Seen::Reset(stamp) => {
                self.shared.caches.forget(None, stamp);
                self.shared.published.doubt();
                self.shared.published.raise(stamp);
                tracing::info!(
                    revision,
                    epoch = stamp.epoch(),
                    "follows the store's history from here"
                );
            }
        }
        // A standby cannot tell what it has not received.
        if poll.at.primary {
            self.shared.published.confirm(sent);
        }
        self.settle();
    }

    /// Says once that something is wrong, not at every poll.
    fn trouble(&self, error: &StoreError) {
        let text = error.to_string();
        let before = self.shared.trouble.swap(Some(Arc::new(text.clone())));
        if before.is_none_or(|before| *before != text) {
            tracing::warn!(error = text, "cannot follow the store's changes");
        }
    }
}
