//! Caches that could hold the accounts, compared: reads chosen uniformly at random, memory of an
//! entry, how many of as many entries as the bound are there, and how many reads of a skewed
//! choice find something where a tenth fits.

use std::fmt;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::thread;

use anyhow::Context as _;
use portcullis::directory::{Keyed, Recent};
use portcullis::domain::{Account, AccountId, AccountProfile, Settings};

use crate::measure::{count, median, now};
use crate::memory::resident;
use crate::table::{Goal, Row, Unit};
use crate::world;

/// How many entries there are.
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const THREADS: [usize; 2] = [1, 2];
/// Reads in a span of which there are some, in each thread.
const READS: usize = 200_000;
const SPANS: usize = 9;
/// Of a choice of so many accounts a tenth fits.
const CHOICE: usize = 100_000;

/// A cache of accounts.
trait Candidate: Send + Sync {
    fn insert(&self, account: AccountProfile);
    fn is_there(&self, id: &AccountId) -> bool;
    /// What its bookkeeping puts off.
    fn settle(&self) {}
}

/// Which.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// The directory's own.
    Recent,
    /// `moka::sync`.
    Moka,
    /// `quick_cache::sync`.
    Quick,
    /// `papaya`, which has no bound.
    Papaya,
}

impl Which {
    const ALL: [Self; 4] = [Self::Recent, Self::Moka, Self::Quick, Self::Papaya];

    fn of(self, capacity: usize) -> Arc<dyn Candidate> {
        match self {
            Self::Recent => Arc::new(Recent::<Held>::new(capacity)),
            Self::Moka => Arc::new(Moka::new(capacity as u64)),
            Self::Quick => Arc::new(Quick::new(capacity)),
            Self::Papaya => Arc::new(Papaya::new()),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recent => "own",
            Self::Moka => "moka",
            Self::Quick => "quick_cache",
            Self::Papaya => "papaya",
        })
    }
}

struct Record {
    profile: AccountProfile,
    uses: AtomicU8,
}

struct Held(Arc<Record>);

impl Keyed for Held {
    fn key(&self) -> &str {
        self.0.profile.account.id.as_str()
    }

    fn uses(&self) -> &AtomicU8 {
        &self.0.uses
    }
}

type Moka = moka::sync::Cache<AccountId, Arc<Record>>;
type Quick = quick_cache::sync::Cache<AccountId, Arc<Record>>;
type Papaya = papaya::HashMap<AccountId, Arc<Record>>;

fn record(profile: AccountProfile) -> Arc<Record> {
    let uses = AtomicU8::new(0);
    Arc::new(Record { profile, uses })
}

impl Candidate for Recent<Held> {
    fn insert(&self, account: AccountProfile) {
        self.insert(Held(record(account)));
    }

    fn is_there(&self, id: &AccountId) -> bool {
        let found = self.read(id.as_str(), |held| Arc::clone(&held.0));
        black_box(found).is_some()
    }
}

impl Candidate for Moka {
    fn insert(&self, account: AccountProfile) {
        self.insert(account.account.id.clone(), record(account));
    }

    fn is_there(&self, id: &AccountId) -> bool {
        black_box(self.get(id)).is_some()
    }

    fn settle(&self) {
        self.run_pending_tasks();
    }
}

impl Candidate for Quick {
    fn insert(&self, account: AccountProfile) {
        self.insert(account.account.id.clone(), record(account));
    }

    fn is_there(&self, id: &AccountId) -> bool {
        black_box(self.get(id)).is_some()
    }
}

impl Candidate for Papaya {
    fn insert(&self, account: AccountProfile) {
        self.pin()
            .insert(account.account.id.clone(), record(account));
    }

    fn is_there(&self, id: &AccountId) -> bool {
        black_box(self.pin().get(id).map(Arc::clone)).is_some()
    }
}

/// All figures of caches.
///
/// # Errors
/// Where a child process fails.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entries in SIZES {
        let caches = Which::ALL.map(|which| (which, filled(which, entries)));
        for threads in THREADS {
            rows.extend(reads(&caches, entries, threads));
        }
    }
    for which in Which::ALL {
        rows.extend(memory(which)?);
    }
    rows.extend(Which::ALL.map(skewed));
    Ok(rows)
}

fn account(number: usize) -> AccountProfile {
    let account: Account = world::managed(number, 10_000);
    let settings = Settings::NONE;
    AccountProfile { account, settings }
}

fn id(number: usize) -> AccountId {
    world::account(number).as_str().try_into().unwrap()
}

fn filled(which: Which, entries: usize) -> Arc<dyn Candidate> {
    let cache = which.of(entries);
    (0..entries).for_each(|number| cache.insert(account(number)));
    cache.settle();
    cache
}

/// A span of each in turn, so that what changes on the machine changes them all.
fn reads(
    caches: &[(Which, Arc<dyn Candidate>)],
    entries: usize,
    threads: usize,
) -> impl Iterator<Item = Row> {
    let asked: Vec<AccountId> = (0..READS)
        .map(|number| id(world::random(number, entries)))
        .collect();
    let span = |cache: &dyn Candidate| {
        let began = now();
        for id in &asked {
            black_box(cache.is_there(id));
        }
        now().saturating_sub(began).as_secs_f64() * 1e9 / count(READS)
    };
    let mut took = vec![Vec::new(); caches.len()];
    for _ in 0..SPANS {
        for ((_, cache), took) in caches.iter().zip(&mut took) {
            let times: Vec<f64> = thread::scope(|scope| {
                let threads: Vec<_> = (0..threads)
                    .map(|_| scope.spawn(|| span(&**cache)))
                    .collect();
                let times = threads.into_iter().map(|thread| thread.join().unwrap());
                times.collect()
            });
            took.push(median(times));
        }
    }
    let figures: Vec<(Which, f64)> = caches
        .iter()
        .map(|(which, _)| *which)
        .zip(took.into_iter().map(median))
        .collect();
    figures.into_iter().map(move |(which, figure)| {
        let what = format!("read of {which}, {entries} entries, {threads} threads");
        Row::new(what, Goal::None, figure, Unit::Nanoseconds).of("processor time of a read")
    })
}

/// Memory of an entry and how many there are, of as many as the bound, in a child process.
fn memory(which: Which) -> anyhow::Result<[Row; 2]> {
    let program = std::env::current_exe()?;
    let child = Command::new(program)
        .args(["resident-cache", &which.to_string()])
        .output()?;
    anyhow::ensure!(child.status.success(), "{child:?}");
    let said = String::from_utf8(child.stdout)?;
    let (grown, there) = said.trim().split_once(' ').context("two figures")?;
    let (grown, there): (f64, f64) = (grown.parse()?, there.parse()?);
    let bytes = format!("memory of an entry of {which}");
    let entries = format!("entries of {which} when 1,000,000 of 1,000,000 were put there");
    Ok([
        Row::new(bytes, Goal::None, grown / there, Unit::Bytes).of("with the account itself"),
        Row::new(entries, Goal::None, there, Unit::Count),
    ])
}

/// The child: prints the bytes by which it grows, and how many entries there are then.
///
/// # Errors
/// Where there is no such cache, or the system does not tell.
pub fn print_resident(name: &str) -> anyhow::Result<()> {
    let which = Which::ALL
        .into_iter()
        .find(|which| which.to_string() == name);
    let which = which.context("no such cache")?;
    let [.., entries] = SIZES;
    let before = resident()?;
    let cache = filled(which, entries);
    let grown = resident()?.saturating_sub(before);
    let there = (0..entries).filter(|number| cache.is_there(&id(*number)));
    println!("{grown} {}", there.count());
    Ok(())
}

/// The share of reads that find their account, of a choice in which the n-th is asked for 1/n as
/// often as the first. What is not there is put there.
fn skewed(which: Which) -> Row {
    let cache = which.of(CHOICE / 10);
    let mut found = 0_usize;
    let reads = 10 * CHOICE;
    for number in 0..2 * reads {
        // 1/n in the mean, of a uniform choice between 0 and 1.
        let share = count(world::random(number, 1 << 30)) / f64::from(1 << 30);
        let rank = count(CHOICE).powf(share);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the choice"
        )]
        let place = rank as usize;
        let id = id(place);
        if cache.is_there(&id) {
            found += usize::from(number >= reads);
        } else {
            cache.insert(account(place));
        }
    }
    let what = format!("reads of {which} that find something where a tenth fits, Zipf");
    Row::new(what, Goal::None, count(found) / count(reads), Unit::Ratio)
}
