//! What a replica and its watchers learn of a change: enough to forget what it made wrong.

use crate::domain::{AccountId, Head};

use super::ChangedKeys;

/// The most changes that one [`Poll`](super::Poll) brings; another poll brings those that follow.
pub const MAX_POLLED: usize = 1_024;

/// What a change was a change of. Each revision has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSubject {
    /// An account or its own settings.
    Account(AccountId),
    /// A partner's policy.
    Partner(AccountId),
    /// Billing markets or locations.
    Catalog,
    /// Whatever an import or a migration touched.
    Everything,
}

/// One change of the history, without what was there before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEntry {
    /// Its revision and id.
    pub head: Head,
    /// What it was a change of.
    pub subject: ChangeSubject,
    /// What caches have to forget.
    pub keys: ChangedKeys,
}
