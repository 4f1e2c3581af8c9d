//! The number of a committed policy change, and the id that tells two histories apart.

use std::fmt;

/// The number of the last committed policy change: strictly increasing, in commit order.
/// 0 is the revision of a store in which nothing was ever changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random id of a change. Numbers come again after a failover that lost writes, ids do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeId(pub u128);

/// A point of one history: a revision together with the id of the change that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the change.
    pub revision: Revision,
    /// Its random id.
    pub change: ChangeId,
}
