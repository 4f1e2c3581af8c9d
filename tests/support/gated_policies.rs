//! What PolicyService asks of a store that a test can hold, take down and cut off while it commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use portcullis::domain::{Account, AccountId};
use portcullis::store::{
    AccountTrace, AccountsPage, ChangeRecord, ChangesPage, PolicyStore, Reading, Scope, StoreError,
    WriteError, WriteRequest, Written,
};

use super::gate::Gate;

#[async_trait]
impl PolicyStore for Gate {
    async fn write(&self, request: Arc<WriteRequest>) -> Result<Written, WriteError> {
        self.ask(|_| {})?;
        if self.read_only.load(Ordering::SeqCst) {
            return Err(StoreError::ReadOnly(None).into());
        }
        let written = self.inner().write(request).await?;
        let _held = self.hold.read().await;
        // It is written, and nobody hears of it.
        match self.cut.swap(false, Ordering::SeqCst) {
            true => Err(WriteError::OutcomeUnknown("the connection is gone".into())),
            false => Ok(written),
        }
    }

    async fn read(&self, scope: &Scope) -> Result<Reading, StoreError> {
        self.ask(|_| {})?;
        self.inner().read(scope).await
    }

    async fn list_accounts(&self, page: &AccountsPage) -> Result<Vec<Account>, StoreError> {
        self.ask(|_| {})?;
        self.inner().list_accounts(page).await
    }

    async fn list_changes(&self, page: &ChangesPage) -> Result<Vec<ChangeRecord>, StoreError> {
        self.ask(|_| {})?;
        self.inner().list_changes(page).await
    }

    async fn trace(&self, account: &AccountId) -> Result<Option<AccountTrace>, StoreError> {
        self.ask(|_| {})?;
        self.inner().trace(account).await
    }
}
