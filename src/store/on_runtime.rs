//! A store that is asked on one runtime, wherever the question comes from.
//!
//! Connections to a database are driven by tasks of the runtime that made them. Calls of
//! PolicyService come on the threads that serve, and some beside them on threads that have no IO and
//! are kept busy by large catalogues: made there, a connection would wait with them or not work at
//! all.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::{Account, AccountId};

use super::{
    AccountTrace, AccountsPage, ChangeRecord, ChangesPage, PolicyStore, Reading, Scope, StoreError,
    WriteError, WriteRequest, Written,
};

/// A store, and where it is asked.
#[derive(Debug)]
pub struct OnRuntime<S> {
    store: Arc<S>,
    runtime: Handle,
}

impl<S: PolicyStore + 'static> OnRuntime<S> {
    /// `store`, asked on `runtime` alone.
    pub fn new(store: Arc<S>, runtime: Handle) -> Self {
        Self { store, runtime }
    }

    /// A read. Nobody waits for one whose caller has left, so it ends with the waiting.
    async fn read_there<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match AbortOnDropHandle::new(self.runtime.spawn(read)).await {
            Ok(answer) => answer,
            Err(error) => Err(given_up(error)),
        }
    }
}

fn given_up(error: JoinError) -> StoreError {
    StoreError::Broken {
        what: "a read was given up".to_owned(),
        source: Some(Box::new(error)),
    }
}

#[async_trait]
impl<S: PolicyStore + 'static> PolicyStore for OnRuntime<S> {
    /// A task by itself, which goes on when its caller leaves.
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        let store = Arc::clone(&self.store);
        let written = self
            .runtime
            .spawn(async move { store.write(request).await });
        match written.await {
            Ok(answer) => answer,
            Err(error) => Err(WriteError::OutcomeUnknown(Box::new(error))),
        }
    }

    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
        let (store, scope) = (Arc::clone(&self.store), scope.clone());
        self.read_there(async move { store.read(&scope).await })
            .await
    }

    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        let (store, page) = (Arc::clone(&self.store), page.clone());
        self.read_there(async move { store.list_accounts(&page).await })
            .await
    }

    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        let (store, page) = (Arc::clone(&self.store), page.clone());
        self.read_there(async move { store.list_changes(&page).await })
            .await
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        let (store, account) = (Arc::clone(&self.store), account.clone());
        self.read_there(async move { store.trace(&account).await })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;
    use crate::domain::{AccountKind, FeatureMatrix};
    use crate::store::memory::MemoryStore;
    use crate::store::{Selection, Write};

    /// A store that needs IO, and writes when it is let.
    #[derive(Debug, Default)]
    struct Remote {
        store: MemoryStore,
        go: Notify,
        written: Notify,
    }

    #[async_trait]
    impl PolicyStore for Remote {
        async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
            self.go.notified().await;
            let written = self.store.write(request).await;
            self.written.notify_one();
            written
        }

        async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
            // Panics on a runtime that has none.
            let io = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            assert!(io.is_ok());
            self.store.read(scope).await
        }

        async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
            self.store.list_accounts(page).await
        }

        async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
            self.store.list_changes(page).await
        }

        async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
            self.store.trace(account).await
        }
    }

    fn put(id: &AccountId) -> Arc<WriteRequest> {
        Arc::new(WriteRequest {
            write: Write::PutAccount(Account {
                id: id.clone(),
                kind: AccountKind::Direct,
                display_name: String::new(),
            }),
            matrix: Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap()),
            actor: String::new(),
            caller: String::new(),
            comment: String::new(),
            expected: None,
            idempotency: None,
        })
    }

    #[tokio::test]
    async fn a_write_goes_on_when_its_caller_leaves() {
        let remote = Arc::new(Remote::default());
        let store = OnRuntime::new(Arc::clone(&remote), Handle::current());
        let id = AccountId::try_from("acme").unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(1), store.write(put(&id)));
        assert!(waiting.await.is_err());
        remote.go.notify_one();
        remote.written.notified().await;
        assert!(store.trace(&id).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn it_is_asked_where_io_is_from_where_there_is_none() {
        let store = OnRuntime::new(Arc::new(Remote::default()), Handle::current());
        let elsewhere = std::thread::spawn(move || {
            let without_io = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let scope = Scope {
                accounts: Selection::All,
                ..Scope::default()
            };
            without_io.block_on(store.read(&scope)).unwrap()
        });
        let reading = tokio::task::spawn_blocking(move || elsewhere.join().unwrap());
        assert!(reading.await.unwrap().state.accounts.is_empty());
    }
}
