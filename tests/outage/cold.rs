//! Nothing is cached, or nothing can be read: what misses cost, and whom.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::store::postgres::PostgresLimits;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_postgres::NoTls;
use tonic::{Code, Request};

use super::support::load::{Load, Outcome};
use super::support::proxy::Network;
use super::support::replicas::{FEATURE, Fleet, Setup};
use super::support::requests::check;
use super::support::{self, within};
use super::{alone, assert_undisturbed};

/// Another session holds the lock of a table, so that every connection of every replica's pool is
/// taken by a load that waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_taken_disturbs_nobody_who_is_cached() {
    let _alone = alone().await;
    let setup = Setup {
        limits: PostgresLimits {
            pool_size: 2,
            ..PostgresLimits::default()
        },
        ..Setup::default()
    };
    let fleet = Fleet::start(&support::empty_database("taken"), setup).await;
    fleet.settle().await;
    let (_control, control) = fleet.control().await;
    let load = fleet.load();
    let before = load.measure(Duration::from_secs(1)).await;

    let (client, connection) = tokio_postgres::connect(fleet.database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE";
    client.batch_execute(lock).await.unwrap();
    load.take();
    control.take();
    let deadline = Duration::from_millis(500);
    let mut misses = JoinSet::new();
    for _ in 0..8 {
        for replica in &fleet.replicas {
            let (mut client, account) = (replica.client.clone(), fleet.cold());
            misses.spawn(async move {
                let mut request = Request::new(check(&account, FEATURE));
                request.set_timeout(deadline);
                let sent = Instant::now();
                let status = client.check_feature(request).await.unwrap_err();
                (status.code(), sent.elapsed())
            });
        }
    }
    let misses = misses.join_all().await;
    let during = load.measure(Duration::from_secs(1)).await;
    let beside = control.stop().await;
    client.batch_execute("ROLLBACK").await.unwrap();
    let released = Instant::now();
    for replica in &fleet.replicas {
        within("a miss", async {
            while replica.check(&fleet.cold()).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let recovered_after = released.elapsed();
    load.stop().await;

    let slowest = misses.iter().map(|(_, took)| *took).max().unwrap();
    println!(
        "every pooled connection taken\n  cached, before {before}\n  cached, during {during}\n  \
         beside, no Postgres {beside}\n  \
         {} misses, the slowest told after {slowest:.1?}\n  recovered after {recovered_after:.1?}",
        misses.len()
    );
    assert!(
        during.outcomes().into_keys().eq(["Fresh".to_owned()]),
        "{during}"
    );
    assert_undisturbed(&before, &during, &beside);
    for (code, took) in misses {
        assert!(
            matches!(code, Code::Unavailable | Code::DeadlineExceeded),
            "{code}"
        );
        let accepted = deadline + beside.times().max();
        assert!(took <= accepted, "{took:?}, accepted {accepted:?}");
    }
    assert!(
        recovered_after <= Duration::from_secs(2),
        "{recovered_after:?}"
    );
}

/// Many callers wait for replicas that have not reached Postgres yet, and then do, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_cold_under_load_read_each_account_once() {
    let _alone = alone().await;
    let database = support::empty_database("cold");
    let setup = Setup {
        network: Network::Swallows,
        // It is the number of queries that is looked at: none is to be sent again for its time.
        limits: support::patience(),
        accounts: 3,
        ..Setup::default()
    };
    let most = setup.limits.pool_size + 2;
    let fleet = Fleet::start_cold(&database, setup).await;
    let (name, logged) = (database.name(), support::shared().log().len());
    database.sql(&format!("ALTER DATABASE {name} SET log_statement = 'all'"));
    let load = Load::start_alike(
        &fleet.targets(Some(&fleet.oracle)),
        6,
        Duration::from_millis(1),
    );
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    // So that all of them are waiting.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = load.take();

    let began = Instant::now();
    for replica in &fleet.replicas {
        replica.proxy.set(Network::Passes);
    }
    let mut connections = BTreeMap::new();
    let counted = "SELECT application_name, count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'replica-%' GROUP BY 1";
    while began.elapsed() < Duration::from_secs(2) {
        for row in client.query(counted, &[]).await.unwrap() {
            let seen: &mut i64 = connections.entry(row.get::<_, String>(0)).or_default();
            *seen = row.get::<_, i64>(1).max(*seen);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = load.stop().await;
    // On a busy machine the load may not have come to the last of them.
    fleet.settle().await;
    let log = support::shared().log().split_off(logged);
    let mut loads = BTreeMap::new();
    let mut queries = 0;
    for parameters in log.lines().filter_map(|line| line.split_once("$1 = '{")) {
        queries += 1;
        let (accounts, _) = parameters.1.split_once('}').unwrap();
        for account in accounts.split(',') {
            *loads.entry(account.to_owned()).or_default() += 1;
        }
    }

    let accounts = loads.len();
    println!(
        "cold under load\n  before {before}\n  after  {after}\n  \
         {queries} queries for {accounts} accounts on 3 replicas; connections at most {connections:?}"
    );
    assert_eq!(before.last(Outcome::Fresh), None, "{before}");
    assert_eq!(after.failed(), 0, "{after}");
    assert_eq!(connections.len(), fleet.replicas.len());
    for (replica, connections) in connections {
        assert!(
            connections <= i64::try_from(most).unwrap(),
            "{replica}: {connections}"
        );
    }
    let once_each = fleet.accounts().iter().map(|(_, account)| account.clone());
    let once_each: BTreeMap<_, _> = once_each.map(|account| (account, 3)).collect();
    assert_eq!(loads, once_each);
}
