//! What an import is: data with the lines that it came from, and what became of it.

use crate::domain::{
    Account, AccountId, BillingMarket, Location, MarketCode, Revision, SettingMap,
};

use super::StoreError;

/// Something of a data file with its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<T> {
    /// The line.
    pub line: u64,
    /// What stands there.
    pub value: T,
}

/// A whole data file, each part of it valid, no key in it twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// Whether to add to what is there or to replace it.
    pub mode: ImportMode,
    /// Who imports, for the history.
    pub actor: String,
    /// Why, for the history; may be empty.
    pub comment: String,
    /// Billing markets.
    pub markets: Vec<Line<BillingMarket>>,
    /// Locations.
    pub locations: Vec<Line<Location>>,
    /// Accounts.
    pub accounts: Vec<Line<Account>>,
    /// Partners' policies.
    pub policies: Vec<Line<PolicyImport>>,
}

/// What becomes of that which a data file does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImportMode {
    /// It stays.
    #[default]
    Merge,
    /// It goes: the store becomes exactly the file.
    Replace,
}

/// A partner's policy in a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyImport {
    /// The partner.
    pub partner: AccountId,
    /// Its settings, all of them.
    pub settings: SettingMap,
    /// The markets that it enables, all of them; codes or aliases.
    pub markets: Vec<Line<MarketCode>>,
    /// Settings of single accounts.
    pub accounts: Vec<Line<AccountSettings>>,
}

/// Settings of one account in a data file: all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    /// The account.
    pub account: AccountId,
    /// Its settings.
    pub settings: SettingMap,
}

/// Something in a data file that cannot be, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {field}: {message}")]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// The field, as a path: `accounts[3].partner`.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub message: String,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store would not be consistent afterwards. Nothing was written.
    #[error(transparent)]
    Invalid(#[from] Problem),
    /// The store failed. Nothing was written, unless [`ImportError::OutcomeUnknown`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection was lost while the change was being committed: it may have been, or not.
    /// An import is idempotent, so it can be repeated.
    #[error(
        "the connection was lost while committing: the import may have been written, or not; repeat it"
    )]
    OutcomeUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOutcome {
    /// The revision that it made; the present one where it changed nothing.
    pub revision: Revision,
    /// How much changed.
    pub changed: Counts,
}

/// How many of each were created, replaced or removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Billing markets.
    pub markets: usize,
    /// Locations.
    pub locations: usize,
    /// Accounts.
    pub accounts: usize,
    /// Partners' policies.
    pub policies: usize,
    /// Accounts whose own settings changed.
    pub account_settings: usize,
}

impl Counts {
    /// The sum.
    #[must_use]
    pub fn total(&self) -> usize {
        self.markets + self.locations + self.accounts + self.policies + self.account_settings
    }
}

impl Import {
    /// How many things the file names, for a look at its size.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            markets: self.markets.len(),
            locations: self.locations.len(),
            accounts: self.accounts.len(),
            policies: self.policies.len(),
            account_settings: self
                .policies
                .iter()
                .map(|policy| policy.value.accounts.len())
                .sum(),
        }
    }
}
