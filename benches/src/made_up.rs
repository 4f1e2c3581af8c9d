//! A store that makes up the accounts and the catalogue that it is asked for, and holds none: what
//! grows in a process that reads from it is its caches.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use portcullis::directory::{Directory, DirectoryConfig};
use portcullis::domain::{AccountId, Head, SettingMap};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{
    AccountRecord, CatalogSnapshot, Import, ImportError, ImportOutcome, ImportProgress, Poll,
    Signal, Snapshot, State, Store, StoreError, StoredPolicy,
};

use crate::world;

/// Its history is that of a store without anything.
#[derive(Debug, Default)]
struct MadeUp {
    partners: usize,
    locations: usize,
    history: MemoryStore,
}

/// A directory over such a store, with the task that keeps it true.
#[must_use]
pub fn directory(partners: usize, locations: usize) -> Directory {
    let store = Arc::new(MadeUp {
        partners,
        locations,
        history: MemoryStore::default(),
    });
    let (directory, keep_true) = Directory::new(store, world::matrix(), DirectoryConfig::default());
    tokio::spawn(keep_true);
    directory
}

fn stored(partner: usize) -> StoredPolicy {
    let policy = world::policy(partner);
    StoredPolicy {
        settings: policy.settings,
        markets: policy.markets.into_iter().map(|line| line.value).collect(),
    }
}

#[async_trait]
impl Store for MadeUp {
    async fn load(&self, accounts: &[AccountId]) -> Result<Snapshot, StoreError> {
        let mut snapshot = self.history.load(&[]).await?;
        for id in accounts {
            let number = id.as_str().strip_prefix("account-");
            let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) else {
                continue;
            };
            let account = world::managed(number, self.partners);
            let partner = account.partner().unwrap().clone();
            let policy = || stored(number % self.partners);
            snapshot.policies.entry(partner).or_insert_with(policy);
            let settings = SettingMap::new();
            let record = AccountRecord::Sound { account, settings };
            snapshot.accounts.insert(id.clone(), record);
        }
        Ok(snapshot)
    }

    async fn load_catalog(&self) -> Result<CatalogSnapshot, StoreError> {
        let location = |number| world::location(number, world::OFFERS);
        Ok(CatalogSnapshot {
            markets: world::markets(),
            locations: (0..self.locations).map(location).collect(),
            ..self.history.load_catalog().await?
        })
    }

    async fn poll(&self, seen: Option<Head>) -> Result<Poll, StoreError> {
        self.history.poll(seen).await
    }

    fn signals(&self) -> BoxStream<'static, Signal> {
        self.history.signals()
    }

    async fn announce_matrix(&self, digest: &str) -> Result<(), StoreError> {
        self.history.announce_matrix(digest).await
    }

    async fn import(
        &self,
        import: &Import,
        progress: &(dyn Fn(ImportProgress) + Send + Sync),
    ) -> Result<ImportOutcome, ImportError> {
        self.history.import(import, progress).await
    }

    async fn export(&self) -> Result<State, StoreError> {
        self.history.export().await
    }
}
