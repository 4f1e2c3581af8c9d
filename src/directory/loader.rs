//! The one task that loads, fills the caches and empties them.
//!
//! Calls send it what they miss. Misses of one account join one load; misses that arrive while
//! loads are under way gather and travel in the next. Because one task does all of it, no load can
//! be overtaken by an invalidation between its look at the ledger and its insert.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::clock::Moment;
use crate::domain::{
    AccountId, AccountProfile, Catalog, FeatureMatrix, Head, PartnerPolicy, Settings,
};
use crate::store::{
    AccountRecord, CatalogSnapshot, MAX_LOAD, Poll, ReadAt, Snapshot, Store, StoreError,
};

use super::cache::VersionedCatalog;
use super::ledger::{Ledger, Seen, Verdict};
use super::stamp::Stamp;
use super::{DirectoryError, Entry, Shared};

/// How long a load that is ahead of the feed waits for the feed before it is given up.
const KEEP_WITHIN: Duration = Duration::from_secs(1);

/// What a call asks of the loader.
#[derive(Debug)]
pub(super) enum Request {
    /// These accounts, each by the next load or by one that is under way.
    Load(Vec<Wanted>),
    /// These accounts, at most [`MAX_LOAD`], by a load of their own.
    LoadAlone {
        ids: Vec<AccountId>,
        reply: oneshot::Sender<Result<LoadedAlone, DirectoryError>>,
    },
    /// A catalogue that is true at what is applied, in the cache; of this version, where the call
    /// has read which one there is.
    Catalog {
        version: Option<Head>,
        reply: oneshot::Sender<Result<(), DirectoryError>>,
    },
    /// One poll that is sent after this; it is answered whether that succeeds or not.
    Nudge(oneshot::Sender<()>),
}

/// One account that a call waits for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: AccountId,
    pub(super) reply: Reply,
}

type Reply = oneshot::Sender<Result<Loaded, DirectoryError>>;

/// What a load found for one account.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) entry: Entry,
    pub(super) read: ReadAt,
    /// The instant before the load was sent.
    pub(super) sent: Moment,
    pub(super) standing: Standing,
}

/// What a load of a call's own found.
#[derive(Debug)]
pub(super) struct LoadedAlone {
    /// In the order of the ids.
    pub(super) entries: Vec<Entry>,
    pub(super) read: ReadAt,
    /// The instant before the load was sent.
    pub(super) sent: Moment,
}

/// How a load relates to the call that gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was sent after the call asked.
    Own,
    /// It was under way before, and was found true at this stamp.
    JoinedKept(Stamp),
    /// It was under way before, and may be of a state that is past.
    JoinedDiscarded,
}

/// Who waits for the accounts of one load.
type Waiters = HashMap<AccountId, Vec<Reply>>;

#[derive(Debug)]
struct Flight {
    owners: Waiters,
    joined: Waiters,
}

/// A load of accounts that has come back, for all that it found.
#[derive(Debug)]
struct Landed {
    entries: Vec<(AccountId, Entry)>,
    read: ReadAt,
    sent: Moment,
    joined: Waiters,
}

/// What came back and is ahead of the feed.
#[derive(Debug)]
enum Ahead {
    Accounts(Landed),
    Catalog {
        catalog: VersionedCatalog,
        read: ReadAt,
    },
}

/// What the store answered.
enum Answer {
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
    },
    Catalog(Result<CatalogSnapshot, StoreError>),
    Poll {
        sent: Moment,
        result: Result<Poll, StoreError>,
    },
}

pub(super) struct Loader {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    ledger: Ledger,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,

    /// Misses that no load was sent for yet.
    gathering: Waiters,
    flights: HashMap<u64, Flight>,
    /// Which flight an account is on.
    on_flight: HashMap<AccountId, u64>,
    last_flight: u64,

    catalog_waiters: Vec<oneshot::Sender<Result<(), DirectoryError>>>,
    catalog_loading: bool,

    /// Loads that are ahead of the feed, with the time at which each is given up.
    ahead: Vec<(Instant, Ahead)>,

    next_poll: Instant,
    polling: bool,
    /// Wait for a poll that is sent after they asked.
    nudges: Vec<oneshot::Sender<()>>,
    /// Wait for the poll that is under way.
    nudges_polling: Vec<oneshot::Sender<()>>,
}

impl Loader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            store,
            shared,
            requests,
            ledger: Ledger::default(),
            under_way: FuturesUnordered::new(),
            gathering: HashMap::new(),
            flights: HashMap::new(),
            on_flight: HashMap::new(),
            last_flight: 0,
            catalog_waiters: Vec::new(),
            catalog_loading: false,
            ahead: Vec::new(),
            next_poll: Instant::now(),
            polling: false,
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
                () = sleep_until(self.next_poll), if !self.polling => self.poll(),
                () = sleep_until(give_up) => self.give_up(),
            }
            while let Ok(request) = self.requests.try_recv() {
                self.take(request);
            }
            self.depart();
            if !self.polling && !self.nudges.is_empty() {
                self.poll();
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Load(wanted) => {
                for Wanted { id, reply } in wanted {
                    if let Some(loaded) = self.cached(&id) {
                        let _ = reply.send(Ok(loaded));
                        continue;
                    }
                    let flight = self
                        .on_flight
                        .get(&id)
                        .and_then(|flight| self.flights.get_mut(flight));
                    let waiters = flight.map_or(&mut self.gathering, |flight| &mut flight.joined);
                    waiters.entry(id).or_default().push(reply);
                }
            }
            Request::LoadAlone { ids, reply } => {
                let (store, sent) = (Arc::clone(&self.store), Moment::now());
                self.under_way.push(Box::pin(async move {
                    let result = store.load(&ids).await;
                    Answer::Alone {
                        ids,
                        sent,
                        result,
                        reply,
                    }
                }));
            }
            Request::Catalog { version, reply } => self.want_catalog(version, reply),
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
        Some(Loaded { entry, read: self.ledger.present()?, sent, standing: Standing::JoinedKept(view.applied) })
    }

    /// Sends what has gathered, as far as loads may be under way.
    fn depart(&mut self) {
        // A caller that left waits no more; what nobody waits for need not be loaded.
        if !self.gathering.is_empty() && self.flights.len() < self.shared.config.max_loads {
            self.gathering
                .retain(|_, replies| replies.iter().any(|reply| !reply.is_closed()));
        }
        while !self.gathering.is_empty() && self.flights.len() < self.shared.config.max_loads {
            let ids: Vec<_> = self.gathering.keys().take(MAX_LOAD).cloned().collect();
            let owners = ids
                .iter()
                .filter_map(|id| self.gathering.remove_entry(id))
                .collect();
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
            let (store, sent) = (Arc::clone(&self.store), Moment::now());
            self.under_way.push(Box::pin(async move {
                let result = store.load(&ids).await;
                Answer::Accounts {
                    flight,
                    ids,
                    sent,
                    result,
                }
            }));
        }
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
            } => match result {
                Ok(snapshot) => {
                    let landed = self.landed(ids, sent, snapshot, HashMap::new());
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
                    tracing::warn!(accounts = ids.len(), %error, "cannot load accounts");
                    let _ = reply.send(Err(DirectoryError::from(&error)));
                }
            },
            Answer::Catalog(result) => self.land_catalog(result),
            Answer::Poll { sent, result } => self.land_poll(sent, result),
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
                let landed = self.landed(ids, sent, snapshot, joined);
                landed.answer(owners, Standing::Own);
                self.keep(landed);
            }
            // INVARIANT(errors are never cached): who waits is told, and nothing else happens.
            Err(error) => {
                tracing::warn!(accounts = ids.len(), %error, "cannot load accounts");
                let error = DirectoryError::from(&error);
                for reply in owners.into_values().chain(joined.into_values()).flatten() {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn landed(
        &self,
        ids: Vec<AccountId>,
        sent: Moment,
        snapshot: Snapshot,
        joined: Waiters,
    ) -> Landed {
        let read = snapshot.at;
        let entries = compile(&self.shared.matrix, ids, snapshot);
        Landed {
            entries,
            read,
            sent,
            joined,
        }
    }

    /// Fills the cache with what came back, if it is true at what is applied.
    fn keep(&mut self, landed: Landed) {
        match self.ledger.judge(&landed.read) {
            Verdict::Keep(stamp) => {
                for (id, entry) in &landed.entries {
                    self.shared.caches.keep(id, entry, stamp);
                }
                landed.answer_joined(Standing::JoinedKept(stamp));
            }
            Verdict::Discard => landed.answer_joined(Standing::JoinedDiscarded),
            Verdict::Wait => self.wait_for_feed(Ahead::Accounts(landed)),
        }
    }

    fn want_catalog(
        &mut self,
        version: Option<Head>,
        reply: oneshot::Sender<Result<(), DirectoryError>>,
    ) {
        let view = self.shared.published.view();
        let cached = self
            .shared
            .caches
            .catalog()
            .filter(|kept| view.accepts(kept.loaded_at));
        if cached.is_some_and(|kept| version.is_none_or(|version| version == kept.value.version)) {
            let _ = reply.send(Ok(()));
            return;
        }
        self.catalog_waiters.push(reply);
        if !mem::replace(&mut self.catalog_loading, true) {
            let store = Arc::clone(&self.store);
            self.under_way.push(Box::pin(async move {
                Answer::Catalog(store.load_catalog().await)
            }));
        }
    }

    fn land_catalog(&mut self, result: Result<CatalogSnapshot, StoreError>) {
        match result {
            Ok(CatalogSnapshot {
                at,
                markets,
                locations,
            }) => {
                let catalog = Arc::new(Catalog::new(markets, locations));
                self.keep_catalog(
                    VersionedCatalog {
                        version: at.catalog,
                        catalog,
                    },
                    at,
                );
            }
            Err(error) => {
                tracing::warn!(%error, "cannot load the catalogue");
                self.answer_catalog(&Err(DirectoryError::from(&error)));
            }
        }
    }

    fn keep_catalog(&mut self, catalog: VersionedCatalog, read: ReadAt) {
        match self.ledger.judge_catalog(&read) {
            Verdict::Keep(stamp) => {
                self.shared.caches.keep_catalog(catalog, stamp);
                self.answer_catalog(&Ok(()));
            }
            // Who waits looks again, and asks again.
            Verdict::Discard => self.answer_catalog(&Ok(())),
            Verdict::Wait => self.wait_for_feed(Ahead::Catalog { catalog, read }),
        }
    }

    fn answer_catalog(&mut self, answer: &Result<(), DirectoryError>) {
        self.catalog_loading = false;
        for reply in mem::take(&mut self.catalog_waiters) {
            let _ = reply.send(answer.clone());
        }
    }

    /// Puts off what is ahead of the feed until the feed has caught up.
    fn wait_for_feed(&mut self, ahead: Ahead) {
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
    fn give_up(&mut self) {
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

    fn poll(&mut self) {
        self.polling = true;
        self.nudges_polling = mem::take(&mut self.nudges);
        let (store, seen, sent) = (Arc::clone(&self.store), self.ledger.head(), Moment::now());
        self.under_way.push(Box::pin(async move {
            let result = store.poll(seen).await;
            Answer::Poll { sent, result }
        }));
    }

    fn land_poll(&mut self, sent: Moment, result: Result<Poll, StoreError>) {
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

impl Landed {
    fn loaded(&self, entry: &Entry, standing: Standing) -> Loaded {
        Loaded {
            entry: entry.clone(),
            read: self.read,
            sent: self.sent,
            standing,
        }
    }

    fn answer(&self, mut waiters: Waiters, standing: Standing) {
        for (id, entry) in &self.entries {
            for reply in waiters.remove(id).unwrap_or_default() {
                let _ = reply.send(Ok(self.loaded(entry, standing)));
            }
        }
    }

    fn answer_joined(mut self, standing: Standing) {
        let joined = mem::take(&mut self.joined);
        self.answer(joined, standing);
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Reads a snapshot against the matrix: an entry for each id, in their order.
fn compile(
    matrix: &FeatureMatrix,
    ids: Vec<AccountId>,
    snapshot: Snapshot,
) -> Vec<(AccountId, Entry)> {
    let policies: HashMap<AccountId, Arc<PartnerPolicy>> = snapshot
        .policies
        .into_iter()
        .map(|(partner, stored)| {
            let settings = Settings::compile(matrix, &stored.settings);
            (
                partner,
                Arc::new(PartnerPolicy {
                    settings,
                    markets: stored.markets.into_iter().collect(),
                }),
            )
        })
        .collect();
    let mut accounts = snapshot.accounts;
    let entry = |id: AccountId| {
        let entry = match accounts.remove(&id) {
            Some(AccountRecord::Sound { account, settings }) => {
                let policy = account
                    .partner()
                    .and_then(|partner| policies.get(partner))
                    .cloned();
                let settings = Settings::compile(matrix, &settings);
                Entry::new(Arc::new(AccountProfile { account, settings }), policy)
            }
            Some(AccountRecord::Broken) => Entry::Inconsistent,
            None => Entry::Unknown,
        };
        (id, entry)
    };
    ids.into_iter().map(entry).collect()
}
