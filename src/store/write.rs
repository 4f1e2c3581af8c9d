//! A write: what is to change, by whom and under which conditions, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{
    Account, AccountId, BillingMarket, FeatureMatrix, Invalid, Location, LocationId, MarketCode,
    Revision, Setting, SettingMap,
};

use super::{ChangeSubject, MarketSet, StoreError};

/// The longest name of who makes a change, in characters.
pub const MAX_ACTOR: usize = 256;
/// The longest comment on a change, in characters.
pub const MAX_COMMENT: usize = 1_000;
/// The longest idempotency key, in characters.
pub const MAX_IDEMPOTENCY_KEY: usize = 128;

/// Choices to be made, by feature: a setting, or none to go back to inheriting. By text, for what
/// is stored may be of a matrix of the past, and what is sent may be of none.
pub type SettingChanges = BTreeMap<String, Option<Setting>>;

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A partner's policy: only the features and markets that are named.
    PartnerPolicy {
        /// Whose.
        partner: AccountId,
        /// Partner-wide settings.
        settings: SettingChanges,
        /// Markets to enable, by code or alias.
        enable: BTreeSet<MarketCode>,
        /// Markets to disable, by code or alias; they need not exist.
        disable: BTreeSet<MarketCode>,
    },
    /// An account's own settings: only the features that are named.
    AccountSettings {
        /// Whose.
        account: AccountId,
        /// Its settings.
        settings: SettingChanges,
    },
    /// An account to create or replace.
    PutAccount(Account),
    /// An account to delete, with its settings and policy.
    DeleteAccount(AccountId),
    /// Billing markets to create or replace, no code twice.
    PutMarkets(Vec<BillingMarket>),
    /// Billing markets to delete, by code.
    DeleteMarkets(BTreeSet<MarketCode>),
    /// Locations to create or replace, no id twice.
    PutLocations(Vec<Location>),
    /// Locations to delete.
    DeleteLocations(BTreeSet<LocationId>),
}

/// A write with its circumstances.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// What is to change.
    pub write: Write,
    /// Which settings a partner may make.
    pub matrix: Arc<FeatureMatrix>,
    /// Who wants it, for the history: at most [`MAX_ACTOR`] characters.
    pub actor: String,
    /// Who called, as far as that was proved.
    pub caller: String,
    /// Why, for the history: at most [`MAX_COMMENT`] characters; may be empty.
    pub comment: String,
    /// What the revision of the subject has to be, where that matters.
    pub expected: Option<Revision>,
    /// By which a repetition is recognised, where the caller wants that.
    pub idempotency: Option<Idempotency>,
}

/// How a repetition of a request is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The method that was called; with the caller, the scope of the key.
    pub method: &'static str,
    /// The key: 1 to [`MAX_IDEMPOTENCY_KEY`] printable ASCII characters.
    pub key: String,
    /// SHA-256 of the request in a canonical form, the key left out.
    pub digest: [u8; 32],
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The revision that it made; that of its subject where it changed nothing.
    pub revision: Revision,
    /// What its subject says now.
    pub now: Now,
}

/// What the subject of a write says after it, where the answer tells that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// A partner's policy.
    Policy {
        /// Partner-wide settings.
        settings: SettingMap,
        /// Enabled markets.
        markets: MarketSet,
    },
    /// An account's own settings.
    Settings(SettingMap),
    /// Nothing that is told.
    Untold,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It cannot be, or may not be now.
    #[error(transparent)]
    Refused(#[from] WriteRefusal),
    /// The store failed before anything was committed: nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection was lost while the change was being committed: it may have been, or not.
    #[error(
        "the connection was lost while committing: the change may have been written, or not; \
         repeat it with the same idempotency key"
    )]
    OutcomeUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with a write in view of what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefusal {
    /// The matrix has no such feature.
    #[error("there is no feature {0}")]
    FeatureUnknown(String),
    /// No partner may decide it, or not for this account.
    #[error("{0}")]
    FeatureNotConfigurable(String),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    AccountUnknown(AccountId),
    /// There is no such account, or it is no partner.
    #[error("there is no partner `{0}`")]
    PartnerUnknown(AccountId),
    /// There is no such market.
    #[error("there is no billing market `{0}`")]
    MarketUnknown(MarketCode),
    /// There is no such location.
    #[error("there is no location `{0}`")]
    LocationUnknown(LocationId),
    /// A partner that manages accounts has to stay one.
    #[error("`{partner}` manages the account `{account}` and has to stay a partner")]
    AccountInUse {
        /// The partner.
        partner: AccountId,
        /// One of its accounts.
        account: AccountId,
    },
    /// A market that a policy enables has to stay.
    #[error("the policy of `{partner}` enables the billing market `{market}`, which has to stay")]
    MarketInUse {
        /// The market.
        market: MarketCode,
        /// One partner that enables it.
        partner: AccountId,
    },
    /// The subject was changed since, or another revision was expected.
    #[error("the revision is {actual}, not {expected} as expected; read again and decide anew")]
    RevisionMismatch {
        /// What the caller expected.
        expected: Revision,
        /// What it is.
        actual: Revision,
    },
    /// The key stands for another request.
    #[error("the idempotency key {0} was used for another request")]
    IdempotencyKeyReused(String),
    /// A field that does not go together with what is stored.
    #[error("{field} {why}")]
    Invalid {
        /// The field, as a path.
        field: String,
        /// What is wrong with it.
        why: Invalid,
    },
}

impl Write {
    /// What the write is a change of.
    #[must_use]
    pub fn subject(&self) -> ChangeSubject {
        match self {
            Self::PartnerPolicy { partner, .. } => ChangeSubject::Partner(partner.clone()),
            Self::AccountSettings { account, .. } | Self::DeleteAccount(account) => {
                ChangeSubject::Account(account.clone())
            }
            Self::PutAccount(account) => ChangeSubject::Account(account.id.clone()),
            Self::PutMarkets(_)
            | Self::DeleteMarkets(_)
            | Self::PutLocations(_)
            | Self::DeleteLocations(_) => ChangeSubject::Catalog,
        }
    }
}
