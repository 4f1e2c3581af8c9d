//! A bounded map that many threads read and hardly anybody writes: it keeps what is asked for.
//!
//! Each shard is an open hash table under a lock of its own, whose entries hold their keys and uses
//! themselves. At the bound a hand goes over all places (CLOCK, which counts up to three uses in the
//! place of one bit): it takes a use from each entry that it passes, and drops the first that has
//! none left.

use std::hash::BuildHasher;
use std::mem;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::{DefaultHashBuilder, HashTable};

/// How many entries a shard has when the map is full: a table of 16,384 places takes up to 14,336 of
/// them, and one of the next size would be half empty.
const IN_SHARD: usize = 12_500;
/// The fewest shards, so that readers on many cores seldom meet at one lock.
const FEWEST_SHARDS: usize = 64;
/// The most, whatever the bound: they are there from the beginning.
const MOST_SHARDS: usize = 4_096;
/// So often the hand passes an entry that was used lately.
const MOST_USES: u8 = 3;
/// So many entries it passes at most, where all were used: whoever inserts waits meanwhile.
const MOST_PASSED: usize = 512;

/// What is found by a key of its own.
pub trait Keyed {
    /// The key, always the same.
    fn key(&self) -> &str;
    /// How often it was read lately. Begins at zero, and is the map's.
    fn uses(&self) -> &AtomicU8;
}

/// A map that holds as many entries as it may, and not one less: its shards have one bound.
#[derive(Debug)]
pub struct Recent<T> {
    shards: Box<[Shard<T>]>,
    hasher: DefaultHashBuilder,
    capacity: usize,
    /// Changed by who holds the hand alone.
    len: AtomicUsize,
    /// Writers take turns.
    hand: Mutex<Hand>,
}

/// In a cache line of its own: cores that read different shards write to different lines.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<T>(RwLock<HashTable<T>>);

/// Where the hand stands: what is dropped is looked for from here on.
#[derive(Debug, Default)]
struct Hand {
    shard: usize,
    place: usize,
}

impl<T> Shard<T> {
    // Nothing that panics is done under a lock.
    fn read(&self) -> RwLockReadGuard<'_, HashTable<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashTable<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Keyed> Recent<T> {
    /// A map of up to `capacity` entries. It takes memory as it fills.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = capacity
            .div_ceil(IN_SHARD)
            .clamp(FEWEST_SHARDS, MOST_SHARDS);
        let shard = || Shard(RwLock::new(HashTable::new()));
        Self {
            shards: std::iter::repeat_with(shard).take(shards).collect(),
            hasher: DefaultHashBuilder::default(),
            capacity,
            len: AtomicUsize::new(0),
            hand: Mutex::default(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `read` makes of the entry under `key`. Its shard is locked meanwhile.
    pub fn read<R>(&self, key: &str, read: impl FnOnce(&T) -> R) -> Option<R> {
        let hash = self.hasher.hash_one(key);
        let table = self.shard(hash)?.read();
        let entry = table.find(hash, |entry| entry.key() == key)?;
        // Two uses at once may count as one. Once there is nothing to count, nothing is written:
        // cores would take the line from each other.
        let uses = entry.uses().load(Ordering::Relaxed);
        if uses < MOST_USES {
            entry.uses().store(uses + 1, Ordering::Relaxed);
        }
        Some(read(entry))
    }

    /// Holds `value`, from now on in the place of what was held under its key.
    pub fn insert(&self, value: T) {
        let mut hand = self.hand();
        let hash = self.hasher.hash_one(value.key());
        let Some(shard) = self.shard(hash).filter(|_| self.capacity > 0) else {
            return;
        };
        let mut table = shard.write();
        if let Some(entry) = table.find_mut(hash, |entry| entry.key() == value.key()) {
            *entry = value;
            return;
        }
        if self.len() >= self.capacity {
            drop(table);
            self.drop_one(&mut hand);
            table = shard.write();
        }
        table.insert_unique(hash, value, |entry| self.hasher.hash_one(entry.key()));
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops what is held under `key`. No reader that begins after this finds it.
    pub fn remove(&self, key: &str) {
        let _hand = self.hand();
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shard(hash) else {
            return;
        };
        let mut table = shard.write();
        if let Ok(entry) = table.find_entry(hash, |entry| entry.key() == key) {
            entry.remove();
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Drops everything, and gives back its memory.
    pub fn clear(&self) {
        let _hand = self.hand();
        for shard in &self.shards {
            // To drop it takes longer than readers of the shard should wait.
            let gone = mem::take(&mut *shard.write());
            self.len.fetch_sub(gone.len(), Ordering::Relaxed);
        }
    }

    /// Drops the next entry that has no use left, or the last that may be passed.
    fn drop_one(&self, hand: &mut Hand) {
        let mut passed = 0;
        while !self.is_empty() {
            let Some(shard) = self.shards.get(hand.shard) else {
                *hand = Hand::default();
                continue;
            };
            let mut table = shard.write();
            while hand.place < table.num_buckets() {
                let place = hand.place;
                hand.place += 1;
                let Ok(entry) = table.get_bucket_entry(place) else {
                    continue;
                };
                let uses = entry.get().uses();
                match uses.load(Ordering::Relaxed) {
                    1.. if passed < MOST_PASSED => {
                        uses.fetch_sub(1, Ordering::Relaxed);
                        passed += 1;
                    }
                    0.. => {
                        entry.remove();
                        self.len.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            hand.shard += 1;
            hand.place = 0;
        }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By bits of the hash that a table does not look at before these are used up.
    fn shard(&self, hash: u64) -> Option<&Shard<T>> {
        let bits = (hash >> 20) & u64::from(u32::MAX);
        let shards = u64::try_from(self.shards.len()).ok()?;
        let shard = usize::try_from((bits * shards) >> 32).ok()?;
        self.shards.get(shard)
    }
}

#[cfg(test)]
mod tests;
