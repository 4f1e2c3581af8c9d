//! A point in what a replica has seen of the history.

use crate::domain::Revision;

const REVISION_BITS: u32 = 48;
const REVISION_MASK: u64 = (1 << REVISION_BITS) - 1;

/// A revision together with the epoch in which this replica saw it: `epoch << 48 | revision`. An
/// epoch ends where the history was found lost or rewritten, so that a stamp of the old history is
/// never taken for one of the new. Ordered by epoch first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub(super) u64);

impl Stamp {
    pub(super) fn new(epoch: u16, revision: Revision) -> Self {
        Self(u64::from(epoch) << REVISION_BITS | revision.0 & REVISION_MASK)
    }

    /// The stamp of another revision in the same epoch.
    pub(super) fn with_revision(self, revision: Revision) -> Self {
        Self(self.0 & !REVISION_MASK | revision.0 & REVISION_MASK)
    }

    pub(super) fn epoch(self) -> u64 {
        self.0 >> REVISION_BITS
    }

    pub(super) fn revision(self) -> Revision {
        Revision(self.0 & REVISION_MASK)
    }
}
