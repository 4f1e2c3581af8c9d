//! The bound is held, and reached; what is used stays.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

/// A key with a value.
#[derive(Debug)]
struct Pair(String, u32, AtomicU8);

impl Keyed for Pair {
    fn key(&self) -> &str {
        &self.0
    }

    fn uses(&self) -> &AtomicU8 {
        &self.2
    }
}

fn pair(key: usize, value: u32) -> Pair {
    Pair(format!("account-{key:07}"), value, AtomicU8::new(0))
}

fn get(map: &Recent<Pair>, key: usize) -> Option<u32> {
    map.read(pair(key, 0).key(), |pair| pair.1)
}

fn count(map: &Recent<Pair>) -> usize {
    map.shards.iter().map(|shard| shard.read().len()).sum()
}

#[test]
fn it_is_filled_to_its_bound_and_loses_nothing_before() {
    for capacity in [1, 16, 1_000, 1_000_000] {
        let map = Recent::new(capacity);
        (0..capacity).for_each(|key| map.insert(pair(key, 7)));
        let is_held = |key: &usize| get(&map, *key) == Some(7);
        assert_eq!((0..capacity).filter(is_held).count(), capacity);
        assert_eq!((map.len(), count(&map)), (capacity, capacity));
        let places = map.shards.iter().map(|shard| shard.read().num_buckets());
        let most = capacity * 3 / 2 + 8 * map.shards.len();
        assert!(places.sum::<usize>() <= most, "tables half empty");
        // One more takes the place of one.
        map.insert(pair(capacity, 7));
        assert!(is_held(&capacity), "{capacity}");
        assert_eq!((map.len(), count(&map)), (capacity, capacity));
        map.clear();
        assert_eq!((map.len(), count(&map)), (0, 0));
        assert!(
            map.shards
                .iter()
                .all(|shard| shard.read().num_buckets() <= 1)
        );
    }
}

#[test]
fn one_that_may_hold_nothing_holds_nothing() {
    let map = Recent::new(0);
    map.insert(pair(1, 1));
    assert!(map.is_empty() && get(&map, 1).is_none());
}

#[test]
fn what_is_used_outlasts_what_is_read_once() {
    let map = Recent::new(1_000);
    let used = 0..500;
    used.clone().for_each(|key| map.insert(pair(key, 1)));
    for round in 0..20 {
        for key in used.clone() {
            let _ = get(&map, key);
        }
        (0..400).for_each(|key| map.insert(pair(1_000 + round * 400 + key, 0)));
    }
    let kept = used.filter(|key| get(&map, *key).is_some()).count();
    assert_eq!((kept, map.len()), (500, 1_000));
}

#[test]
fn where_all_is_used_one_goes_all_the_same() {
    let capacity = 4 * MOST_PASSED;
    let map = Recent::new(capacity);
    for key in 0..2 * capacity {
        map.insert(pair(key, 1));
        for _ in 0..=MOST_USES {
            assert_eq!(get(&map, key), Some(1));
        }
    }
    assert_eq!((map.len(), count(&map)), (capacity, capacity));
}

#[test]
fn a_reader_finds_what_was_put_until_it_is_taken_away() {
    let map = Recent::new(100);
    let is_gone = AtomicBool::new(false);
    map.insert(pair(1, 0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                loop {
                    let was_gone = is_gone.load(Ordering::Acquire);
                    let found = get(&map, 1);
                    assert!(!was_gone || found.is_none(), "found after it was gone");
                    match found {
                        Some(value) => assert!(value >= mem::replace(&mut last, value)),
                        None => return,
                    }
                }
            });
        }
        // It moves as its table grows, and is never missing meanwhile.
        for value in 1..90 {
            map.insert(pair(usize::try_from(value).unwrap() + 1, 0));
            map.insert(pair(1, value));
        }
        map.remove(pair(1, 0).key());
        is_gone.store(true, Ordering::Release);
    });
}

#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    Insert(usize, u32),
    Remove(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40_usize).prop_map(Step::Get),
        8 => (0..40_usize, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        4 => (0..40_usize).prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    /// It never holds what was not put there last, never more than it may, and drops nothing of
    /// itself as long as there is room.
    #[test]
    fn it_is_a_map_that_forgets_at_its_bound_alone(
        capacity in 1..40_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let map = Recent::new(capacity);
        let mut all: BTreeMap<usize, u32> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Get(key) => {
                    let found = get(&map, key);
                    prop_assert!(found.is_none() || found == all.get(&key).copied());
                }
                Step::Insert(key, value) => {
                    map.insert(pair(key, value));
                    all.insert(key, value);
                    prop_assert_eq!(get(&map, key), Some(value));
                }
                Step::Remove(key) => {
                    map.remove(pair(key, 0).key());
                    all.remove(&key);
                    prop_assert_eq!(get(&map, key), None);
                }
                Step::Clear => {
                    map.clear();
                    all.clear();
                }
            }
            // What it forgot is forgotten here too, and only a full one forgets.
            let before = all.len();
            all.retain(|key, _| get(&map, *key).is_some());
            prop_assert!(before - all.len() <= 1);
            prop_assert!(all.len() == before || all.len() == capacity);
            prop_assert_eq!(map.len(), all.len());
            prop_assert_eq!(count(&map), all.len());
        }
    }
}
