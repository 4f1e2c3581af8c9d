//! A load that has come back, read against the matrix, and those who wait for it.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use crate::clock::Moment;
use crate::domain::{AccountId, AccountProfile, FeatureMatrix, PartnerPolicy, Settings};
use crate::store::{AccountRecord, ReadAt, Snapshot};

use super::Entry;
use super::mirror::Kept;
use super::profile::Profile;
use super::request::{Loaded, Reply, Standing};

/// Who waits for the accounts of one load.
pub(super) type Waiters = HashMap<AccountId, Vec<Reply>>;

/// A load of accounts that has come back, for all that it found.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) entries: Vec<(AccountId, Entry)>,
    pub(super) read: ReadAt,
    sent: Moment,
    joined: Waiters,
}

impl Landed {
    pub(super) fn new(
        matrix: &FeatureMatrix,
        ids: Vec<AccountId>,
        sent: Moment,
        snapshot: Snapshot,
        joined: Waiters,
    ) -> Self {
        let read = snapshot.at;
        let entries = compile(matrix, ids, snapshot);
        Self {
            entries,
            read,
            sent,
            joined,
        }
    }

    fn loaded(&self, entry: &Entry, standing: Standing) -> Loaded {
        Loaded {
            entry: entry.clone(),
            read: self.read,
            sent: self.sent,
            standing,
        }
    }

    /// Answers those who sent it.
    pub(super) fn answer(&self, mut owners: Waiters) {
        for (id, entry) in &self.entries {
            for reply in owners.remove(id).unwrap_or_default() {
                reply.send(Ok(self.loaded(entry, Standing::Own)));
            }
        }
    }

    /// Answers those who joined it, by what was kept of it.
    pub(super) fn answer_joined(mut self, kept: Option<&Kept>) {
        let mut joined = mem::take(&mut self.joined);
        for (place, (id, entry)) in self.entries.iter().enumerate() {
            let is_whole = |kept: &&Kept| kept.whole.get(place).is_some_and(|whole| *whole);
            let standing = match kept.filter(is_whole) {
                Some(kept) => Standing::JoinedKept(kept.stamp),
                None => Standing::JoinedDiscarded,
            };
            for reply in joined.remove(id).unwrap_or_default() {
                reply.send(Ok(self.loaded(entry, standing)));
            }
        }
    }
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
                let profile = AccountProfile { account, settings };
                Entry::new(Profile::loaded(profile), policy)
            }
            Some(AccountRecord::Broken) => Entry::Inconsistent,
            None => Entry::Unknown,
        };
        (id, entry)
    };
    ids.into_iter().map(entry).collect()
}
