//! The way from an account to its partner's policy, without a look into the cache of policies.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::domain::PartnerPolicy;

use super::stamp::Stamp;
use super::view::View;

/// The policy that was accepted last for a partner, and at which view. The accounts of a partner
/// share it.
///
/// INVARIANT(once-accepted): what was true at a view is true at it for ever. A shortcut answers at
/// the very view that it was made at and at no other, so that nothing ever has to empty it.
///
/// It holds no policy: one that the cache has dropped is gone from here too, as soon as no call
/// uses it.
#[derive(Debug, Default)]
pub(super) struct Shortcut(ArcSwapOption<Accepted>);

#[derive(Debug)]
struct Accepted {
    applied: Stamp,
    floor: Stamp,
    policy: Weak<PartnerPolicy>,
}

impl Shortcut {
    /// The policy that was accepted at `view`.
    pub(super) fn policy(&self, view: &View) -> Option<Arc<PartnerPolicy>> {
        let accepted = self.0.load();
        let accepted = accepted.as_ref()?;
        let is_same = accepted.applied == view.applied && accepted.floor == view.floor;
        is_same.then(|| accepted.policy.upgrade()).flatten()
    }

    /// Notes a policy that `view` has accepted.
    pub(super) fn note(&self, view: &View, policy: &Arc<PartnerPolicy>) {
        self.0.store(Some(Arc::new(Accepted {
            applied: view.applied,
            floor: view.floor,
            policy: Arc::downgrade(policy),
        })));
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Revision;

    use super::*;

    fn view(epoch: u16, floor: u64, applied: u64) -> View {
        View {
            fresh_at: None,
            applied: Stamp::new(epoch, Revision(applied)),
            floor: Stamp::new(epoch, Revision(floor)),
        }
    }

    #[test]
    fn it_answers_at_the_view_that_it_was_made_at_and_at_no_other() {
        let shortcut = Shortcut::default();
        let policy = Arc::new(PartnerPolicy::default());
        let is_there = |view: View| shortcut.policy(&view).is_some();
        assert!(!is_there(view(1, 0, 0)));
        shortcut.note(&view(1, 2, 7), &policy);
        assert!(is_there(view(1, 2, 7)));
        for other in [view(1, 2, 8), view(1, 2, 6), view(1, 3, 7), view(2, 2, 7)] {
            assert!(!is_there(other), "{other:?}");
        }
        shortcut.note(&view(1, 2, 8), &policy);
        assert!(!is_there(view(1, 2, 7)) && is_there(view(1, 2, 8)));
    }

    #[test]
    fn it_keeps_no_policy_that_the_cache_has_dropped() {
        let shortcut = Shortcut::default();
        let policy = Arc::new(PartnerPolicy::default());
        shortcut.note(&view(1, 0, 1), &policy);
        drop(policy);
        assert!(shortcut.policy(&view(1, 0, 1)).is_none());
    }
}
