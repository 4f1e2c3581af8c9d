//! What the store says by itself: when to look at it, and whether it can say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::store::{Signal, Store};

/// So many polls in a row that find what nobody announced are no coincidence.
const TOO_MANY_UNANNOUNCED: u32 = 3;

pub(super) struct Signals {
    stream: BoxStream<'static, Signal>,
    /// Whether something was said since the last poll was sent.
    is_new: bool,
    /// Whether the store announces changes now, as far as it knows.
    is_listening: Arc<AtomicBool>,
    /// What is wrong where it does not, as it was last said.
    trouble: Option<String>,
    /// How many polls in a row have found changes that nobody announced.
    unannounced: u32,
    has_warned: bool,
}

impl Signals {
    /// What `store` says; `is_listening` tells whether it does.
    pub(super) fn new(store: &dyn Store, is_listening: Arc<AtomicBool>) -> Self {
        Self {
            // Where it ends, polls go on.
            stream: store.signals().chain(stream::pending()).boxed(),
            is_new: false,
            is_listening,
            trouble: None,
            unannounced: 0,
            has_warned: false,
        }
    }

    /// Waits for the next signal. Nothing is lost where this is not waited for to the end.
    pub(super) async fn hear(&mut self) {
        if let Some(signal) = self.stream.next().await {
            self.take(signal);
        }
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            // What happened before was not announced.
            Signal::Listening => {
                self.is_new = true;
                self.is_listening.store(true, Ordering::Relaxed);
                if let Some(trouble) = self.trouble.take() {
                    tracing::info!(after = trouble, "hears of changes again");
                }
            }
            Signal::Changed => {
                self.is_new = true;
                self.unannounced = 0;
            }
            Signal::Deaf(error) => {
                self.is_listening.store(false, Ordering::Relaxed);
                let trouble = error.to_string();
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(error = trouble, "hears of no changes, and looks for them");
                }
                self.trouble = Some(trouble);
            }
        }
    }

    /// Whether there is a reason to poll.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Says that a poll is sent now.
    pub(super) fn polled(&mut self) {
        self.is_new = false;
    }

    /// Told of a poll that was sent because it was time, and found changes.
    pub(super) fn found_changes(&mut self) {
        if self.is_new || !self.is_listening.load(Ordering::Relaxed) {
            return;
        }
        self.unannounced += 1;
        if self.unannounced >= TOO_MANY_UNANNOUNCED && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(
                "changes are found that were not announced: LISTEN needs a direct connection to the \
                 primary, not one through a transaction pooler; until then a change is seen at the \
                 next poll"
            );
        }
    }
}
