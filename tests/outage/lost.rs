//! Postgres is killed or hangs, and comes back.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio::time::Instant;
use tonic::Code;

use super::support::load::{Outcome, Times};
use super::support::oracle::Bounds;
use super::support::probe;
use super::support::process::resident_here;
use super::support::replicas::{Fleet, Replica, Setup};
use super::support::soak::lasting;
use super::support::{Cluster, within};
use super::{alone, assert_undisturbed, beside_others};

/// How long whoever asks about an account that is not cached may wait to be told that the store
/// is out of reach.
const TOLD_WITHIN: Duration = Duration::from_millis(250);

/// How many callers ask each replica about what is not cached, all the time.
const CALLERS: usize = 8;

/// How soon after the return of Postgres answers are fresh.
const FRESH_WITHIN: Duration = Duration::from_secs(5);

/// Tests take seconds, and a soak as long as the defaults are meant for.
fn setup() -> Setup {
    let bounds = |stale_after, max_stale| Bounds {
        stale_after: Duration::from_secs(stale_after),
        max_stale: Duration::from_secs(max_stale),
    };
    Setup {
        bounds: lasting(bounds(1, 60), bounds(5, 300)),
        poll_interval: lasting(Duration::from_millis(200), Duration::from_secs(1)),
        ..Setup::default()
    }
}

/// What the outage did to calls, beside the figures that it prints.
async fn outage(what: &str, length: Duration, fail: fn(&Cluster), heal: fn(&Cluster)) {
    let cluster = Cluster::start();
    let fleet = Fleet::start(&cluster.database("outage"), setup()).await;
    let bounds = fleet.setup.bounds;
    let (_control, control) = fleet.control().await;
    let load = fleet.load();

    let changes = fleet.changes(Duration::from_millis(50));
    let changing = load.measure(Duration::from_secs(1)).await;
    let tally = changes.stop().await;
    assert_eq!((tally.refused, tally.repeated), (0, 0));
    assert!(tally.written > 3, "{tally:?}");
    assert_eq!(changing.failed(), 0, "{changing}");
    fleet.settle().await;
    let before = load
        .measure(lasting(Duration::from_secs(2), Duration::from_secs(20)))
        .await;
    assert_eq!(before.last(Outcome::Stale), None, "{before}");
    let (tasks, memory) = (
        Handle::current().metrics().num_alive_tasks(),
        resident_here(),
    );

    control.take();
    load.take();
    let began = Instant::now();
    block_in_place(|| fail(&cluster));
    let gone = Instant::now();
    let changes = fleet.changes(Duration::from_millis(100));
    let callers = fleet.replicas.iter().flat_map(|replica| [replica; CALLERS]);
    let callers = callers.map(|replica| ask_about_uncached(&fleet, replica, gone + length));
    let most_tasks = async {
        let mut most = 0;
        while gone.elapsed() < length {
            most = most.max(Handle::current().metrics().num_alive_tasks());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let (told, most_tasks) = tokio::join!(join_all(callers), most_tasks);
    let told = Times::new(told.concat());
    let more_memory = resident_here().saturating_sub(memory);
    let during = load.take();
    changes.begin_stop();
    block_in_place(|| heal(&cluster));
    let back = Instant::now();
    for replica in &fleet.replicas {
        let fresh = async {
            while replica.check(&fleet.accounts()[0].1).await.unwrap().stale {
                tokio::task::yield_now().await;
            }
        };
        within("fresh", fresh).await;
    }
    let fresh_after = back.elapsed();
    let refused = changes.stop().await;
    let returning = load.take();
    let control = control.stop().await;

    // And changes are made and seen as before.
    let changes = fleet.changes(Duration::from_millis(50));
    let after = load.measure(Duration::from_secs(1)).await;
    let tally = changes.stop().await;
    fleet.settle().await;
    load.stop().await;

    println!(
        "{what} for {length:?}\n  \
         cached, before    {before}\n  cached, during    {during}\n  \
         cached, returning {returning}\n  changing, after   {after}\n  \
         beside, no Postgres {control}\n  not cached        {told}\n  \
         fresh again after {fresh_after:.1?}\n  changes during    {refused:?}\n  \
         tasks {tasks} before, {most_tasks} at most; memory +{more_memory} KiB"
    );
    assert_eq!((during.failed(), returning.failed()), (0, 0));
    assert_undisturbed(&before, &during, &control);
    let stale_from = gone + bounds.stale_after;
    let last_fresh = during.last(Outcome::Fresh).unwrap();
    assert!(
        last_fresh < stale_from,
        "fresh {:?} late",
        last_fresh - stale_from
    );
    // A poll may have been due, and its answer under way.
    let spared = fleet.setup.poll_interval + Duration::from_millis(300);
    let early = during.between(began, began + bounds.stale_after - spared);
    assert_eq!(early.last(Outcome::Stale), None, "{early}");
    // And what this machine takes for a call at all.
    let accepted = TOLD_WITHIN + control.times().max();
    assert!(told.max() <= accepted, "{told}; accepted {accepted:?}");
    assert!(fresh_after <= FRESH_WITHIN, "{fresh_after:?}");
    // Nothing was reported as done but what was repeated until Postgres was back.
    assert_eq!(refused.written, refused.repeated, "{refused:?}");
    assert_eq!((tally.refused, tally.repeated), (0, 0), "{tally:?}");
    assert_eq!(after.failed(), 0, "{after}");
    // Those that ask, and for each connection those that make, use, pass and cancel it.
    let accepted = tasks + 3 * (CALLERS * 2 + fleet.setup.limits.pool_size * 5);
    assert!(most_tasks < accepted, "{most_tasks}, accepted {accepted}");
    assert!(more_memory < 64 << 10, "{more_memory} KiB more");
}

/// Asks a replica about accounts that it has not cached, until this instant: how long each call was
/// left waiting to be told that the store is out of reach.
async fn ask_about_uncached(fleet: &Fleet, replica: &Replica, until: Instant) -> Vec<Duration> {
    let mut told = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        let status = replica.check(&fleet.cold()).await.unwrap_err();
        told.push(sent.elapsed());
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    told
}

/// Killed as by a machine that fails, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_costs_cached_accounts_nothing() {
    let _alone = alone().await;
    let length = lasting(Duration::from_secs(4), Duration::from_secs(120));
    outage("killed", length, Cluster::kill, Cluster::start_again).await;
}

/// Every process of it stopped where it is: connections stay open, new ones are taken by the
/// kernel, and nobody answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_hangs_costs_cached_accounts_nothing() {
    let _alone = alone().await;
    let length = lasting(Duration::from_secs(4), Duration::from_secs(60));
    outage("hangs", length, Cluster::freeze, Cluster::thaw).await;
}

/// An outage that lasts longer than anybody may rely on what is cached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_longer_ago_than_max_stale_is_no_answer_any_more() {
    let _beside = beside_others().await;
    let cluster = Cluster::start();
    let mut setup = setup();
    setup.bounds.max_stale = lasting(Duration::from_secs(3), Duration::from_secs(60));
    let Bounds {
        stale_after,
        max_stale,
    } = setup.bounds;
    let fleet = Fleet::start(&cluster.database("max_stale"), setup).await;
    fleet.settle().await;
    let load = fleet.load();
    // So that every client has its turn.
    load.measure(Duration::from_millis(200)).await;

    let began = Instant::now();
    block_in_place(|| cluster.kill());
    let gone = Instant::now();
    tokio::time::sleep_until(began + stale_after).await;
    assert_eq!(probes(&fleet).await, [[200, 200]; 3]);
    tokio::time::sleep_until(gone + max_stale + Duration::from_millis(500)).await;
    assert_eq!(probes(&fleet).await, [[200, 503]; 3]);
    let during = load.take();
    block_in_place(|| cluster.start_again());
    let back = Instant::now();
    for replica in &fleet.replicas {
        probe::until_ready(replica.server.http).await;
    }
    let ready_after = back.elapsed();
    fleet.settle().await;
    load.take();
    let after = load.measure(Duration::from_millis(500)).await;

    let last_stale = during.last(Outcome::Stale).unwrap() - gone;
    println!(
        "killed for longer than {max_stale:?}\n  \
         during {during}\n  last stale answer to a call of {last_stale:.1?} after\n  \
         ready again {ready_after:.1?} after its return\n  after  {after}"
    );
    assert!(last_stale < max_stale, "{last_stale:?}");
    let end = Instant::now();
    let late = during.between(gone + max_stale, end);
    let unavailable = format!("{:?}", Outcome::Failed(Code::Unavailable));
    assert!(late.outcomes().into_keys().eq([unavailable]), "{late}");
    let spared = fleet.setup.poll_interval + Duration::from_millis(300);
    let early = during.between(began, began + max_stale - spared);
    assert_eq!(early.failed(), 0, "{early}");
    assert!(ready_after <= FRESH_WITHIN, "{ready_after:?}");
    assert!(
        after.outcomes().into_keys().eq(["Fresh".to_owned()]),
        "{after}"
    );
}

/// What `/livez` and `/readyz` of each replica answer.
async fn probes(fleet: &Fleet) -> Vec<[u16; 2]> {
    let mut answers = Vec::new();
    for replica in &fleet.replicas {
        let http = replica.server.http;
        let (live, ..) = probe::ask(http, "GET", "/livez").await;
        let (ready, ..) = probe::ask(http, "GET", "/readyz").await;
        answers.push([live, ready]);
    }
    answers
}
