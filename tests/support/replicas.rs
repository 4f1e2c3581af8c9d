//! Replicas over one Postgres, each through a proxy of its own, with data, a load and changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::app::StoreChoice;
use portcullis::directory::DirectoryConfig;
use portcullis::domain::{Account, AccountId, AccountKind, FeatureKey, Setting, SupportProvider};
use portcullis::proto::v1;
use portcullis::store::postgres::{PostgresConfig, PostgresLimits, PostgresStore, migrate};
use portcullis::store::{Import, Line, PolicyImport, Store as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use super::load::{Load, Target};
use super::oracle::{Bounds, Oracle};
use super::policies::{Policies, keyed, update};
use super::proxy::{Network, Proxy};
use super::requests::{batch, check};
use super::server::{self, Client, Server};
use super::{Database, patient, within};

/// The feature that partners switch here.
pub const FEATURE: &str = "pricing.view";

/// How long a change may take before nobody waits for its answer any more.
const CHANGE_WITHIN: Duration = Duration::from_secs(2);

/// How replicas are set up. The durations are shorter than the defaults, so that seconds show what
/// otherwise takes minutes.
#[derive(Debug, Clone)]
pub struct Setup {
    pub replicas: usize,
    pub bounds: Bounds,
    pub poll_interval: Duration,
    /// What the network to Postgres does when replicas start.
    pub network: Network,
    pub limits: PostgresLimits,
    pub partners: usize,
    /// Managed accounts of each partner.
    pub accounts: usize,
    /// Direct accounts, which only [`Fleet::cold`] names.
    pub cold: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            replicas: 3,
            bounds: Bounds {
                stale_after: Duration::from_secs(1),
                max_stale: Duration::from_secs(60),
            },
            poll_interval: Duration::from_millis(200),
            network: Network::Passes,
            limits: PostgresLimits::default(),
            partners: 10,
            accounts: 10,
            cold: 2_000,
        }
    }
}

/// The replicas.
#[derive(Debug)]
pub struct Fleet {
    pub replicas: Vec<Replica>,
    pub setup: Setup,
    pub oracle: Arc<Oracle>,
    pub database: Database,
    /// By partner's number, every managed account.
    accounts: Arc<[(usize, String)]>,
    next_cold: AtomicUsize,
    /// One more server, with no proxy, that changes are made through.
    _writer: Server,
    policies: Policies,
}

/// One of them.
#[derive(Debug)]
pub struct Replica {
    pub server: Server,
    pub proxy: Proxy,
    pub client: Client,
}

impl Fleet {
    /// Puts data into an empty database, and starts replicas that have looked at it.
    pub async fn start(database: &Database, setup: Setup) -> Self {
        let fleet = Self::start_cold(database, setup).await;
        within("all ready", fleet.ready()).await;
        fleet
    }

    /// The same, not waiting until they have looked at it.
    pub async fn start_cold(database: &Database, setup: Setup) -> Self {
        let revision = fill(database, &setup).await;
        let oracle = Oracle::new(setup.partners, true, revision, setup.bounds, Instant::now());
        let mut replicas = Vec::new();
        for number in 0..setup.replicas {
            replicas.push(Replica::start(database, &setup, number).await);
        }
        let writer = server::config(StoreChoice::Postgres(patient(database)));
        let writer = Server::start(writer).await;
        Self {
            replicas,
            oracle: Arc::new(oracle),
            database: database.clone(),
            accounts: accounts(&setup).collect(),
            next_cold: AtomicUsize::new(0),
            policies: writer.policies().await,
            _writer: writer,
            setup,
        }
    }

    /// Waits until every replica answers from the store.
    pub async fn ready(&self) {
        for replica in &self.replicas {
            while replica.check(&self.accounts[0].1).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Every managed account, with the number of its partner.
    pub fn accounts(&self) -> &[(usize, String)] {
        &self.accounts
    }

    /// An account that no replica was asked about, or only so long ago that all other cold ones
    /// came in between.
    pub fn cold(&self) -> String {
        cold(self.next_cold.fetch_add(1, Ordering::Relaxed) % self.setup.cold)
    }

    /// Asks every replica about every managed account until each has applied all changes and has
    /// all of them cached. Nothing may change meanwhile.
    pub async fn settle(&self) {
        let revision = self.oracle.revision();
        for replica in &self.replicas {
            within("the revision", async {
                while replica.revision(&self.accounts).await < revision {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            // What was answered at the revision by a load that was ahead of the feed is cached now.
            replica.revision(&self.accounts).await;
        }
    }

    /// A load on every replica, judged by the oracle.
    pub fn load(&self) -> Load {
        Load::start(&self.targets(Some(&self.oracle)), 2, PACE)
    }

    /// Every replica, as what a load asks, and who judges the answers.
    pub fn targets(&self, oracle: Option<&Arc<Oracle>>) -> Vec<Target> {
        let target = |replica: &Replica| self.target(replica.client.clone(), oracle);
        self.replicas.iter().map(target).collect()
    }

    /// A server, as what a load asks about every managed account.
    pub fn target(&self, client: Client, oracle: Option<&Arc<Oracle>>) -> Target {
        Target {
            client,
            accounts: Arc::clone(&self.accounts),
            oracle: oracle.cloned(),
        }
    }

    /// A load like one replica's on a server without Postgres: how it is answered says how busy
    /// this machine is with other things.
    pub async fn control(&self) -> (Server, Load) {
        let store = StoreChoice::Memory(data(&self.setup));
        let server = Server::start(server::config(store)).await;
        let target = self.target(server.client().await, None);
        (server, Load::start(&[target], 2, PACE))
    }

    /// Changes one partner's setting after the other, one each `pace`, until it is stopped.
    pub fn changes(&self, pace: Duration) -> Changes {
        let stop = CancellationToken::new();
        let (oracle, policies) = (Arc::clone(&self.oracle), self.policies.clone());
        let (partners, stopped) = (self.setup.partners, stop.clone());
        let task = tokio::spawn(async move {
            let mut tally = Tally::default();
            let mut turn = tokio::time::interval(pace);
            for number in 0.. {
                if stopped.run_until_cancelled(turn.tick()).await.is_none() {
                    break;
                }
                let (partner, on) = (number % partners, number / partners % 2 == 1);
                let (outcome, repeated) = change(&policies, &oracle, partner, on).await;
                tally.repeated += usize::from(repeated);
                match outcome {
                    Ok(_) => tally.written += 1,
                    Err(_) => tally.refused += 1,
                }
            }
            tally
        });
        Changes { stop, task }
    }

    /// Changes one partner's setting: the revision that this made.
    ///
    /// # Errors
    /// Why it was refused. Then it was not made.
    pub async fn change(&self, partner: usize, on: bool) -> Result<u64, Status> {
        change(&self.policies, &self.oracle, partner, on).await.0
    }

    /// Waits until every replica answers freshly, and by this setting, about an account of this
    /// partner: how long after `since` the last one did.
    pub async fn enforced(&self, partner: usize, on: bool, since: Instant) -> Duration {
        let account = &self
            .accounts
            .iter()
            .find(|(of, _)| *of == partner)
            .unwrap()
            .1;
        let mut slowest = Duration::ZERO;
        for replica in &self.replicas {
            let enforced = async {
                loop {
                    if let Ok(answer) = replica.check(account).await
                        && !answer.stale
                        && (answer.effect() == v1::Effect::Allow) == on
                    {
                        return since.elapsed();
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            slowest = slowest.max(within("a change on every replica", enforced).await);
        }
        slowest
    }
}

/// How often a client of a load asks at most: with two clients on each replica about half of what
/// one core does.
const PACE: Duration = Duration::from_millis(8);

impl Replica {
    async fn start(database: &Database, setup: &Setup, number: usize) -> Self {
        let proxy = Proxy::start(database.port()).await;
        proxy.set(setup.network);
        let (port, name) = (proxy.port(), database.name());
        let url = format!(
            "postgres://postgres@127.0.0.1:{port}/{name}?application_name=replica-{number}"
        );
        let store = PostgresConfig::parse(&url, None, setup.limits).unwrap();
        let mut config = server::config(StoreChoice::Postgres(store));
        config.directory = DirectoryConfig {
            stale_after: setup.bounds.stale_after,
            max_stale: setup.bounds.max_stale,
            poll_interval: setup.poll_interval,
            ..DirectoryConfig::default()
        };
        let server = Server::start(config).await;
        let client = server.client().await;
        Self {
            server,
            proxy,
            client,
        }
    }

    /// Asks about one account.
    pub async fn check(&self, account: &str) -> Result<v1::CheckFeatureResponse, Status> {
        let mut client = self.client.clone();
        let answer = client.check_feature(check(account, FEATURE)).await?;
        Ok(answer.into_inner())
    }

    /// Asks about many at once: the revision of the answer.
    async fn revision(&self, accounts: &[(usize, String)]) -> u64 {
        self.check_all(accounts)
            .await
            .map_or(0, |answer| answer.revision)
    }

    /// Asks about many at once.
    pub async fn check_all(
        &self,
        accounts: &[(usize, String)],
    ) -> Result<v1::BatchCheckFeaturesResponse, Status> {
        let mut client = self.client.clone();
        let checks = accounts
            .iter()
            .map(|(_, account)| (account.as_str(), FEATURE));
        let answer = client.batch_check_features(batch(checks)).await?;
        Ok(answer.into_inner())
    }
}

/// Changes under way.
#[derive(Debug)]
pub struct Changes {
    stop: CancellationToken,
    task: JoinHandle<Tally>,
}

/// What became of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub written: usize,
    pub refused: usize,
    /// Those of `written` of which it was not known at first whether they were.
    pub repeated: usize,
}

impl Changes {
    /// Begins no more of them.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Ends them after the one that is under way.
    pub async fn stop(self) -> Tally {
        self.begin_stop();
        self.task.await.unwrap()
    }
}

/// The one way by which tests of outages change a policy: a partner's setting, which the oracle is
/// told of. What may have been written is repeated under its key until that is known; whether it
/// was is the second part.
async fn change(
    policies: &Policies,
    oracle: &Oracle,
    partner: usize,
    on: bool,
) -> (Result<u64, Status>, bool) {
    static KEY: AtomicUsize = AtomicUsize::new(0);
    let setting = if on {
        v1::Setting::On
    } else {
        v1::Setting::Off
    };
    let key = KEY.fetch_add(1, Ordering::Relaxed).to_string();
    let update = v1::UpdatePartnerPolicyRequest {
        context: keyed(&key),
        ..update(self::partner(partner).as_str(), [(FEATURE, setting)])
    };
    let begun = oracle.begin(partner, on, Instant::now());
    let mut repeated = false;
    loop {
        let mut request = Request::new(update.clone());
        request.set_timeout(CHANGE_WITHIN);
        match policies.clone().update_partner_policy(request).await {
            Ok(answer) => {
                let revision = answer.into_inner().revision;
                oracle.written(&begun, revision, Instant::now());
                return (Ok(revision), repeated);
            }
            // UNAVAILABLE is that of this attempt, and says nothing of one before.
            Err(status) if status.code() == Code::Unavailable && !repeated => {
                oracle.not_written(&begun);
                return (Err(status), repeated);
            }
            Err(_) => repeated = true,
        }
    }
}

/// Puts the data into an empty database: the revision that this made.
pub async fn fill(database: &Database, setup: &Setup) -> u64 {
    migrate(&patient(database)).await.unwrap();
    let store = PostgresStore::new(patient(database)).unwrap();
    let imported = store.import(&data(setup), &|_| ()).await.unwrap();
    imported.revision.0
}

fn cold(number: usize) -> String {
    format!("cold-{number}")
}

fn partner(number: usize) -> AccountId {
    id(&format!("partner-{number}"))
}

fn accounts(setup: &Setup) -> impl Iterator<Item = (usize, String)> {
    let (partners, accounts) = (setup.partners, setup.accounts);
    (0..partners).flat_map(move |partner| {
        (0..accounts).map(move |number| (partner, format!("managed-{partner}-{number}")))
    })
}

fn data(setup: &Setup) -> Import {
    let account = |id, kind| Account {
        id,
        kind,
        display_name: String::new(),
    };
    let partners = (0..setup.partners).map(|number| account(partner(number), AccountKind::Partner));
    let managed = accounts(setup).map(|(of, name)| {
        let kind = AccountKind::Managed {
            partner: partner(of),
            support: SupportProvider::Partner,
        };
        account(id(&name), kind)
    });
    let direct = (0..setup.cold).map(|number| account(id(&cold(number)), AccountKind::Direct));
    Import {
        accounts: partners.chain(managed).chain(direct).map(line).collect(),
        policies: (0..setup.partners)
            .map(|number| policy(number, true))
            .collect(),
        ..Import::default()
    }
}

fn policy(number: usize, on: bool) -> Line<PolicyImport> {
    let feature = FeatureKey::try_from(FEATURE).unwrap();
    let setting = if on { Setting::On } else { Setting::Off };
    line(PolicyImport {
        partner: partner(number),
        settings: [(feature, setting)].into(),
        markets: Vec::new(),
        accounts: Vec::new(),
    })
}

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

fn line<T>(value: T) -> Line<T> {
    Line { line: 1, value }
}
