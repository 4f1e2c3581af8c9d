//! Somebody asks about accounts that there are none of, as fast as that goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::support::load::{Load, Times};
use super::support::process::Process;
use super::support::replicas::{FEATURE, Fleet, Setup};
use super::support::requests::{batch, check};
use super::support::server::Client;
use super::support::soak::lasting;
use super::support::{self, Database, probe};
use super::{alone, assert_undisturbed};

/// Calls of the flood at once.
const AT_ONCE: usize = 16;
/// Accounts in each.
const EACH: usize = 1_000;
/// How many unknown accounts are remembered.
const REMEMBERED: usize = 20_000;

/// What became of the flood.
#[derive(Debug, Default)]
struct Flood {
    next: AtomicUsize,
    calls: AtomicUsize,
    shed: AtomicUsize,
}

impl Flood {
    /// Asks about the next thousand accounts, again and again, up to `until`.
    async fn go_on(self: Arc<Self>, mut client: Client, until: usize) {
        loop {
            let from = self.next.fetch_add(EACH, Ordering::Relaxed);
            if from >= until {
                return;
            }
            let ids: Vec<_> = (from..from + EACH)
                .map(|id| format!("nobody-{id:x}"))
                .collect();
            let checks = batch(ids.iter().map(|id| (id.as_str(), FEATURE)));
            self.calls.fetch_add(1, Ordering::Relaxed);
            match client.batch_check_features(checks).await {
                Ok(answer) => assert_eq!(answer.into_inner().results.len(), EACH),
                Err(status) => {
                    assert!(
                        matches!(status.code(), Code::ResourceExhausted | Code::Unavailable),
                        "{status:?}"
                    );
                    self.shed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// How many transactions were committed in a database; each query of the service is one.
fn transactions(database: &Database) -> u64 {
    let committed = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    tokio::task::block_in_place(|| database.sql(committed))
        .parse()
        .unwrap()
}

/// An account that nobody has asked about yet, every now and then: how long each took.
async fn legitimate(client: Client, fleet: &Fleet, stop: &CancellationToken) -> (Times, usize) {
    let (mut times, mut failed) = (Vec::new(), 0);
    while !stop.is_cancelled() {
        let mut client = client.clone();
        let mut request = Request::new(check(&fleet.cold(), FEATURE));
        request.set_timeout(Duration::from_secs(5));
        let sent = Instant::now();
        failed += usize::from(client.check_feature(request).await.is_err());
        times.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (Times::new(times), failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_accounts_is_bounded_and_disturbs_nobody() {
    let _alone = alone().await;
    let database = support::empty_database("unknown");
    let setup = Setup {
        replicas: 0,
        cold: 20_000,
        ..Setup::default()
    };
    let fleet = Fleet::start(&database, setup).await;
    let folder = tempfile::tempdir().unwrap();
    let remembered = format!("--max-cached-unknown={REMEMBERED}");
    let flags = [
        remembered.as_str(),
        "--store-timeout=5s",
        "--stale-after=30s",
        "--request-timeout=30s",
    ];
    let process = Process::serve(&database, &flags, &[], folder.path());
    probe::until_ready(process.http).await;
    let (_control, control) = fleet.control().await;
    let cached = fleet.target(process.client().await, None);
    let load = Load::start(&[cached], 2, Duration::from_millis(8));
    let before = load.measure(Duration::from_secs(2)).await;

    // At a pace that leaves the machine to others: what is seen then is not its being busy.
    load.take();
    control.take();
    let stop = CancellationToken::new();
    let paced = async {
        let mut client = process.client().await;
        let mut turn = tokio::time::interval(Duration::from_millis(100));
        for call in 0..lasting(50, 600) {
            turn.tick().await;
            let ids: Vec<_> = (0..100).map(|id| format!("paced-{call}-{id}")).collect();
            let checks = batch(ids.iter().map(|id| (id.as_str(), FEATURE)));
            client.batch_check_features(checks).await.unwrap();
        }
        stop.cancel();
    };
    let ((), (paced, paced_failed)) =
        tokio::join!(paced, legitimate(process.client().await, &fleet, &stop));
    let beside_paced = control.take();
    let during_paced = load.take();

    // And as fast as it goes.
    let accounts = lasting(60_000, 1_000_000);
    let flood = Arc::new(Flood::default());
    let (queries, began) = (transactions(&database), Instant::now());
    let stop = CancellationToken::new();
    let attackers = async {
        let mut half = 0;
        // In two halves: what the first needed of memory, the second needs no more of.
        for until in [accounts / 2, accounts] {
            flood.next.store(until - accounts / 2, Ordering::Relaxed);
            let mut attackers = JoinSet::new();
            for _ in 0..AT_ONCE {
                let client = process.client().await;
                attackers.spawn(Arc::clone(&flood).go_on(client, until));
            }
            attackers.join_all().await;
            half = if half == 0 { process.resident() } else { half };
        }
        stop.cancel();
        half
    };
    let legitimate = legitimate(process.client().await, &fleet, &stop);
    let (half, (told, failed)) = tokio::join!(attackers, legitimate);
    let took = began.elapsed();
    let during = load.stop().await;
    let beside = control.stop().await;
    let queries = transactions(&database) - queries;
    let resident = process.resident();
    let (calls, shed) = (
        flood.calls.load(Ordering::Relaxed),
        flood.shed.load(Ordering::Relaxed),
    );
    println!(
        "a thousand unknown accounts a second\n  cached, before {before}\n  cached, during {during_paced}\n  \
         beside, no Postgres {beside_paced}\n  not cached     {paced}, {paced_failed} failed\n\
         {accounts} unknown accounts in {took:.1?}, {calls} calls, {shed} of them shed\n  \
         cached, during {during}\n  beside, no Postgres {beside}\n  \
         not cached     {told}, {failed} failed\n  \
         {queries} queries, {:.0} a second\n  resident {half} KiB after half of them, {resident} KiB after all",
        queries as f64 / took.as_secs_f64()
    );
    assert_eq!((during_paced.failed(), paced_failed), (0, 0));
    assert_undisturbed(&before, &during_paced, &beside_paced);
    assert_eq!((during.failed(), failed), (0, 0), "{during}");
    // A load for each call of the flood and each legitimate miss at most, and what polls every second.
    let most = calls + told.count() + 20 * (usize::try_from(took.as_secs()).unwrap() + 5);
    assert!(
        queries <= u64::try_from(most).unwrap(),
        "{queries} queries, accepted {most}"
    );
    let slowest = paced.percentile(99);
    let accepted = Duration::from_millis(250).max(beside_paced.times().max() * 4);
    assert!(
        slowest <= accepted,
        "p99 {slowest:?}, accepted {accepted:?}"
    );
    assert!(
        resident <= half + half / 10 + 8_192,
        "{half} KiB, then {resident} KiB"
    );
}
