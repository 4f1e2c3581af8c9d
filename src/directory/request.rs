//! What a call asks of the loader, and what it gets.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::domain::{AccountId, Head, Revision};
use crate::store::ReadAt;

use super::places::Place;
use super::stamp::Stamp;
use super::watch::Begun;
use super::{DirectoryError, Entry};

/// What a call asks of the loader.
#[derive(Debug)]
pub(super) enum Request {
    /// These accounts, each by the next load or by one that is under way.
    Load(Vec<Wanted>),
    /// These accounts, at most [`MAX_LOAD`](crate::store::MAX_LOAD), by a load of their own.
    LoadAlone {
        ids: Vec<AccountId>,
        reply: oneshot::Sender<Result<LoadedAlone, DirectoryError>>,
        /// The call's, kept for as long as the load is under way, whether or not the call still waits.
        place: Arc<Place>,
    },
    /// A catalogue that is true at what is applied, in the cache; of this version, where the call
    /// has read which one there is.
    Catalog {
        version: Option<Head>,
        reply: oneshot::Sender<Result<(), DirectoryError>>,
    },
    /// A watch of the changes after a revision, or from now on; answered when the store was looked
    /// at.
    Watch {
        after: Option<Revision>,
        reply: oneshot::Sender<Begun>,
    },
    /// One poll that is sent after this; it is answered whether that succeeds or not.
    Nudge(oneshot::Sender<()>),
}

/// One account that a call waits for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: AccountId,
    pub(super) reply: Reply,
}

/// The way to a call that waits for one account, with the place that this takes.
#[derive(Debug)]
pub(super) struct Reply {
    sender: oneshot::Sender<Result<Loaded, DirectoryError>>,
    _place: Place,
}

impl Reply {
    pub(super) fn new(
        sender: oneshot::Sender<Result<Loaded, DirectoryError>>,
        place: Place,
    ) -> Self {
        Self {
            sender,
            _place: place,
        }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Answers. A caller that left does not mind.
    pub(super) fn send(self, loaded: Result<Loaded, DirectoryError>) {
        let _ = self.sender.send(loaded);
    }
}

/// What a load found for one account.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) entry: Entry,
    pub(super) read: ReadAt,
    /// The instant before the load was sent.
    pub(super) sent: Moment,
    pub(super) standing: Standing,
}

/// What a load of a call's own found.
#[derive(Debug)]
pub(super) struct LoadedAlone {
    /// In the order of the ids.
    pub(super) entries: Vec<Entry>,
    pub(super) read: ReadAt,
    /// The instant before the load was sent.
    pub(super) sent: Moment,
}

/// How a load relates to the call that gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was sent after the call asked.
    Own,
    /// It was under way before, and was found true at this stamp.
    JoinedKept(Stamp),
    /// It was under way before, and may be of a state that is past.
    JoinedDiscarded,
}
