//! Misses that no load was sent for yet, and whose turn it is.

use std::collections::VecDeque;
use std::vec;

use crate::domain::AccountId;

use super::landed::Waiters;
use super::request::Wanted;

/// Calls take turns, an account each: one that misses a single account is on the next load beside
/// one that misses ten thousand, and each of those gets there as fast as there is room.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    waiters: Waiters,
    /// What each call wants and had no turn for yet. It may be gone from the waiters: an account
    /// that several calls want goes with whoever has the first turn.
    turns: VecDeque<vec::IntoIter<AccountId>>,
}

impl Gathering {
    /// Adds what one call misses.
    pub(super) fn add(&mut self, call: Vec<Wanted>) {
        let mut ids = Vec::with_capacity(call.len());
        for Wanted { id, reply } in call {
            ids.push(id.clone());
            self.waiters.entry(id).or_default().push(reply);
        }
        if !ids.is_empty() {
            self.turns.push_back(ids.into_iter());
        }
    }

    /// Takes up to `most` accounts that somebody still waits for. A caller that left waits no more;
    /// what nobody waits for need not be loaded.
    pub(super) fn take(&mut self, most: usize) -> Waiters {
        let mut taken = Waiters::new();
        while taken.len() < most {
            let Some(mut call) = self.turns.pop_front() else {
                break;
            };
            let next = call.find_map(|id| {
                let waiting = self.waiters.remove_entry(&id)?;
                let is_wanted = waiting.1.iter().any(|reply| !reply.is_closed());
                is_wanted.then_some(waiting)
            });
            if let Some((id, replies)) = next {
                taken.insert(id, replies);
                self.turns.push_back(call);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::super::DirectoryError;
    use super::super::places::Places;
    use super::super::request::{Loaded, Reply};
    use super::*;

    type Answer = oneshot::Receiver<Result<Loaded, DirectoryError>>;

    fn wanted(ids: &[&str]) -> (Vec<Wanted>, Vec<Answer>) {
        let places = Places::new(ids.len()).take(ids.len()).unwrap();
        let want = |(id, place): (&&str, _)| {
            let (sender, answer) = oneshot::channel();
            let id = AccountId::try_from(*id).unwrap();
            let reply = Reply::new(sender, place);
            (Wanted { id, reply }, answer)
        };
        ids.iter().zip(places).map(want).unzip()
    }

    fn take(gathering: &mut Gathering, most: usize) -> Vec<String> {
        let mut ids: Vec<_> = gathering
            .take(most)
            .into_keys()
            .map(|id| id.to_string())
            .collect();
        ids.sort();
        ids
    }

    #[test]
    fn a_single_miss_does_not_wait_behind_a_large_batch() {
        let mut gathering = Gathering::default();
        let large: Vec<String> = (0..1_000).map(|i| format!("x{i:03}")).collect();
        let large: Vec<&str> = large.iter().map(String::as_str).collect();
        let (batch, _batch) = wanted(&large);
        let (other, _other) = wanted(&["y0", "y1", "y2"]);
        let (single, _single) = wanted(&["z"]);
        for call in [batch, other, single] {
            gathering.add(call);
        }
        assert_eq!(take(&mut gathering, 4), ["x000", "x001", "y0", "z"]);
        assert_eq!(take(&mut gathering, 3), ["x002", "y1", "y2"]);
        assert_eq!(take(&mut gathering, 2_000).len(), 997);
        assert!(take(&mut gathering, 1).is_empty());
        assert!(gathering.waiters.is_empty() && gathering.turns.is_empty());
    }

    #[test]
    fn what_two_calls_want_goes_with_the_first_turn_and_is_taken_once() {
        let mut gathering = Gathering::default();
        let (one, _one) = wanted(&["a", "b", "c"]);
        let (two, _two) = wanted(&["c", "a", "d"]);
        gathering.add(one);
        gathering.add(two);
        assert_eq!(take(&mut gathering, 2), ["a", "c"]);
        assert_eq!(take(&mut gathering, 2), ["b", "d"]);
        assert!(take(&mut gathering, 1).is_empty());
        assert!(gathering.waiters.is_empty() && gathering.turns.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_is_not_taken() {
        let mut gathering = Gathering::default();
        let (gone, answers) = wanted(&["a", "b"]);
        let (still, _answers) = wanted(&["b", "c"]);
        gathering.add(gone);
        gathering.add(still);
        drop(answers);
        assert_eq!(take(&mut gathering, 9), ["b", "c"]);
        assert!(gathering.waiters.is_empty() && gathering.turns.is_empty());
    }
}
