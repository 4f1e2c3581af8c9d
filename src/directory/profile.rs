//! An account as it is held: in the cache, or by a call that has loaded it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use crate::domain::{AccountId, AccountProfile};

use super::recent::Keyed;
use super::shortcut::Shortcut;
use super::stamp::Stamp;

/// An account with its own settings, to be held on to.
#[derive(Debug, Clone)]
pub struct Profile(From);

#[derive(Debug, Clone)]
enum From {
    Load(Arc<AccountProfile>),
    Cache(Arc<CachedAccount>),
}

impl Profile {
    pub(super) fn loaded(profile: AccountProfile) -> Self {
        Self(From::Load(Arc::new(profile)))
    }

    pub(super) fn cached(account: Arc<CachedAccount>) -> Self {
        Self(From::Cache(account))
    }
}

impl Deref for Profile {
    type Target = AccountProfile;

    fn deref(&self) -> &AccountProfile {
        match &self.0 {
            From::Load(profile) => profile,
            From::Cache(account) => &account.profile,
        }
    }
}

/// A cached account: one piece of memory with all that is read of it for a decision, so that of a
/// million each is a step from its place in the table.
#[derive(Debug)]
pub(super) struct CachedAccount {
    pub(super) profile: AccountProfile,
    /// The stamp of the snapshot that it was read from.
    pub(super) loaded_at: Stamp,
    /// The way to its partner's policy; none where it has no partner.
    pub(super) shortcut: Option<Arc<Shortcut>>,
    uses: AtomicU8,
}

impl CachedAccount {
    pub(super) fn new(
        profile: AccountProfile,
        loaded_at: Stamp,
        shortcut: Option<Arc<Shortcut>>,
    ) -> Self {
        Self {
            profile,
            loaded_at,
            shortcut,
            uses: AtomicU8::new(0),
        }
    }
}

impl Keyed for Arc<CachedAccount> {
    fn key(&self) -> &str {
        self.profile.account.id.as_str()
    }

    fn uses(&self) -> &AtomicU8 {
        &self.uses
    }
}

/// An id that is known to be of no account.
#[derive(Debug)]
pub(super) struct CachedUnknown {
    id: AccountId,
    pub(super) loaded_at: Stamp,
    uses: AtomicU8,
}

impl CachedUnknown {
    pub(super) fn new(id: AccountId, loaded_at: Stamp) -> Self {
        Self {
            id,
            loaded_at,
            uses: AtomicU8::new(0),
        }
    }
}

impl Keyed for CachedUnknown {
    fn key(&self) -> &str {
        self.id.as_str()
    }

    fn uses(&self) -> &AtomicU8 {
        &self.uses
    }
}
