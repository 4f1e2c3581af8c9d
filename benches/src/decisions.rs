//! Decisions inside the process: the rule alone, a cached check, and a batch.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use portcullis::authorizer::{Authorizer, FeatureCheck};
use portcullis::directory::{Consistency, Directory};
use portcullis::domain::{
    Account, AccountId, AccountKind, AccountProfile, EnabledMarkets, FeatureIndex, FeatureMatrix,
    PartnerPolicy, Setting, Settings, Subject, SupportProvider, decide,
};
use portcullis::grpc::{AuthorizationApi, ReadBatch};
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_server::AuthorizationService as _;
use prost::Message as _;
use tokio::runtime::{Builder, Runtime};

use crate::made_up;
use crate::measure::{count, median, nanoseconds, now};
use crate::table::{Goal, Row, Unit};
use crate::world;

/// How many accounts are cached, and of how many partners.
const SIZES: [(usize, usize); 3] = [(10_000, 100), (100_000, 1_000), (1_000_000, 10_000)];
/// The checks of a batch.
const BATCH: usize = 100;
/// How many accounts are asked for at once to fill the cache.
const FILL: usize = 1_000;
/// Batches that are made up beforehand.
const BATCHES: usize = 2_000;

/// Features that the table asks about: decided by a partner, by the matrix, and one that requires
/// another.
const FEATURES: [&str; 4] = [
    "pricing.view",
    "dashboard.view",
    "services.order",
    "maintenance_notifications.receive",
];

/// All figures of decisions.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = vec![rule()];
    for (accounts, partners) in SIZES {
        rows.extend(cached(accounts, partners));
    }
    rows
}

fn rule() -> Row {
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    let features: Vec<FeatureIndex> = matrix.features().map(|(index, _)| index).collect();
    let profiles: Vec<(AccountProfile, PartnerPolicy)> = (0..256)
        .map(|number| (profile(number, &features), policy(number, &features)))
        .collect();
    let subjects: Vec<Subject<'_>> = profiles
        .iter()
        .map(|(profile, policy)| Subject::new(profile, Some(policy)).unwrap())
        .collect();
    let time = nanoseconds(|number| {
        let feature = features[number % features.len()];
        decide(
            black_box(&matrix),
            feature,
            subjects[number % subjects.len()],
        )
    });
    Row::new(
        "`decide` alone",
        Goal::AtMost(20.0),
        time,
        Unit::Nanoseconds,
    )
    .of(format!(
        "each of {} features, 256 subjects in turn",
        features.len()
    ))
}

/// Direct accounts, partners, and managed accounts of which one in eight has a setting.
pub(crate) fn profile(number: usize, features: &[FeatureIndex]) -> AccountProfile {
    let mut settings = Settings::NONE;
    if number.is_multiple_of(8) {
        settings.set(features[number % features.len()], Setting::Off);
    }
    AccountProfile {
        account: Account {
            id: id(&world::account(number)),
            kind: match number % 16 {
                0 => AccountKind::Direct,
                1 => AccountKind::Partner,
                _ => AccountKind::Managed {
                    partner: id("partner-00001"),
                    support: match number % 3 {
                        0 => SupportProvider::Platform,
                        _ => SupportProvider::Partner,
                    },
                },
            },
            display_name: String::new(),
        },
        settings,
    }
}

/// The policy of the partner of such an account.
pub(crate) fn policy(number: usize, features: &[FeatureIndex]) -> PartnerPolicy {
    let mut settings = Settings::NONE;
    for place in 0..number % 4 {
        settings.set(features[(number + place) % features.len()], Setting::On);
    }
    PartnerPolicy {
        settings,
        markets: EnabledMarkets::default(),
    }
}

/// An id of an account.
pub(crate) fn id(text: &str) -> AccountId {
    text.try_into().unwrap()
}

/// A runtime of one thread, as a core of the server has.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A directory with all of its accounts cached, and what keeps it true: its runtime.
#[must_use]
pub fn filled(accounts: usize, partners: usize) -> (Runtime, Directory) {
    let runtime = runtime();
    let directory = runtime.block_on(async {
        let directory = made_up::directory(partners);
        fill(&directory, accounts).await;
        directory
    });
    (runtime, directory)
}

/// Asks for each account once.
pub async fn fill(directory: &Directory, accounts: usize) {
    for from in (0..accounts).step_by(FILL) {
        let to = accounts.min(from + FILL);
        let ids: Vec<_> = (from..to)
            .map(|number| id(&world::account(number)))
            .collect();
        directory.resolve(&ids, Consistency::Fastest).await.unwrap();
    }
    let [cached, ..] = directory.figures().caches;
    assert_eq!(cached.entries, accounts as u64, "some are not cached");
}

fn cached(accounts: usize, partners: usize) -> Vec<Row> {
    let (runtime, directory) = filled(accounts, partners);
    let authorizer = Authorizer::new(directory);
    // Ids are read before: a caller of this reads them from its request.
    let asked: Vec<AccountId> = (0..1 << 20)
        .map(|number| id(&world::account(world::random(number, accounts))))
        .collect();
    let grown = match accounts {
        1_000_000 => Goal::AtMost(350.0),
        _ => Goal::None,
    };
    let of = format!("{accounts} accounts of {partners} partners cached");
    let time = runtime.block_on(async {
        let mut times = Vec::new();
        let mut number = 0;
        for _ in 0..21 {
            let span = 100_000;
            let began = now();
            for _ in 0..span {
                let account = asked[number % asked.len()].clone();
                let feature = FEATURES[number % FEATURES.len()];
                let checked = authorizer.check_feature(account, feature, Consistency::Fastest);
                black_box(checked.await.unwrap());
                number += 1;
            }
            times.push(now().saturating_sub(began).as_secs_f64() * 1e9 / count(span));
        }
        median(times)
    });
    let mut rows = vec![
        Row::new(
            "cached check in the process",
            grown,
            time,
            Unit::Nanoseconds,
        )
        .of(&of),
    ];
    rows.extend(batches(&runtime, &authorizer, accounts, &of));
    rows
}

fn batches(runtime: &Runtime, authorizer: &Authorizer, accounts: usize, of: &str) -> [Row; 2] {
    let checks = |batch: usize| {
        (0..BATCH).map(move |place| {
            let account = world::random(batch * BATCH + place, accounts);
            (world::account(account), FEATURES[place % FEATURES.len()])
        })
    };
    let asked: Vec<Vec<FeatureCheck<'_>>> = (0..BATCHES)
        .map(|batch| {
            let check = |(account, feature): (String, &'static str)| FeatureCheck {
                account: id(&account),
                feature,
            };
            checks(batch).map(check).collect()
        })
        .collect();
    let bare = per_second(nanoseconds(|number| {
        let checks = asked[number % BATCHES].clone();
        let answer = authorizer.check_features(checks, Consistency::Fastest);
        runtime.block_on(answer).unwrap()
    }));

    let requests: Vec<Bytes> = (0..BATCHES)
        .map(|batch| {
            let check = |(account_id, feature): (String, &str)| v1::FeatureCheck {
                account_id,
                feature: feature.to_owned(),
            };
            let request = v1::BatchCheckFeaturesRequest {
                checks: checks(batch).map(check).collect(),
                consistency: None,
            };
            request.encode_to_vec().into()
        })
        .collect();
    let api = Arc::new(AuthorizationApi::new(authorizer.clone()));
    let whole = per_second(nanoseconds(|number| {
        let request = ReadBatch::decode(requests[number % BATCHES].clone()).unwrap();
        let answer = api.batch_check_features(tonic::Request::new(request));
        let answer = runtime.block_on(answer).unwrap().into_inner();
        let mut bytes = Vec::with_capacity(answer.encoded_len());
        answer.encode(&mut bytes).unwrap();
        bytes
    }));
    let goal = Goal::AtLeast(2e6);
    [
        Row::new("decisions in batches of 100", goal, bare, Unit::PerSecond).of(of),
        Row::new(
            "the same, decoded and encoded",
            goal,
            whole,
            Unit::PerSecond,
        )
        .of(of),
    ]
}

fn per_second(batch: f64) -> f64 {
    count(BATCH) * 1e9 / batch
}
