//! The use cases of AuthorizationService: fetch what a decision needs, decide, answer.
//!
//! Nothing is decided here: each answer is [`decide()`], [`catalog_access`](crate::domain::catalog_access) or [`deliver`] applied to
//! what the [`Directory`] resolved.

mod account_catalog;

use std::collections::HashMap;

use futures_util::stream::Stream;

use crate::directory::{Consistency, Directory, DirectoryError, Entry, Resolved, WatchEvent};
use crate::domain::{
    Account, AccountId, AccountProfile, Decision, Delivery, FeatureIndex, FeatureKey,
    FeatureMatrix, MarketCode, NotificationKind, PartnerPolicy, Recipients, Revision, Subject,
    decide, deliver,
};

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
pub struct FeatureCheck {
    /// The account that it is about.
    pub account: AccountId,
    /// The key of the feature, as it was sent.
    pub feature: String,
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
        let (profile, policy, at) = self.known(account, consistency).await?;
        let subject = subject(&profile, policy.as_deref())?;
        Ok(at.with(decide(self.matrix(), feature, subject)))
    }

    /// The same for many pairs, in their order. Each account is resolved once; whatever is wrong
    /// with one pair is that pair's refusal.
    ///
    /// # Errors
    /// [`DirectoryError`] where the accounts could not be resolved: then there is no answer at all.
    pub async fn check_features(
        &self,
        checks: Vec<FeatureCheck>,
        consistency: Consistency,
    ) -> Result<Resolved<Vec<Result<Decision, Refusal>>>, DirectoryError> {
        let mut places = HashMap::new();
        let mut ids = Vec::new();
        let questions: Vec<_> = checks
            .into_iter()
            .map(|FeatureCheck { account, feature }| {
                let feature = self.feature(&feature)?;
                let place = *places.entry(account).or_insert_with_key(|id| {
                    ids.push(id.clone());
                    ids.len() - 1
                });
                Ok((feature, place))
            })
            .collect();

        let resolved = self.directory.resolve(&ids, consistency).await?;
        let entries: Vec<_> = ids.into_iter().zip(&resolved.value).collect();
        let answer = |question: Result<(FeatureIndex, usize), Refusal>| {
            let (feature, place) = question?;
            // Every place was made by the push above.
            let Some((id, entry)) = entries.get(place) else {
                return Err(unresolved());
            };
            Ok(decide(self.matrix(), feature, judge(id, entry)?.1))
        };
        let decisions = questions.into_iter().map(answer).collect();
        Ok(Resolved {
            value: decisions,
            revision: resolved.revision,
            stale: resolved.stale,
        })
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
        let (profile, policy, at) = self.known(account, consistency).await?;
        let subject = subject(&profile, policy.as_deref())?;
        let decision = |(index, row): (FeatureIndex, &crate::domain::FeatureRow)| {
            (row.key.clone(), decide(self.matrix(), index, subject))
        };
        let decisions = self.matrix().features().map(decision).collect();
        Ok(at.with(AccountFeatures {
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
        Ok(Resolved {
            value: routing,
            revision: resolved.revision,
            stale: resolved.stale,
        })
    }

    fn feature(&self, key: &str) -> Result<FeatureIndex, Refusal> {
        self.matrix()
            .find(key)
            .ok_or_else(|| Refusal::FeatureUnknown {
                feature: crate::domain::quote(key),
            })
    }

    /// One account that can be judged.
    async fn known(&self, id: AccountId, consistency: Consistency) -> Result<Known, Refusal> {
        let resolved = self
            .directory
            .resolve(std::slice::from_ref(&id), consistency)
            .await?;
        let at = Resolved {
            value: (),
            revision: resolved.revision,
            stale: resolved.stale,
        };
        match resolved.value.into_iter().next() {
            Some(Entry::Known { profile, policy }) => Ok((profile, policy, at)),
            Some(Entry::Unknown) => Err(Refusal::AccountUnknown(id)),
            Some(Entry::Inconsistent) => Err(Refusal::AccountInconsistent(id)),
            None => Err(unresolved()),
        }
    }
}

type Known = (
    std::sync::Arc<AccountProfile>,
    Option<std::sync::Arc<PartnerPolicy>>,
    Resolved<()>,
);

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

impl Resolved<()> {
    fn with<T>(&self, value: T) -> Resolved<T> {
        Resolved {
            value,
            revision: self.revision,
            stale: self.stale,
        }
    }
}
