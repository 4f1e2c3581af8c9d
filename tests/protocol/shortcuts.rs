//! What is tempting to leave out of the protocol. Each is one rule less, and each breaks the promise.

/// A rule that is left out, by what is done in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shortcut {
    /// What was loaded is kept, whatever was invalidated while it was under way.
    BareInvalidate,
    /// An entry is taken if it is at least as new as what the feed has applied.
    AsNewAsTheFeed,
    /// An entry is taken if it is not older than the last change of its own key.
    NotOlderThanItsChange,
    /// The account is loaded, the policy taken from the cache.
    LoadedAccountCachedPolicy,
    /// A change is published as applied, and what it made wrong invalidated after that.
    PublishThenInvalidate,
    /// A load that is under way answers whoever joins it.
    JoinAnyLoad,
    /// Changes are told apart by their revisions alone.
    RevisionsWithoutIds,
    /// Stamps are revisions, and a reset begins no new epoch.
    NoEpoch,
    /// What a poll confirms is fresh as of its answer, or as of a notification.
    FreshOnArrival,
}

/// The protocol's rules, all of them or all but one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules(pub(crate) Option<Shortcut>);

impl Rules {
    pub(crate) fn take(self, shortcut: Shortcut) -> bool {
        self.0 == Some(shortcut)
    }
}
