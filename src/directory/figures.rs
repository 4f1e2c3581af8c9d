//! What operators want to know of the caches and the feed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::Lookup;
use super::{Directory, DirectoryConfig};
use crate::clock::Moment;
use crate::domain::Revision;
use crate::metrics::Counters;

/// What is counted: each way that a look-up ends, at its number, and then these.
const LOOKUPS: usize = 5;
const CATALOG_FOUND: usize = LOOKUPS;
const CATALOG_MISSING: usize = CATALOG_FOUND + 1;
const SHED_WAITING: usize = CATALOG_MISSING + 1;
const SHED_ALONE: usize = SHED_WAITING + 1;
const COUNTS: usize = SHED_ALONE + 1;

/// What happened, counted.
#[derive(Debug)]
pub(super) struct Counts(Counters);

impl Counts {
    pub(super) fn new() -> Self {
        Self(Counters::new(COUNTS))
    }

    pub(super) fn looked_up(&self, lookup: Lookup) {
        self.0.add_one(lookup as usize);
    }

    pub(super) fn looked_for_catalog(&self, was_there: bool) {
        self.0.add_one(match was_there {
            true => CATALOG_FOUND,
            false => CATALOG_MISSING,
        });
    }

    pub(super) fn shed_waiting(&self) {
        self.0.add_one(SHED_WAITING);
    }

    pub(super) fn shed_alone(&self) {
        self.0.add_one(SHED_ALONE);
    }
}

/// The caches and the feed at one time.
#[derive(Debug)]
pub struct Figures {
    /// The revision that decisions are true at.
    pub revision: Revision,
    /// How long ago the store has confirmed that; since the start, where it has not yet.
    pub lag: Duration,
    /// Whether the store says by itself that something has changed.
    pub is_listening: bool,
    /// From this age on answers are stale.
    pub stale_after: Duration,
    /// From this age on there are none.
    pub max_stale: Duration,
    /// The caches.
    pub caches: [CacheFigures; 4],
    /// Calls that were shed, by what there was no more of.
    pub shed: [(&'static str, u64); 2],
}

/// One cache.
#[derive(Debug)]
pub struct CacheFigures {
    /// What it holds: `accounts`, `partners`, `unknown`, `catalog`.
    pub name: &'static str,
    /// Look-ups that found what they looked for, true at the revision of their answer.
    pub hits: u64,
    /// Those that did not.
    pub misses: u64,
    /// How many entries there are.
    pub entries: u64,
    /// How many there may be.
    pub capacity: u64,
}

impl Directory {
    /// What there is to know of it now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let shared = &*self.shared;
        let DirectoryConfig {
            stale_after,
            max_stale,
            max_cached_accounts,
            max_cached_partners,
            max_cached_unknown,
            ..
        } = shared.config;
        let Counts(counts) = &shared.counts;
        let looked_up = |lookups: &[Lookup]| {
            let totals = lookups.iter().map(|lookup| counts.total(*lookup as usize));
            totals.sum::<u64>()
        };
        let [accounts, partners, unknown, catalogs] = shared.caches.entries();
        let now = Moment::now();
        let view = shared.published.view();
        Figures {
            revision: view.applied.revision(),
            lag: now.since(shared.published.confirmed().unwrap_or(shared.began)),
            is_listening: shared.is_listening.load(Ordering::Relaxed),
            stale_after,
            max_stale,
            caches: [
                CacheFigures {
                    name: "accounts",
                    hits: looked_up(&[
                        Lookup::Account,
                        Lookup::AccountAndPolicy,
                        Lookup::AccountAlone,
                    ]),
                    misses: looked_up(&[Lookup::Unknown, Lookup::Nothing]),
                    entries: accounts,
                    capacity: max_cached_accounts,
                },
                CacheFigures {
                    name: "partners",
                    hits: looked_up(&[Lookup::AccountAndPolicy]),
                    misses: looked_up(&[Lookup::AccountAlone]),
                    entries: partners,
                    capacity: max_cached_partners,
                },
                CacheFigures {
                    name: "unknown",
                    hits: looked_up(&[Lookup::Unknown]),
                    misses: looked_up(&[Lookup::Nothing]),
                    entries: unknown,
                    capacity: max_cached_unknown,
                },
                CacheFigures {
                    name: "catalog",
                    hits: counts.total(CATALOG_FOUND),
                    misses: counts.total(CATALOG_MISSING),
                    entries: catalogs,
                    capacity: 1,
                },
            ],
            shed: [
                ("store_waiting", counts.total(SHED_WAITING)),
                ("store_alone", counts.total(SHED_ALONE)),
            ],
        }
    }
}
