//! Who is told of a notification, for itself or on behalf of others.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountId, AccountProfile, FeatureIndex, FeatureMatrix, Subject, decide};

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationKind {
    /// Planned work.
    Maintenance,
    /// A matter of security.
    Security,
}

impl NotificationKind {
    /// The feature that says who may receive this kind.
    #[must_use]
    pub fn feature(self, matrix: &FeatureMatrix) -> FeatureIndex {
        match self {
            Self::Maintenance => matrix.well_known().maintenance,
            Self::Security => matrix.well_known().security,
        }
    }
}

/// Where a notification for one account goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// To the account.
    Itself,
    /// To its partner, on its behalf.
    Partner(AccountId),
    /// Nobody may receive it.
    Nobody,
}

/// Where a notification of `kind` for one account goes.
#[must_use]
pub fn deliver(
    matrix: &FeatureMatrix,
    kind: NotificationKind,
    profile: &AccountProfile,
    subject: Subject<'_>,
) -> Delivery {
    let feature = kind.feature(matrix);
    if decide(matrix, feature, subject).is_allowed() {
        return Delivery::Itself;
    }
    match profile.account.partner() {
        Some(partner) if decide(matrix, feature, Subject::Partner).is_allowed() => {
            Delivery::Partner(partner.clone())
        }
        Some(_) | None => Delivery::Nobody,
    }
}

/// One who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Whether it is affected itself.
    pub directly_affected: bool,
    /// The affected accounts that it is told for.
    pub on_behalf_of: BTreeSet<AccountId>,
}

/// All who are told, each once, by account id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(BTreeMap<AccountId, Recipient>);

impl Recipients {
    /// Notes that `account` is told for itself.
    pub fn add_direct(&mut self, account: AccountId) {
        self.0.entry(account).or_default().directly_affected = true;
    }

    /// Notes that `partner` is told on behalf of `account`.
    pub fn add_on_behalf(&mut self, partner: AccountId, account: AccountId) {
        self.0
            .entry(partner)
            .or_default()
            .on_behalf_of
            .insert(account);
    }
}

impl IntoIterator for Recipients {
    type Item = (AccountId, Recipient);
    type IntoIter = std::collections::btree_map::IntoIter<AccountId, Recipient>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
