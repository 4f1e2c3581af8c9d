//! What a call gets from the caches, without waiting for anybody.

use std::time::Duration;

use crate::clock::Moment;
use crate::domain::{AccountId, Revision};

use super::view::View;
use super::{Consistency, Directory, DirectoryError, Entry, Resolved};

/// The look that a call takes at the caches: at one view, and one reading of the clock.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) view: View,
    /// How old the view is; none where nothing confirms it.
    pub(super) age: Option<Duration>,
    /// Past `max_stale` the caches answer nothing, but the store may.
    is_usable: bool,
}

impl Look {
    /// Whether what is cached is fresh enough for such a call, if it is there.
    pub(super) fn serves(&self, consistency: Consistency) -> bool {
        match consistency {
            Consistency::Fastest => true,
            Consistency::AtLeast(revision) => revision <= self.view.applied.revision(),
            Consistency::Full => false,
        }
    }

    /// The revision that the caches are true at.
    pub(super) fn revision(&self) -> Revision {
        self.view.applied.revision()
    }

    /// The age of an answer from the caches.
    pub(super) fn cached_age(&self) -> Duration {
        self.age.unwrap_or(Duration::MAX)
    }
}

/// A look at the caches that did not find all accounts of a call, with what it did find.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) look: Look,
    pub(super) cached: Vec<Option<Entry>>,
}

/// That one account is not to be had at once.
#[derive(Debug)]
pub struct NotAtOnce(pub(super) Option<Missed>);

impl Directory {
    /// Resolves one account where that needs no wait.
    ///
    /// # Errors
    /// [`NotAtOnce`], to go on from with [`Directory::resolve_later`].
    pub fn resolve_at_once(
        &self,
        id: &AccountId,
        consistency: Consistency,
    ) -> Result<Resolved<Entry>, NotAtOnce> {
        let look = self.look();
        if !look.serves(consistency) {
            return Err(NotAtOnce(None));
        }
        let Some(value) = self.cached(&look, id) else {
            let cached = vec![None];
            return Err(NotAtOnce(Some(Missed { look, cached })));
        };
        Ok(Resolved {
            value,
            revision: look.revision(),
            stale: self.is_stale(look.cached_age()),
        })
    }

    pub(super) fn look(&self) -> Look {
        let view = self.shared.published.view();
        let age = view.age(Moment::now());
        Look {
            view,
            age,
            is_usable: age.is_some_and(|age| age <= self.shared.config.max_stale),
        }
    }

    /// What is cached of `id`, where that may be answered. It is counted.
    pub(super) fn cached(&self, look: &Look, id: &AccountId) -> Option<Entry> {
        let (entry, lookup) = self.shared.caches.look_up(&look.view, id);
        self.shared.counts.looked_up(lookup);
        entry.filter(|_| look.is_usable)
    }

    /// The same of many, in their order.
    pub(super) fn all_cached(&self, look: &Look, ids: &[AccountId]) -> Vec<Option<Entry>> {
        ids.iter().map(|id| self.cached(look, id)).collect()
    }

    /// An answer, if it is not too old to be one.
    pub(super) fn resolved<T>(
        &self,
        value: T,
        revision: Revision,
        age: Duration,
    ) -> Result<Resolved<T>, DirectoryError> {
        if age > self.shared.config.max_stale {
            let since = match age {
                Duration::MAX => "what is known was never confirmed by a primary".to_owned(),
                age => format!("what is known was last confirmed {} s ago", age.as_secs()),
            };
            return Err(DirectoryError::Unavailable(since));
        }
        Ok(Resolved {
            value,
            revision,
            stale: self.is_stale(age),
        })
    }

    fn is_stale(&self, age: Duration) -> bool {
        age > self.shared.config.stale_after
    }
}
