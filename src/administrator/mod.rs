//! The use cases of PolicyService: read what is stored, write, and tell what a write would do or
//! where a decision comes from.
//!
//! Nothing is decided here. What may be written is judged by [`plan_write`](crate::store::plan_write),
//! and preview and explain ask the very functions that decide:
//! [`decide()`](crate::domain::decide()) and [`catalog_access`](crate::domain::catalog_access).

mod explain;
mod preview;
mod views;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, FeatureMatrix, Revision, SettingMap,
};
use crate::store::{
    AccountsPage, ChangeRecord, ChangeSubject, ChangesPage, Now, PolicyStore, Reading, Scope,
    Selection, SettingChanges, StoreError, Write, WriteError, WriteRefusal, WriteRequest, Written,
    matrix_digest,
};

pub use explain::{Explained, Explanation};
pub use preview::{DecisionChange, MAX_CHANGES, Preview};
pub use views::{AccountView, Circumstances, Paged, PolicyUpdate, PolicyView};

/// How many previews are worked out at once.
const PREVIEWS_AT_ONCE: usize = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What was asked for is not there or may not be, or the store failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The account cannot be judged.
    #[error("account `{0}` cannot be judged: its partner is missing or is not a partner")]
    AccountInconsistent(AccountId),
}

impl From<WriteRefusal> for Refusal {
    fn from(refusal: WriteRefusal) -> Self {
        Self::Write(refusal.into())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

/// Looks after what is stored.
#[derive(Debug, Clone)]
pub struct Administrator {
    store: Arc<dyn PolicyStore>,
    matrix: Arc<FeatureMatrix>,
    digest: Arc<str>,
    /// Who may work out a preview: a few at once, for each holds a partner's accounts in memory, and
    /// goes on when its caller has left.
    previews: Arc<Semaphore>,
}

impl Administrator {
    /// One over `store`, where the settings of `matrix` are made.
    #[must_use]
    pub fn new(store: Arc<dyn PolicyStore>, matrix: Arc<FeatureMatrix>) -> Self {
        let digest = matrix_digest(&matrix).into();
        Self {
            store,
            matrix,
            digest,
            previews: Arc::new(Semaphore::new(PREVIEWS_AT_ONCE)),
        }
    }

    /// The matrix.
    #[must_use]
    pub fn matrix(&self) -> &FeatureMatrix {
        &self.matrix
    }

    /// What tells the matrix from one that decides otherwise.
    #[must_use]
    pub fn matrix_digest(&self) -> &str {
        &self.digest
    }

    /// Updates a partner's policy; what it is then.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn update_policy(
        &self,
        partner: AccountId,
        update: PolicyUpdate,
        by: Circumstances,
    ) -> Result<PolicyView, Refusal> {
        let written = self.write(update.of(partner.clone()), by).await?;
        match written.now {
            Now::Policy { settings, markets } => Ok(PolicyView {
                partner,
                settings: self.known(settings),
                markets,
                revision: written.revision,
            }),
            Now::Settings(_) | Now::Untold => Err(untold()),
        }
    }

    /// Updates an account's own settings; what they are then, and the revision.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn update_settings(
        &self,
        account: AccountId,
        settings: SettingChanges,
        by: Circumstances,
    ) -> Result<(SettingMap, Revision), Refusal> {
        let write = Write::AccountSettings { account, settings };
        let written = self.write(write, by).await?;
        match written.now {
            Now::Settings(settings) => Ok((self.known(settings), written.revision)),
            Now::Policy { .. } | Now::Untold => Err(untold()),
        }
    }

    /// Writes; the revision that it made, or that of its subject where it changed nothing.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn write(&self, write: Write, by: Circumstances) -> Result<Written, Refusal> {
        let request = Arc::new(self.request(write, by));
        Ok(self.store.write(request).await?)
    }

    /// A partner's policy.
    ///
    /// # Errors
    /// [`Refusal`]: PARTNER_UNKNOWN, or the store's.
    pub async fn policy(&self, partner: &AccountId) -> Result<PolicyView, Refusal> {
        let mut reading = self.store.read(&one_account(partner)).await?;
        check_partner(&reading, partner)?;
        let revision = reading.revision_of(&ChangeSubject::Partner(partner.clone()));
        let policy = reading.state.policies.remove(partner).unwrap_or_default();
        Ok(PolicyView {
            partner: partner.clone(),
            settings: self.known(policy.settings),
            markets: policy.markets,
            revision,
        })
    }

    /// An account with its own settings.
    ///
    /// # Errors
    /// [`Refusal`]: ACCOUNT_UNKNOWN, or the store's.
    pub async fn account(&self, id: &AccountId) -> Result<AccountView, Refusal> {
        let mut reading = self.store.read(&one_account(id)).await?;
        let revision = reading.revision_of(&ChangeSubject::Account(id.clone()));
        let account = reading.state.accounts.remove(id);
        let account = account.ok_or_else(|| WriteRefusal::AccountUnknown(id.clone()))?;
        let settings = reading.state.account_settings.remove(id);
        Ok(AccountView {
            account,
            settings: self.known(settings.unwrap_or_default()),
            revision,
        })
    }

    /// A page of accounts.
    ///
    /// # Errors
    /// [`Refusal`]: PARTNER_UNKNOWN, or the store's.
    pub async fn accounts(&self, page: &AccountsPage) -> Result<Paged<Account>, Refusal> {
        if let Some(partner) = &page.partner {
            let reading = self.store.read(&one_account(partner)).await?;
            check_partner(&reading, partner)?;
        }
        let one_more = AccountsPage {
            limit: page.limit.saturating_add(1),
            ..page.clone()
        };
        let found = self.store.list_accounts(&one_more).await?;
        Ok(Paged::up_to(page.limit, found))
    }

    /// All billing markets by code, and the revision of the catalogue.
    ///
    /// # Errors
    /// [`Refusal`]: the store's.
    pub async fn markets(&self) -> Result<(Vec<BillingMarket>, Revision), Refusal> {
        let scope = Scope {
            markets: true,
            ..Scope::default()
        };
        let reading = self.store.read(&scope).await?;
        let revision = reading.revision_of(&ChangeSubject::Catalog);
        Ok((reading.state.markets.into_values().collect(), revision))
    }

    /// A page of the history.
    ///
    /// # Errors
    /// [`Refusal`]: the store's.
    pub async fn changes(&self, page: &ChangesPage) -> Result<Paged<ChangeRecord>, Refusal> {
        let one_more = ChangesPage {
            limit: page.limit.saturating_add(1),
            ..page.clone()
        };
        let mut found = Paged::up_to(page.limit, self.store.list_changes(&one_more).await?);
        // A page that ends before its limit has ended the history, or was long enough in bytes.
        if let Some(last) = found.items.last().filter(|_| !found.more) {
            let next = ChangesPage {
                after: last.revision,
                limit: 1,
                limit_bytes: 0,
                ..page.clone()
            };
            found.more = !self.store.list_changes(&next).await?.is_empty();
        }
        Ok(found)
    }

    /// What an update of a partner's policy would do. It is worked out beside the threads that
    /// serve: a partner may have a hundred thousand accounts.
    ///
    /// # Errors
    /// [`Refusal`], as the update would be refused.
    pub async fn preview(
        &self,
        partner: AccountId,
        update: PolicyUpdate,
        by: Circumstances,
    ) -> Result<Preview, Refusal> {
        let scope = Scope {
            accounts: Selection::from_iter([partner.clone()]),
            managed_by: [partner.clone()].into(),
            markets: true,
            locations: Selection::All,
            ..Scope::default()
        };
        let previews = Arc::clone(&self.previews);
        let turn = previews.acquire_owned().await;
        let turn = turn.map_err(|closed| broken("no preview is worked out any more", closed))?;
        let reading = self.store.read(&scope).await?;
        let request = self.request(update.of(partner.clone()), by);
        let worked_out = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            preview::work_out(reading, &partner, &request)
        });
        match worked_out.await {
            Ok(preview) => preview,
            Err(error) => Err(broken("a preview was not worked out to its end", error)),
        }
    }

    /// Where the decision on a feature for an account comes from.
    ///
    /// # Errors
    /// [`Refusal`]: FEATURE_UNKNOWN before ACCOUNT_UNKNOWN, ACCOUNT_INCONSISTENT, or the store's.
    pub async fn explain(
        &self,
        account: &AccountId,
        feature: &str,
    ) -> Result<Explanation, Refusal> {
        let index = self.matrix.find(feature);
        let unknown = || WriteRefusal::FeatureUnknown(crate::domain::quote(feature));
        let index = index.ok_or_else(unknown)?;
        let trace = self.store.trace(account).await?;
        let trace = trace.ok_or_else(|| WriteRefusal::AccountUnknown(account.clone()))?;
        explain::explain(&self.matrix, trace, index)
    }

    fn request(&self, write: Write, by: Circumstances) -> WriteRequest {
        let Circumstances {
            actor,
            caller,
            comment,
            expected,
            idempotency,
        } = by;
        WriteRequest {
            write,
            matrix: Arc::clone(&self.matrix),
            actor,
            caller,
            comment,
            expected,
            idempotency,
        }
    }

    /// The settings of features that the matrix has.
    fn known(&self, mut settings: SettingMap) -> SettingMap {
        settings.retain(|feature, _| self.matrix.find(feature.as_str()).is_some());
        settings
    }
}

fn one_account(id: &AccountId) -> Scope {
    Scope {
        accounts: Selection::from_iter([id.clone()]),
        ..Scope::default()
    }
}

fn check_partner(reading: &Reading, id: &AccountId) -> Result<(), WriteRefusal> {
    match reading.state.accounts.get(id).map(|account| &account.kind) {
        Some(AccountKind::Partner) => Ok(()),
        Some(AccountKind::Direct | AccountKind::Managed { .. }) | None => {
            Err(WriteRefusal::PartnerUnknown(id.clone()))
        }
    }
}

/// A store that did not say what its own promise says.
fn untold() -> Refusal {
    let what = "the store did not tell what is set after a write".to_owned();
    StoreError::Broken { what, source: None }.into()
}

fn broken(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Refusal {
    let broken = StoreError::Broken {
        what: what.to_owned(),
        source: Some(Box::new(source)),
    };
    broken.into()
}
