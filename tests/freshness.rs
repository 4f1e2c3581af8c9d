#![cfg(test)]
//! What answers promise while policies change: over real Postgres, real replicas and real kills.
//! Each test prints its figures: `make test ARGS="--test freshness -- --nocapture"`.

#[path = "freshness/agreement.rs"]
mod agreement;
#[path = "freshness/crash.rs"]
mod crash;
#[path = "freshness/held.rs"]
mod held;
#[path = "laws/naive.rs"]
#[expect(dead_code, reason = "the other laws are tested elsewhere")]
mod naive;
mod support;
#[path = "freshness/writers.rs"]
mod writers;

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::store::Store as _;
use support::Database;
use support::policies::WORLD;
use support::server::built_in_matrix;
use uuid::Uuid;

/// A database with the small world in it, at revision 1.
async fn world(name: &str) -> Database {
    let database = support::database(name).await;
    let (import, _) = portcullis::datafile::parse(WORLD, &built_in_matrix()).unwrap();
    let store = support::store(&database);
    store.import(&import, &|_| {}).await.unwrap();
    database
}

/// Numbers that look random, and come again with the seed.
#[derive(Debug)]
struct Dice(AtomicU64);

impl Dice {
    /// With a seed of their own, which is printed.
    fn new(what: &str) -> Self {
        let (seed, _) = Uuid::new_v4().as_u64_pair();
        println!("{what}: seed {seed}");
        Self(AtomicU64::new(seed | 1))
    }

    /// One of `0..sides`.
    fn roll(&self, sides: usize) -> usize {
        let mut state = self.0.load(Ordering::Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.store(state, Ordering::Relaxed);
        usize::try_from(state >> 11).unwrap() % sides
    }

    fn choose<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}
