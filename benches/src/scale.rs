//! With Postgres: how soon a replica answers, what misses cost, and how soon a change is everywhere.
//!
//! Postgres is a server of this program's own, made from the machine's programs as for the tests, and
//! shares the processors with the replicas and the client.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use portcullis::proto::v1::policy_service_client::PolicyServiceClient;
use portcullis::store::Store as _;
use portcullis::store::postgres::{PostgresConfig, PostgresLimits, PostgresStore, migrate};
use tonic::transport::Channel;

use crate::measure::{count, median};
use crate::table::{Goal, Row, Unit};
use crate::wire::load::{Load, Shape};
use crate::wire::peer::Peer;
use crate::wire::request::{self, Requests};
use crate::world::{self, OF_A_PARTNER, Size};

#[path = "../../tests/support/cluster.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cluster;

use cluster::{Cluster, Database};

/// Accounts that are checked cold.
const COLD: usize = 100_000;
/// Misses of one account at once.
const MISSES: usize = 10_000;
/// Changes that are followed to every replica.
const CHANGES: usize = 300;
/// Replicas that a change has to reach.
const REPLICAS: usize = 3;
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// Replicas that are started one after the other over the same database.
const STARTS: usize = 3;
/// With fewer accounts it is over before all connections are made.
const ENOUGH: usize = 10_000;
/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rows, each as soon as it is measured.
///
/// # Errors
/// Where there is no Postgres, a server does not start, or a call fails.
pub fn rows(accounts: usize, on: &mut dyn FnMut(Row)) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cluster = Cluster::start();
    let partners = partners(accounts);
    let database = runtime.block_on(filled(&cluster, "scale", accounts))?;

    let program = std::env::current_exe()?;
    let (replica, ready) = start(&program, &database)?;
    let text = |what: &str| format!("{accounts} accounts in Postgres: {what}");
    on(Row::new(
        text("ready, with nothing cached, after"),
        Goal::AtMost(1_000.0),
        ready.as_secs_f64() * 1e3,
        Unit::Milliseconds,
    )
    .of("from the start of the process; readiness is looked at every 100 ms"));
    on(Row::new(
        text("misses"),
        Goal::AtLeast(5_000.0),
        cold(&replica, accounts)?,
        Unit::PerSecond,
    )
    .of("64 connections × 16 streams, each account asked about once"));
    on(Row::new(
        format!("{MISSES} misses of one account at once: queries"),
        Goal::AtMost(1.0),
        together(&replica, accounts)?,
        Unit::Count,
    )
    .of("100 connections × 100 streams"));
    let enforced = runtime.block_on(changes(&program, &database, replica))?;
    on(Row::new(
        "a change, committed to enforced on every replica, p99",
        Goal::AtMost(50.0),
        enforced.as_secs_f64() * 1e3,
        Unit::Milliseconds,
    )
    .of(format!("{CHANGES} changes, {REPLICAS} replicas")));
    let import = runtime.block_on(import(&cluster, accounts, partners))?;
    on(Row::new(
        text("an import of all of them"),
        Goal::None,
        import.as_secs_f64() * 1e3,
        Unit::Milliseconds,
    )
    .of("into an empty database, the file read already"));
    Ok(())
}

/// How soon a replica answers over a number of accounts, with nothing cached, and how many misses it
/// answers in a second; for each number, the medians of some replicas that are started one after the
/// other.
///
/// # Errors
/// Where there is no Postgres, a server does not start, or a call fails.
pub fn cold_starts<const N: usize>(
    accounts: [usize; N],
) -> anyhow::Result<[(Duration, Option<f64>); N]> {
    let runtime = tokio::runtime::Runtime::new()?;
    let cluster = Cluster::start();
    let program = std::env::current_exe()?;
    let mut figures = [(Duration::ZERO, None); N];
    for (accounts, figures) in accounts.into_iter().zip(&mut figures) {
        let name = format!("scale_{accounts}");
        let database = runtime.block_on(filled(&cluster, &name, accounts))?;
        let (mut ready, mut misses) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let (replica, after) = start(&program, &database)?;
            ready.push(after.as_secs_f64());
            if accounts >= ENOUGH {
                misses.push(cold(&replica, accounts)?);
            }
        }
        let misses = (!misses.is_empty()).then(|| median(misses));
        *figures = (Duration::from_secs_f64(median(ready)), misses);
    }
    Ok(figures)
}

/// Of how many partners so many accounts are.
fn partners(accounts: usize) -> usize {
    (accounts / OF_A_PARTNER).max(1)
}

/// A database with so many accounts.
async fn filled(cluster: &Cluster, name: &str, accounts: usize) -> anyhow::Result<Database> {
    let database = cluster.database(name);
    migrate(&config(&database)?).await?;
    fill(&database, accounts, partners(accounts));
    Ok(database)
}

fn config(database: &Database) -> anyhow::Result<PostgresConfig> {
    let limits = PostgresLimits {
        import_timeout: Duration::from_secs(1_800),
        ..PostgresLimits::default()
    };
    Ok(PostgresConfig::parse(database.url(), None, limits)?)
}

/// The same accounts as `world` makes.
fn fill(database: &Database, accounts: usize, partners: usize) {
    database.write(&format!(
        "INSERT INTO account (id, kind, revision)
            SELECT 'partner-' || lpad(n::text, 5, '0'), 'partner', revision
            FROM generate_series(0, {partners} - 1) n, policy_revision;
        INSERT INTO account (id, kind, partner_id, support, revision)
            SELECT 'account-' || lpad(n::text, 7, '0'), 'managed',
                'partner-' || lpad((n % {partners})::text, 5, '0'), 'partner', revision
            FROM generate_series(0, {accounts} - 1) n, policy_revision"
    ));
    database.sql("ANALYZE");
}

/// Starts a replica: it, and how long it took until it was ready.
fn start(program: &Path, database: &Database) -> anyhow::Result<(Peer, Duration)> {
    let began = now();
    let replica = Peer::start(program, &["serve", "postgres", database.url()])?;
    while !replica.probe("/readyz")?.starts_with("HTTP/1.1 200") {
        ensure!(began.elapsed() < PATIENCE, "a replica is not ready");
        sleep(PAUSE);
    }
    Ok((replica, began.elapsed()))
}

/// How many accounts are checked in a second that were never asked about.
fn cold(replica: &Peer, accounts: usize) -> anyhow::Result<f64> {
    // The last accounts are for other rows.
    let asked = COLD.min(accounts.saturating_sub(10));
    let requests = Requests {
        path: Requests::checks(1).path,
        messages: (0..asked)
            .map(|number| request::framed(&request::check(number)))
            .collect(),
    };
    let shape = Shape {
        connections: 64,
        streams: 16,
    };
    let began = now();
    Load::run(replica.address, shape, requests, asked)?;
    Ok(count(asked) / began.elapsed().as_secs_f64())
}

/// How many queries it takes to answer thousands who ask about one account at once.
fn together(replica: &Peer, accounts: usize) -> anyhow::Result<f64> {
    let requests = Requests {
        path: Requests::checks(1).path,
        messages: vec![request::framed(&request::check(accounts - 1))],
    };
    let shape = Shape {
        connections: 100,
        streams: 100,
    };
    let before = loads(replica)?;
    Load::run(replica.address, shape, requests, MISSES)?;
    Ok(loads(replica)? - before)
}

/// How many loads of accounts the replica has asked its store for.
fn loads(replica: &Peer) -> anyhow::Result<f64> {
    let page = replica.probe("/metrics")?;
    let of_loads = page.lines().filter(|line| {
        line.starts_with("portcullis_store_query_seconds_count") && line.contains(LOAD)
    });
    let counts = of_loads.map(|line| line.rsplit(' ').next().and_then(|count| count.parse().ok()));
    let counts: Option<Vec<f64>> = counts.collect();
    let counts = counts.filter(|counts| !counts.is_empty());
    Ok(counts.context("no count of loads")?.iter().sum())
}

/// The query that loads accounts, as metrics name it.
const LOAD: &str = "query=\"accounts\"";

/// How long after a change was answered all replicas decide by it: of a hundred changes all but one.
async fn changes(program: &Path, database: &Database, first: Peer) -> anyhow::Result<Duration> {
    let mut replicas = vec![first];
    while replicas.len() < REPLICAS {
        replicas.push(start(program, database)?.0);
    }
    let mut clients = Vec::new();
    for replica in &replicas {
        let channel = Channel::from_shared(format!("http://{}", replica.address))?;
        clients.push(AuthorizationServiceClient::new(channel.connect().await?));
    }
    let channel = Channel::from_shared(format!("http://{}", replicas[0].address))?;
    let mut policies = PolicyServiceClient::new(channel.connect().await?);
    let mut took = Vec::with_capacity(CHANGES);
    for number in 0..CHANGES {
        let (setting, want) = match number % 2 {
            0 => (v1::Setting::On, v1::Effect::Allow),
            _ => (v1::Setting::Off, v1::Effect::Deny),
        };
        let settings = [("pricing.view".to_owned(), setting.into())].into();
        let change = v1::UpdatePartnerPolicyRequest {
            partner_id: world::partner(0),
            settings,
            ..v1::UpdatePartnerPolicyRequest::default()
        };
        policies.update_partner_policy(change).await?;
        let committed = now();
        for client in &mut clients {
            loop {
                let answer = client.check_feature(request::check(0)).await?.into_inner();
                if answer.effect() == want {
                    break;
                }
                ensure!(committed.elapsed() < PATIENCE, "a change is not enforced");
                tokio::time::sleep(PAUSE).await;
            }
        }
        took.push(committed.elapsed());
    }
    took.sort();
    let place = took.len() * 99 / 100;
    Ok(took[place])
}

/// How long it takes to import everything into an empty database.
async fn import(cluster: &Cluster, accounts: usize, partners: usize) -> anyhow::Result<Duration> {
    let database = cluster.database("import");
    migrate(&config(&database)?).await?;
    let store = PostgresStore::new(config(&database)?)?;
    let import = world::import(Size {
        accounts,
        partners,
        locations: 143,
        offers: 8,
    });
    let began = now();
    store.import(&import, &|_| {}).await?;
    Ok(began.elapsed())
}

#[expect(
    clippy::disallowed_methods,
    reason = "measured is time of this machine"
)]
fn now() -> Instant {
    Instant::now()
}
