//! Many more accounts than are cached, asked about for as long as somebody soaks.

use std::time::Duration;

use tokio::time::Instant;

use super::beside_others;
use super::support::load::{Load, Target};
use super::support::oracle::Bounds;
use super::support::process::Process;
use super::support::replicas::{Fleet, Setup};
use super::support::soak::lasting_hours;
use super::support::{self, probe};

/// How often memory is looked at.
const LOOKS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_that_evict_all_the_time_need_no_more_memory() {
    let _beside = beside_others().await;
    let database = support::empty_database("churn");
    let setup = Setup {
        replicas: 0,
        // The program's defaults.
        bounds: Bounds {
            stale_after: Duration::from_secs(5),
            max_stale: Duration::from_secs(300),
        },
        partners: 200,
        accounts: 20,
        cold: 0,
        ..Setup::default()
    };
    let fleet = Fleet::start(&database, setup).await;
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--max-cached-accounts=400",
        "--max-cached-partners=40",
        "--max-cached-unknown=100",
        // On a busy machine: this is not about time.
        "--store-timeout=5s",
    ];
    let mut process = Process::serve(&database, &flags, &[], folder.path());
    let known = fleet.target(process.client().await, Some(&fleet.oracle));
    probe::until_ready(process.http).await;
    let unknown = Target {
        client: process.client().await,
        accounts: (0..4_000)
            .map(|number| (0, format!("nobody-{number}")))
            .collect(),
        oracle: None,
    };
    let pace = Duration::from_millis(1);
    let (known, unknown) = (
        Load::start(&[known], 12, pace),
        Load::start(&[unknown], 4, pace),
    );
    let changes = fleet.changes(Duration::from_millis(500));

    let time = lasting_hours(Duration::from_secs(10));
    let (mut resident, began) = (Vec::new(), Instant::now());
    let (mut checks, mut failed) = (0, 0);
    for look in 1..=LOOKS {
        tokio::time::sleep_until(began + time * look / LOOKS).await;
        resident.push(process.resident());
        let samples = known.take();
        (checks, failed) = (checks + samples.all.len(), failed + samples.failed());
        checks += unknown.take().all.len();
    }
    assert!(process.is_alive(), "{}", process.log());
    let tally = changes.stop().await;
    known.stop().await;
    unknown.stop().await;

    let median = |looks: &[u64]| {
        let mut looks = looks.to_vec();
        looks.sort_unstable();
        looks[looks.len() / 2]
    };
    // The first quarter fills the caches, and what the allocator keeps.
    let quarters: Vec<_> = resident.chunks(resident.len() / 4).map(median).collect();
    let (early, late) = (quarters[1], quarters[3]);
    println!(
        "eviction churn for {time:?}\n  {checks} checks, {failed} failed, {tally:?}\n  \
         resident {} KiB at first, {early} KiB in the second quarter, {late} KiB in the last",
        resident[0]
    );
    assert_eq!(failed, 0);
    assert!(late <= early + early / 20 + 2_048, "{resident:?} KiB");
}
