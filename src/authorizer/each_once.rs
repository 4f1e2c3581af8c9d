//! The accounts of a batch, each once.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::domain::AccountId;

/// Accounts in the order in which they were named first. No id is copied.
#[derive(Debug)]
pub(super) struct EachOnce {
    ids: Vec<AccountId>,
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl EachOnce {
    pub(super) fn with_capacity(most: usize) -> Self {
        Self {
            ids: Vec::with_capacity(most),
            places: HashTable::with_capacity(most),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Where `id` stands among the accounts: the last of them, if it is new.
    pub(super) fn place(&mut self, id: AccountId) -> usize {
        let Self {
            ids,
            places,
            hasher,
        } = self;
        let hash = hasher.hash_one(&id);
        let is_it = |place: &usize| ids.get(*place) == Some(&id);
        let rehash = |place: &usize| ids.get(*place).map_or(0, |id| hasher.hash_one(id));
        match places.entry(hash, is_it, rehash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let place = ids.len();
                new.insert(place);
                ids.push(id);
                place
            }
        }
    }

    pub(super) fn into_ids(self) -> Vec<AccountId> {
        self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_first_place() {
        let mut accounts = EachOnce::with_capacity(0);
        let id = |number: usize| AccountId::try_from(number.to_string()).unwrap();
        for round in 0..3 {
            for number in 0..100 {
                assert_eq!(accounts.place(id(number)), number, "round {round}");
            }
        }
        assert_eq!(accounts.into_ids(), (0..100).map(id).collect::<Vec<_>>());
    }
}
