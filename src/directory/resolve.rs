//! How a call gets what it decides on: from the caches at one view, from a load, or not at all.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::clock::Moment;
use crate::domain::{AccountId, Catalog, Head, Revision};
use crate::store::MAX_LOAD;
use crate::traces::step;

use super::look::{Look, Missed, NotAtOnce};
use super::places::Place;
use super::request::{Loaded, Reply, Request, Standing, Wanted};
use super::view::View;
use super::{Consistency, Directory, DirectoryError, Entry, Resolved};

/// How often a call tries: it begins again where the state moved on under it, or where a server
/// answered that is behind. Each time it waits for a poll and a load, so that more would only make
/// it wait longer.
const ATTEMPTS: usize = 5;

const TOO_MANY_WAIT: DirectoryError =
    DirectoryError::Overloaded("too many accounts are waited for that have to be read");

const TOO_MANY_ALONE: DirectoryError =
    DirectoryError::Overloaded("too many calls have the store read for themselves alone");

/// What an attempt found for the accounts of a call, in their order.
struct Found {
    entries: Vec<Entry>,
    revision: Revision,
    /// How old the oldest part of it may be.
    age: Duration,
    /// Which catalogue goes with it.
    catalog: CatalogAt,
}

/// Which catalogue is of the same state as an account.
#[derive(Debug, Clone, Copy)]
enum CatalogAt {
    /// The one that is true at the view.
    View,
    /// The one that the account's load saw: the load is of a later state than the view.
    Version(Head),
}

impl Directory {
    /// Resolves one account, on one state, from where a look at the caches did not find it.
    ///
    /// # Errors
    /// [`DirectoryError`] where it is not to be had.
    pub async fn resolve_later(
        &self,
        id: &AccountId,
        consistency: Consistency,
        NotAtOnce(missed): NotAtOnce,
    ) -> Result<Resolved<Entry>, DirectoryError> {
        let found = self
            .wait_for(slice::from_ref(id), consistency, missed)
            .await?;
        match found.entries.into_iter().next() {
            Some(entry) => self.resolved(entry, found.revision, found.age),
            None => Err(unresolved()),
        }
    }

    /// Resolves accounts, each on one state; their revision is the least. `ids` should name each
    /// account once.
    ///
    /// # Errors
    /// [`DirectoryError`]: all or none are resolved.
    pub async fn resolve(
        &self,
        ids: &[AccountId],
        consistency: Consistency,
    ) -> Result<Resolved<Vec<Entry>>, DirectoryError> {
        let look = self.look();
        let mut missed = None;
        if look.serves(consistency) {
            let cached = self.all_cached(&look, ids);
            if cached.iter().all(Option::is_some) {
                let entries = cached.into_iter().flatten().collect();
                return self.resolved(entries, look.revision(), look.cached_age());
            }
            missed = Some(Missed { look, cached });
        }
        // Apart: the few calls that wait need room that the others would have to make.
        let found = Box::pin(self.wait_for(ids, consistency, missed)).await?;
        self.resolved(found.entries, found.revision, found.age)
    }

    /// Resolves one account together with the stored catalogue, on one state. The catalogue is
    /// waited for as long as it takes; a caller bounds that by its deadline.
    ///
    /// # Errors
    /// [`DirectoryError`] where either is not to be had.
    pub async fn resolve_with_catalog(
        &self,
        id: &AccountId,
        consistency: Consistency,
    ) -> Result<Resolved<(Entry, Option<Arc<Catalog>>)>, DirectoryError> {
        for attempt in 0..ATTEMPTS {
            let look = self.look_for(consistency, attempt).await;
            let ids = slice::from_ref(id);
            let Some(found) = self.attempt(&look, ids, consistency).await? else {
                continue;
            };
            let Some(entry) = found.entries.into_iter().next() else {
                continue;
            };
            if !matches!(entry, Entry::Known { .. }) {
                // An error either way: no reason to wait for a catalogue.
                return self.resolved((entry, None), found.revision, found.age);
            }
            // INVARIANT(one-V): the catalogue is true at the revision of the answer.
            let catalog = self
                .shared
                .caches
                .catalog()
                .filter(|kept| match found.catalog {
                    CatalogAt::View => look.view.accepts(kept.loaded_at),
                    CatalogAt::Version(version) => kept.value.version == version,
                });
            self.shared.counts.looked_for_catalog(catalog.is_some());
            if let Some(kept) = catalog {
                let catalog = Arc::clone(&kept.value.catalog);
                return self.resolved((entry, Some(catalog)), found.revision, found.age);
            }
            let version = match found.catalog {
                CatalogAt::View => None,
                CatalogAt::Version(version) => Some(version),
            };
            self.ask(|reply| Request::Catalog { version, reply })
                .instrument(step("directory/catalog"))
                .await??;
        }
        Err(restless())
    }

    /// Tries until it is there, with what was `missed` at the first look as the first attempt.
    async fn wait_for(
        &self,
        ids: &[AccountId],
        consistency: Consistency,
        mut missed: Option<Missed>,
    ) -> Result<Found, DirectoryError> {
        for attempt in 0..ATTEMPTS {
            let found = match missed.take() {
                Some(Missed { look, cached }) => self.load_missing(&look, ids, cached).await?,
                None => {
                    let look = self.look_for(consistency, attempt).await;
                    self.attempt(&look, ids, consistency).await?
                }
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(restless())
    }

    /// The look to start from. Before a further attempt, and for a revision that is not applied yet,
    /// after one look at the store.
    async fn look_for(&self, consistency: Consistency, attempt: usize) -> Look {
        let look = self.look();
        let is_behind = match consistency {
            Consistency::AtLeast(_) => !look.serves(consistency),
            Consistency::Fastest | Consistency::Full => false,
        };
        if attempt == 0 && !is_behind {
            return look;
        }
        // That the poll failed shows in the load that follows.
        let _ = self.ask(Request::Nudge).await;
        self.look()
    }

    /// One attempt at one view; `None` where the state moved on under it.
    async fn attempt(
        &self,
        look: &Look,
        ids: &[AccountId],
        consistency: Consistency,
    ) -> Result<Option<Found>, DirectoryError> {
        if look.serves(consistency) {
            let cached = self.all_cached(look, ids);
            return self.load_missing(look, ids, cached).await;
        }
        let at_least = match consistency {
            Consistency::AtLeast(revision) => Some(revision),
            Consistency::Fastest | Consistency::Full => None,
        };
        self.load_alone(&look.view, ids, at_least).await
    }

    /// What is `cached`, and the rest from loads that others may share.
    async fn load_missing(
        &self,
        look: &Look,
        ids: &[AccountId],
        cached: Vec<Option<Entry>>,
    ) -> Result<Option<Found>, DirectoryError> {
        let view = &look.view;
        let missing: Vec<AccountId> = ids
            .iter()
            .zip(&cached)
            .filter(|(_, entry)| entry.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        let any_cached = missing.len() < ids.len() || ids.is_empty();

        let mut found = Found {
            entries: Vec::with_capacity(ids.len()),
            revision: look.revision(),
            age: match any_cached {
                true => look.cached_age(),
                false => Duration::ZERO,
            },
            catalog: CatalogAt::View,
        };
        let mut loads = match missing.is_empty() {
            true => Vec::new(),
            false => {
                self.load(missing)
                    .instrument(step("directory/load"))
                    .await?
            }
        }
        .into_iter();
        let mut least_loaded = None;
        for entry in cached {
            let entry = match entry {
                Some(entry) => entry,
                None => {
                    let Some(loaded) = loads.next() else {
                        return Ok(None);
                    };
                    let Some(revision) = accept(view, &loaded) else {
                        return Ok(None);
                    };
                    least_loaded =
                        Some(least_loaded.map_or(revision, |least: Revision| least.min(revision)));
                    found.age = found.age.max(load_age(view, &loaded));
                    // One that was joined may be of an earlier state, and still true at the view.
                    if loaded.read.head.revision >= view.applied.revision() {
                        found.catalog = CatalogAt::Version(loaded.read.catalog);
                    }
                    loaded.entry
                }
            };
            found.entries.push(entry);
        }
        if let (Some(least), false) = (least_loaded, any_cached) {
            found.revision = least;
        }
        Ok(Some(found))
    }

    /// From loads of the call's own, sent to a primary now. With `at_least`, each has to have
    /// reached that revision. `None` where a standby answered, or a server that is behind `view`.
    /// Nothing is shared here, so only so many calls may do it at once.
    async fn load_alone(
        &self,
        view: &View,
        ids: &[AccountId],
        at_least: Option<Revision>,
    ) -> Result<Option<Found>, DirectoryError> {
        let place = self
            .shared
            .alone
            .take(1)
            .and_then(|mut places| places.pop());
        let shed = || {
            self.shared.counts.shed_alone();
            TOO_MANY_ALONE
        };
        let place = Arc::new(place.ok_or_else(shed)?);
        let mut found: Option<Found> = None;
        // No account at all is a look at the store's revision.
        let chunks = ids.chunks(MAX_LOAD).chain(ids.is_empty().then_some(ids));
        for ids in chunks {
            let loaded = self
                .ask(|reply| Request::LoadAlone {
                    ids: ids.to_vec(),
                    reply,
                    place: Arc::clone(&place),
                })
                .instrument(step("directory/load_alone"))
                .await??;
            let revision = loaded.read.head.revision;
            if !loaded.read.primary || revision < view.applied.revision() {
                return Ok(None);
            }
            if let Some(wanted) = at_least.filter(|wanted| *wanted > revision) {
                return Err(DirectoryError::RevisionUnknown(wanted));
            }
            let age = Moment::now().since(loaded.sent);
            let catalog = CatalogAt::Version(loaded.read.catalog);
            match &mut found {
                Some(found) => {
                    found.entries.extend(loaded.entries);
                    found.revision = found.revision.min(revision);
                    found.age = found.age.max(age);
                }
                None => {
                    found = Some(Found {
                        entries: loaded.entries,
                        revision,
                        age,
                        catalog,
                    })
                }
            }
        }
        Ok(found)
    }

    /// Loads accounts, in their order.
    async fn load(&self, ids: Vec<AccountId>) -> Result<Vec<Loaded>, DirectoryError> {
        let places = self.shared.waiting.take(ids.len());
        let shed = || {
            self.shared.counts.shed_waiting();
            TOO_MANY_WAIT
        };
        let places = places.ok_or_else(shed)?;
        let want = |(id, place): (AccountId, Place)| {
            let (sender, answer) = oneshot::channel();
            let reply = Reply::new(sender, place);
            (Wanted { id, reply }, answer)
        };
        let (wanted, answers): (Vec<_>, Vec<_>) = ids.into_iter().zip(places).map(want).unzip();
        self.requests
            .send(Request::Load(wanted))
            .await
            .map_err(|_closed| stopped())?;
        let mut loads = Vec::with_capacity(answers.len());
        for answer in answers {
            loads.push(answer.await.map_err(|_dropped| stopped())??);
        }
        Ok(loads)
    }

    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, DirectoryError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_closed| stopped())?;
        answer.await.map_err(|_dropped| stopped())
    }
}

/// The revision at which a load answers a call that read `view` before it asked; `None` where it
/// may miss a change that is applied.
///
/// INVARIANT(prefix-snapshot): a snapshot is a prefix of the history, so a load that was sent after
/// reading V and is at V or later stands alone. One that was joined may be older than what this
/// replica has applied: it stands only if the ledger vouched for it.
pub(super) fn accept(view: &View, loaded: &Loaded) -> Option<Revision> {
    let applied = view.applied.revision();
    match loaded.standing {
        Standing::Own => Some(loaded.read.head.revision).filter(|revision| *revision >= applied),
        Standing::JoinedKept(stamp) if stamp.epoch() == view.applied.epoch() => {
            Some(loaded.read.head.revision.max(applied))
        }
        Standing::JoinedKept(_) | Standing::JoinedDiscarded => None,
    }
}

/// How old a load may be: what a primary said was true when the load was sent; a standby knows no
/// better than the feed.
fn load_age(view: &View, loaded: &Loaded) -> Duration {
    let now = Moment::now();
    if loaded.read.primary {
        now.since(loaded.sent)
    } else {
        view.age(now).unwrap_or(Duration::MAX)
    }
}

fn restless() -> DirectoryError {
    let message = "the store was not read from a primary, at a state as late as one seen before";
    DirectoryError::Unavailable(message.to_owned())
}

/// INVARIANT(fail-closed): an answer that misses what was asked for is an error, never an allow.
fn unresolved() -> DirectoryError {
    DirectoryError::Unavailable("the account was not resolved".to_owned())
}

fn stopped() -> DirectoryError {
    DirectoryError::Unavailable("the service is stopping".to_owned())
}
