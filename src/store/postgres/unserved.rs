//! PolicyService over Postgres, which does not serve it yet.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{Account, AccountId};
use crate::store::{
    AccountTrace, AccountsPage, ChangeRecord, ChangesPage, PolicyStore, Reading, Scope, StoreError,
    Unavailable, WriteError, WriteRequest, Written,
};

use super::PostgresStore;

fn not_yet() -> StoreError {
    StoreError::Unavailable(Unavailable::Connection("not yet".to_owned()))
}

#[async_trait]
impl PolicyStore for PostgresStore {
    async fn write(&self, _request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        Err(not_yet().into())
    }

    async fn read(&self, _scope: &Scope) -> Result<Reading, StoreError> {
        Err(not_yet())
    }

    async fn list_accounts(&self, _page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        Err(not_yet())
    }

    async fn list_changes(&self, _page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        Err(not_yet())
    }

    async fn trace(&self, _account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        Err(not_yet())
    }
}
