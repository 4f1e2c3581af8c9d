//! What goes into the use cases and comes out of them.

use crate::domain::{Account, AccountId, Revision, SettingMap};
use crate::store::{Idempotency, MarketSet, SettingChanges, Write};

/// Who writes, why and under which conditions: all of a
/// [`WriteRequest`](crate::store::WriteRequest) but what is to change.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Who wants it.
    pub actor: String,
    /// Who called.
    pub caller: String,
    /// Why; may be empty.
    pub comment: String,
    /// What the revision of the subject has to be, where that matters.
    pub expected: Option<Revision>,
    /// By which a repetition is recognised, where the caller wants that.
    pub idempotency: Option<Idempotency>,
}

/// An update of a partner's policy: only the features and markets that are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyUpdate {
    /// Partner-wide settings.
    pub settings: SettingChanges,
    /// Markets to enable, by code or alias.
    pub enable: MarketSet,
    /// Markets to disable, by code or alias.
    pub disable: MarketSet,
}

/// A partner's policy. Settings of features that the matrix does not have are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyView {
    /// The partner.
    pub partner: AccountId,
    /// Partner-wide settings.
    pub settings: SettingMap,
    /// Enabled markets, by code.
    pub markets: MarketSet,
    /// The last change to it.
    pub revision: Revision,
}

/// An account. Settings of features that the matrix does not have are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// The account.
    pub account: Account,
    /// Its own settings.
    pub settings: SettingMap,
    /// The last change to it or to its settings.
    pub revision: Revision,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// What is on the page, in order.
    pub items: Vec<T>,
    /// Whether anything follows.
    pub more: bool,
}

impl PolicyUpdate {
    pub(super) fn of(self, partner: AccountId) -> Write {
        let Self {
            settings,
            enable,
            disable,
        } = self;
        Write::PartnerPolicy {
            partner,
            settings,
            enable,
            disable,
        }
    }
}

impl<T> Paged<T> {
    /// The first `limit` of what was found.
    pub(super) fn up_to(limit: usize, mut items: Vec<T>) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}
