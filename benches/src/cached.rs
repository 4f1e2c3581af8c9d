//! Accounts that are all in the cache of a directory, and what is asked about them.

use std::hint::black_box;
use std::time::Duration;

use portcullis::authorizer::{Authorizer, FeatureCheck};
use portcullis::directory::{Consistency, Directory};
use portcullis::domain::AccountId;
use tokio::runtime::{Builder, Runtime};

use crate::made_up;
use crate::measure::count;
use crate::world;

/// The checks of a batch.
pub(crate) const BATCH: usize = 100;
/// Batches that are made up beforehand.
pub(crate) const BATCHES: usize = 2_000;
/// Checks that are made up beforehand.
const CHECKS: usize = 1 << 20;
/// How many accounts are asked for at once to fill the cache.
const FILL: usize = 1_000;
/// How often it is looked whether all are there, and how long.
const KEPT_AFTER: Duration = Duration::from_millis(1);
const GIVE_UP: Duration = Duration::from_secs(10);

/// Features that the table asks about: decided by a partner, by the matrix, and one that requires
/// another.
const FEATURES: [&str; 4] = [
    "pricing.view",
    "dashboard.view",
    "services.order",
    "maintenance_notifications.receive",
];

/// What answers from the cache, and questions about accounts that are chosen uniformly at random.
pub(crate) struct Cached {
    /// Works off the calls, and keeps the cache true.
    pub(crate) runtime: Runtime,
    pub(crate) authorizer: Authorizer,
    // Ids are read before: a caller of this reads them from its request.
    checks: Vec<AccountId>,
    batches: Vec<Vec<FeatureCheck<'static>>>,
    /// How many of each were asked.
    checked: usize,
    answered: usize,
}

impl Cached {
    pub(crate) fn fill(accounts: usize, partners: usize) -> Self {
        let runtime = runtime();
        let directory = runtime.block_on(async {
            let directory = made_up::directory(partners, 0);
            fill(&directory, accounts).await;
            directory
        });
        let account = |number| id(&world::account(world::random(number, accounts)));
        let check = |(account, feature): (String, &'static str)| FeatureCheck {
            account: id(&account),
            feature,
        };
        Self {
            runtime,
            authorizer: Authorizer::new(directory),
            checks: (0..CHECKS).map(account).collect(),
            batches: (0..BATCHES)
                .map(|batch| batch_of(batch, accounts).map(check).collect())
                .collect(),
            checked: 0,
            answered: 0,
        }
    }

    /// Checks one account after the other, so many times.
    pub(crate) fn checks(&mut self, times: usize) {
        self.runtime.block_on(async {
            for number in self.checked..self.checked + times {
                let account = self.checks[number % CHECKS].clone();
                let feature = FEATURES[number % FEATURES.len()];
                let checked = self
                    .authorizer
                    .check_feature(account, feature, Consistency::Fastest);
                black_box(checked.await.unwrap());
            }
        });
        self.checked += times;
    }

    /// Answers one batch after the other.
    pub(crate) fn batches(&mut self, times: usize) {
        for number in self.answered..self.answered + times {
            let checks = self.batches[number % BATCHES].clone();
            let answer = self.authorizer.check_features(checks, Consistency::Fastest);
            black_box(self.runtime.block_on(answer).unwrap());
        }
        self.answered += times;
    }
}

/// The checks of a batch: accounts and features.
pub(crate) fn batch_of(
    batch: usize,
    accounts: usize,
) -> impl Iterator<Item = (String, &'static str)> {
    (0..BATCH).map(move |place| {
        let account = world::random(batch * BATCH + place, accounts);
        (world::account(account), FEATURES[place % FEATURES.len()])
    })
}

/// Decisions in a second, where a batch takes so many nanoseconds.
pub(crate) fn per_second(batch: f64) -> f64 {
    count(BATCH) * 1e9 / batch
}

/// A runtime of one thread, as a core of the server has.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks for each account once.
pub(crate) async fn fill(directory: &Directory, accounts: usize) {
    for from in (0..accounts).step_by(FILL) {
        let to = accounts.min(from + FILL);
        let ids: Vec<_> = (from..to)
            .map(|number| id(&world::account(number)))
            .collect();
        directory.resolve(&ids, Consistency::Fastest).await.unwrap();
    }
    // What was loaded last may be answered before it is kept.
    let all = async {
        while directory.figures().caches[0].entries < accounts as u64 {
            tokio::time::sleep(KEPT_AFTER).await;
        }
    };
    let kept = tokio::time::timeout(GIVE_UP, all).await;
    kept.expect("all accounts are cached");
}

pub(crate) fn id(text: &str) -> AccountId {
    text.try_into().unwrap()
}
