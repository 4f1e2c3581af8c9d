//! The one task that loads, fills the caches and empties them.
//!
//! Calls send it what they miss. Misses of one account join one load; misses that arrive while
//! loads are under way gather and travel in the next, calls taking turns. Because one task does all of it, no load can
//! be overtaken by an invalidation between its look at the ledger and its insert.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::clock::Moment;
use crate::domain::{AccountId, Revision};
use crate::store::{MAX_LOAD, Poll, ReadAt, Snapshot, Store, StoreError, matrix_digest};

use super::cache::VersionedCatalog;
use super::gathering::Gathering;
use super::landed::{Landed, Waiters};
use super::ledger::Verdict;
use super::mirror::Mirror;
use super::places::Place;
use super::request::{Loaded, LoadedAlone, Request, Standing, Wanted};
use super::signals::Signals;
use super::watch::Begun;
use super::{DirectoryError, Shared};

#[derive(Debug)]
pub(super) struct Flight {
    owners: Waiters,
    joined: Waiters,
}

/// What came back and is ahead of the feed.
#[derive(Debug)]
pub(super) enum Ahead {
    Accounts(Landed),
    Catalog {
        catalog: VersionedCatalog,
        read: ReadAt,
    },
}

/// What the store answered.
pub(super) enum Answer {
    Accounts {
        flight: u64,
        ids: Vec<AccountId>,
        sent: Moment,
        result: Result<Snapshot, StoreError>,
    },
    Alone {
        ids: Vec<AccountId>,
        sent: Moment,
        result: Result<Snapshot, StoreError>,
        reply: oneshot::Sender<Result<LoadedAlone, DirectoryError>>,
        place: Arc<Place>,
    },
    Catalog(Result<(VersionedCatalog, ReadAt), StoreError>),
    Poll {
        /// Whether somebody asked for it, or it was time.
        is_asked: bool,
        sent: Moment,
        result: Result<Poll, StoreError>,
    },
    MatrixAnnounced {
        digest: String,
        result: Result<(), StoreError>,
    },
}

pub(super) struct Loader {
    pub(super) store: Arc<dyn Store>,
    pub(super) shared: Arc<Shared>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) mirror: Mirror<AtomicU64>,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Answer>>,

    pub(super) gathering: Gathering,
    pub(super) flights: HashMap<u64, Flight>,
    /// Which flight an account is on.
    pub(super) on_flight: HashMap<AccountId, u64>,
    pub(super) last_flight: u64,

    pub(super) catalog_waiters: Vec<oneshot::Sender<Result<(), DirectoryError>>>,
    pub(super) catalog_loading: bool,

    /// Loads that are ahead of the feed, with the time at which each is given up.
    pub(super) ahead: Vec<(Instant, Ahead)>,
    /// When the load is given up that is being looked at again.
    pub(super) settling: Option<Instant>,

    /// Who wants to watch, before the first poll.
    pub(super) watchers: Vec<(Option<Revision>, oneshot::Sender<Begun>)>,

    pub(super) signals: Signals,
    /// The digest of the matrix, as long as the store has to be told it.
    pub(super) announcement: Option<String>,
    pub(super) next_poll: Instant,
    pub(super) polling: bool,
    /// The last poll did not bring all changes.
    pub(super) poll_again: bool,
    /// Wait for a poll that is sent after they asked.
    pub(super) nudges: Vec<oneshot::Sender<()>>,
    /// Wait for the poll that is under way.
    pub(super) nudges_polling: Vec<oneshot::Sender<()>>,
}

impl Loader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            signals: Signals::new(&*store, Arc::clone(&shared.is_listening)),
            announcement: Some(matrix_digest(&shared.matrix)),
            store,
            mirror: Mirror::new(Arc::clone(&shared)),
            shared,
            requests,
            under_way: FuturesUnordered::new(),
            gathering: Gathering::default(),
            flights: HashMap::new(),
            on_flight: HashMap::new(),
            last_flight: 0,
            catalog_waiters: Vec::new(),
            catalog_loading: false,
            ahead: Vec::new(),
            settling: None,
            watchers: Vec::new(),
            next_poll: Instant::now(),
            polling: false,
            poll_again: false,
            nudges: Vec::new(),
            nudges_polling: Vec::new(),
        }
    }

    /// Works until the last directory is gone.
    pub(super) async fn run(mut self) {
        loop {
            let give_up = self
                .ahead
                .first()
                .map_or_else(far_away, |(until, _)| *until);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request),
                    None => return,
                },
                Some(answer) = self.under_way.next() => self.land(answer),
                () = self.signals.hear() => {}
                () = sleep_until(self.next_poll), if !self.polling => self.poll(false),
                () = sleep_until(give_up) => self.give_up(),
            }
            while let Ok(request) = self.requests.try_recv() {
                self.take(request);
            }
            self.depart();
            let is_asked = self.signals.is_new() || self.poll_again || !self.nudges.is_empty();
            if !self.polling && is_asked {
                self.poll(true);
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Load(wanted) => {
                let mut missing = Vec::new();
                for Wanted { id, reply } in wanted {
                    if let Some(loaded) = self.cached(&id) {
                        reply.send(Ok(loaded));
                        continue;
                    }
                    let flight = self
                        .on_flight
                        .get(&id)
                        .and_then(|flight| self.flights.get_mut(flight));
                    match flight {
                        Some(flight) => flight.joined.entry(id).or_default().push(reply),
                        None => missing.push(Wanted { id, reply }),
                    }
                }
                self.gathering.add(missing);
            }
            Request::LoadAlone { ids, reply, place } => {
                let (store, known, sent) = self.for_a_load();
                self.under_way.push(Box::pin(async move {
                    let result = load(store, known, &ids).await;
                    Answer::Alone {
                        ids,
                        sent,
                        result,
                        reply,
                        place,
                    }
                }));
            }
            Request::Catalog { version, reply } => self.want_catalog(version, reply),
            Request::Watch { after, reply } => self.watch(after, reply),
            Request::Nudge(reply) => self.nudges.push(reply),
        }
    }

    /// What a load has brought for `id` while its call was on the way here. Not in an outage: a call
    /// that asks then has found the cache too old.
    fn cached(&self, id: &AccountId) -> Option<Loaded> {
        let view = self.shared.published.view();
        let sent = view.fresh_at?;
        if Moment::now().since(sent) > self.shared.config.stale_after {
            return None;
        }
        let entry = self.shared.caches.entry(&view, id)?;
        let ledger = &self.mirror.ledger;
        Some(Loaded {
            entry,
            read: ReadAt {
                head: ledger.head()?,
                catalog: ledger.catalog()?,
                primary: ledger.primary(),
            },
            sent,
            standing: Standing::JoinedKept(view.applied),
        })
    }

    /// Sends what has gathered, as far as loads may be under way.
    fn depart(&mut self) {
        while self.flights.len() < self.shared.config.max_loads {
            let owners = self.gathering.take(MAX_LOAD);
            if owners.is_empty() {
                return;
            }
            let ids: Vec<_> = owners.keys().cloned().collect();
            self.last_flight += 1;
            let flight = self.last_flight;
            self.on_flight
                .extend(ids.iter().map(|id| (id.clone(), flight)));
            self.flights.insert(
                flight,
                Flight {
                    owners,
                    joined: HashMap::new(),
                },
            );
            let (store, known, sent) = self.for_a_load();
            self.under_way.push(Box::pin(async move {
                let result = load(store, known, &ids).await;
                Answer::Accounts {
                    flight,
                    ids,
                    sent,
                    result,
                }
            }));
        }
    }

    /// The store, the present as it is known, and the instant: all from before the load is sent.
    fn for_a_load(&self) -> (Arc<dyn Store>, Option<Present>, Moment) {
        let ledger = &self.mirror.ledger;
        let present = ledger.head().map(|head| Present {
            revision: head.revision,
            primary: ledger.primary(),
        });
        (Arc::clone(&self.store), present, Moment::now())
    }

    fn land(&mut self, answer: Answer) {
        match answer {
            Answer::Accounts {
                flight,
                ids,
                sent,
                result,
            } => {
                for id in &ids {
                    self.on_flight.remove(id);
                }
                if let Some(flight) = self.flights.remove(&flight) {
                    self.land_accounts(flight, ids, sent, result);
                }
            }
            Answer::Alone {
                ids,
                sent,
                result,
                reply,
                place: _place,
            } => match result {
                Ok(snapshot) => {
                    let landed =
                        Landed::new(&self.shared.matrix, ids, sent, snapshot, HashMap::new());
                    let entries = landed
                        .entries
                        .iter()
                        .map(|(_, entry)| entry.clone())
                        .collect();
                    // A caller that left does not mind.
                    let _ = reply.send(Ok(LoadedAlone {
                        entries,
                        read: landed.read,
                        sent,
                    }));
                    self.keep(landed);
                }
                Err(error) => {
                    tell(ids.len(), &error);
                    let _ = reply.send(Err(DirectoryError::from(&error)));
                }
            },
            Answer::Catalog(result) => self.land_catalog(result),
            Answer::Poll {
                is_asked,
                sent,
                result,
            } => self.land_poll(is_asked, sent, result),
            Answer::MatrixAnnounced { digest, result } => self.land_announcement(digest, result),
        }
    }

    fn land_accounts(
        &mut self,
        flight: Flight,
        ids: Vec<AccountId>,
        sent: Moment,
        result: Result<Snapshot, StoreError>,
    ) {
        let Flight { owners, joined } = flight;
        match result {
            Ok(snapshot) => {
                let landed = Landed::new(&self.shared.matrix, ids, sent, snapshot, joined);
                landed.answer(owners);
                self.keep(landed);
            }
            // INVARIANT(errors are never cached): who waits is told, and nothing else happens.
            Err(error) => {
                tell(ids.len(), &error);
                let error = DirectoryError::from(&error);
                for reply in owners.into_values().chain(joined.into_values()).flatten() {
                    reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Fills the cache with what came back, as far as it is true at what is applied.
    pub(super) fn keep(&mut self, landed: Landed) {
        match self.mirror.keep(&landed.entries, &landed.read) {
            Verdict::Keep(kept) => landed.answer_joined(Some(&kept)),
            Verdict::Discard => landed.answer_joined(None),
            Verdict::Wait => self.wait_for_feed(Ahead::Accounts(landed)),
        }
    }
}

/// The present as the feed knows it.
#[derive(Debug, Clone, Copy)]
struct Present {
    revision: Revision,
    primary: bool,
}

/// Loads accounts. A state older than `known`, which was seen before, comes from a server that is
/// behind, and a standby's is no better where a primary is known: the calls that wait may refuse
/// either, and the store is told.
async fn load(
    store: Arc<dyn Store>,
    known: Option<Present>,
    ids: &[AccountId],
) -> Result<Snapshot, StoreError> {
    let snapshot = store.load(ids).await?;
    let is_worse = |known: Present| {
        snapshot.at.head.revision < known.revision || (known.primary && !snapshot.at.primary)
    };
    if known.is_some_and(is_worse) {
        store.suspect();
    }
    Ok(snapshot)
}

/// In an outage every miss fails: that there is one is told by the store and by the feed, once.
fn tell(accounts: usize, error: &StoreError) {
    match error {
        StoreError::Unavailable(_) => tracing::debug!(accounts, %error, "cannot load accounts"),
        StoreError::ReadOnly(_) | StoreError::Schema(_) | StoreError::Broken { .. } => {
            tracing::warn!(accounts, %error, "cannot load accounts");
        }
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
