//! The use cases of AuthorizationService: fetch what a decision needs, decide, answer.
//!
//! Nothing is decided here: each answer is [`decide()`], [`catalog_access`](crate::domain::catalog_access) or [`deliver`] applied to
//! what the [`Directory`] resolved.

mod account_catalog;
mod each_once;

use std::collections::HashMap;

use futures_util::stream::Stream;

use crate::directory::{Consistency, Directory, DirectoryError, Entry, Resolved, WatchEvent};
use crate::domain::{
    Account, AccountId, AccountProfile, Decision, Delivery, FeatureIndex, FeatureKey,
    FeatureMatrix, MarketCode, NotificationKind, PartnerPolicy, Recipients, Revision, Subject,
    decide, deliver,
};

use each_once::EachOnce;

pub use account_catalog::AccountCatalog;

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The matrix has no such feature.
    #[error("there is no feature {feature}")]
    FeatureUnknown {
        /// The key as it was sent, quoted and cut.
        feature: String,
    },
    /// There is no such account.
    #[error("there is no account `{0}`")]
    AccountUnknown(AccountId),
    /// The account cannot be judged.
    #[error("account `{0}` cannot be judged: its partner is missing or is not a partner")]
    AccountInconsistent(AccountId),
    /// There is no such billing market.
    #[error("there is no billing market `{0}`")]
    MarketUnknown(MarketCode),
    /// Neither the account nor a partner of it may receive the notification.
    #[error("account `{0}` may not receive this notification, and has no partner that may")]
    NoRecipient(AccountId),
    /// What a decision needs is not to be had.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// One question of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureCheck<'a> {
    /// The account that it is about.
    pub account: AccountId,
    /// The key of the feature, as it was sent.
    pub feature: &'a str,
}

/// Everything about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFeatures {
    /// The account.
    pub account: Account,
    /// A decision for every feature, by key.
    pub decisions: Vec<(FeatureKey, Decision)>,
}

/// Who is told of a notification.
#[derive(Debug, Default)]
pub struct Routing {
    /// Who is told, for whom.
    pub recipients: Recipients,
    /// The accounts for which nobody is, and why.
    pub unresolved: HashMap<AccountId, Refusal>,
}

/// Answers what accounts may do and see.
#[derive(Debug, Clone)]
pub struct Authorizer {
    directory: Directory,
}

impl Authorizer {
    /// An authorizer that reads from `directory`.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { directory }
    }

    fn matrix(&self) -> &FeatureMatrix {
        self.directory.matrix()
    }

    /// May `account` use `feature`?
    ///
    /// # Errors
    /// [`Refusal`], the feature's before the account's.
    pub async fn check_feature(
        &self,
        account: AccountId,
        feature: &str,
        consistency: Consistency,
    ) -> Result<Resolved<Decision>, Refusal> {
        let feature = self.feature(feature)?;
        let resolved = self.resolve(&account, consistency).await?;
        let (_, subject) = judge(&account, &resolved.value)?;
        Ok(resolved.with(decide(self.matrix(), feature, subject)))
    }

    /// The same for many pairs, in their order. Each account is resolved once; whatever is wrong
    /// with one pair is that pair's refusal.
    ///
    /// # Errors
    /// [`DirectoryError`] where the accounts could not be resolved: then there is no answer at all.
    pub async fn check_features(
        &self,
        checks: Vec<FeatureCheck<'_>>,
        consistency: Consistency,
    ) -> Result<Resolved<Vec<Result<Decision, Refusal>>>, DirectoryError> {
        let mut accounts = EachOnce::with_capacity(checks.len());
        let questions: Vec<_> = checks
            .into_iter()
            .map(|FeatureCheck { account, feature }| {
                let feature = self.feature(feature)?;
                Ok((feature, accounts.place(account)))
            })
            .collect();

        let ids = accounts.into_ids();
        let resolved = self.directory.resolve(&ids, consistency).await?;
        let answer = |question: Result<(FeatureIndex, usize), Refusal>| {
            let (feature, place) = question?;
            let (Some(id), Some(entry)) = (ids.get(place), resolved.value.get(place)) else {
                return Err(unresolved());
            };
            Ok(decide(self.matrix(), feature, judge(id, entry)?.1))
        };
        let decisions = questions.into_iter().map(answer).collect();
        Ok(resolved.with(decisions))
    }

    /// Who `account` is, and a decision for every feature.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn list_features(
        &self,
        account: AccountId,
        consistency: Consistency,
    ) -> Result<Resolved<AccountFeatures>, Refusal> {
        let resolved = self.resolve(&account, consistency).await?;
        let (profile, subject) = judge(&account, &resolved.value)?;
        let decision = |(index, row): (FeatureIndex, &crate::domain::FeatureRow)| {
            (row.key.clone(), decide(self.matrix(), index, subject))
        };
        let decisions = self.matrix().features().map(decision).collect();
        Ok(resolved.with(AccountFeatures {
            account: profile.account.clone(),
            decisions,
        }))
    }

    /// The catalogue as `account` may see it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn catalog(
        &self,
        account: AccountId,
        consistency: Consistency,
    ) -> Result<Resolved<AccountCatalog>, Refusal> {
        let resolved = self
            .directory
            .resolve_with_catalog(&account, consistency)
            .await?;
        let (revision, stale) = (resolved.revision, resolved.stale);
        let (entry, catalog) = resolved.value;
        judge(&account, &entry)?;
        let (Entry::Known { profile, policy }, Some(catalog)) = (entry, catalog) else {
            return Err(unresolved());
        };
        let value = AccountCatalog::new(self.directory.shared_matrix(), profile, policy, catalog);
        Ok(Resolved {
            value,
            revision,
            stale,
        })
    }

    /// The changes after a revision, or those from now on, as they are made.
    ///
    /// # Errors
    /// [`DirectoryError`] where the service is stopping.
    pub async fn watch_changes(
        &self,
        after: Option<Revision>,
    ) -> Result<impl Stream<Item = WatchEvent> + Send + use<>, DirectoryError> {
        self.directory.watch(after).await
    }

    /// Who is told of a notification of `kind` that affects `accounts`.
    ///
    /// # Errors
    /// [`DirectoryError`] where the accounts could not be resolved: then there is no answer at all.
    pub async fn resolve_recipients(
        &self,
        kind: NotificationKind,
        accounts: Vec<AccountId>,
        consistency: Consistency,
    ) -> Result<Resolved<Routing>, DirectoryError> {
        let resolved = self.directory.resolve(&accounts, consistency).await?;
        let mut routing = Routing::default();
        for (id, entry) in accounts.into_iter().zip(&resolved.value) {
            let delivery = judge(&id, entry)
                .map(|(profile, subject)| deliver(self.matrix(), kind, profile, subject));
            match delivery {
                Ok(Delivery::Itself) => routing.recipients.add_direct(id),
                Ok(Delivery::Partner(partner)) => routing.recipients.add_on_behalf(partner, id),
                Ok(Delivery::Nobody) => {
                    routing
                        .unresolved
                        .insert(id.clone(), Refusal::NoRecipient(id));
                }
                Err(refusal) => {
                    routing.unresolved.insert(id, refusal);
                }
            }
        }
        Ok(resolved.with(routing))
    }

    fn feature(&self, key: &str) -> Result<FeatureIndex, Refusal> {
        self.matrix()
            .find(key)
            .ok_or_else(|| Refusal::FeatureUnknown {
                feature: crate::domain::quote(key),
            })
    }

    /// One account, of which this waits only where it is not cached.
    async fn resolve(
        &self,
        id: &AccountId,
        consistency: Consistency,
    ) -> Result<Resolved<Entry>, DirectoryError> {
        match self.directory.resolve_at_once(id, consistency) {
            Ok(resolved) => Ok(resolved),
            // Apart: the few calls that wait need room that the others would have to make.
            Err(not) => Box::pin(self.directory.resolve_later(id, consistency, not)).await,
        }
    }
}

/// The account of an entry with the subject that it makes.
fn judge<'a>(
    id: &AccountId,
    entry: &'a Entry,
) -> Result<(&'a AccountProfile, Subject<'a>), Refusal> {
    match entry {
        Entry::Known { profile, policy } => Ok((profile, subject(profile, policy.as_deref())?)),
        Entry::Unknown => Err(Refusal::AccountUnknown(id.clone())),
        Entry::Inconsistent => Err(Refusal::AccountInconsistent(id.clone())),
    }
}

fn subject<'a>(
    profile: &'a AccountProfile,
    policy: Option<&'a PartnerPolicy>,
) -> Result<Subject<'a>, Refusal> {
    Subject::new(profile, policy).map_err(|crate::domain::Inconsistent| {
        Refusal::AccountInconsistent(profile.account.id.clone())
    })
}

/// INVARIANT(fail-closed): an answer that misses what was asked for is an error, never an allow.
fn unresolved() -> Refusal {
    Refusal::Directory(DirectoryError::Unavailable(
        "the account was not resolved".to_owned(),
    ))
}

impl<S> Resolved<S> {
    /// Something else that is as it is because of what was found.
    fn with<T>(&self, value: T) -> Resolved<T> {
        Resolved {
            value,
            revision: self.revision,
            stale: self.stale,
        }
    }
}
