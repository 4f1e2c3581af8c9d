//! Decisions inside the process: the rule alone, a cached check, and a batch.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use portcullis::domain::{
    Account, AccountKind, AccountProfile, EnabledMarkets, FeatureIndex, FeatureMatrix,
    PartnerPolicy, Setting, Settings, Subject, SupportProvider, decide,
};
use portcullis::grpc::{AuthorizationApi, ReadBatch};
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_server::AuthorizationService as _;
use prost::Message as _;

use crate::cached::{BATCHES, Cached, batch_of, id, per_second};
use crate::measure::{in_turns, nanoseconds};
use crate::table::{Goal, Row, Unit};
use crate::world;

/// How many accounts are cached, and of how many partners.
const SIZES: [(usize, usize); 3] = [(10_000, 100), (100_000, 1_000), (1_000_000, 10_000)];

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

fn cached(accounts: usize, partners: usize) -> Vec<Row> {
    let mut cached = Cached::fill(accounts, partners);
    let grown = match accounts {
        1_000_000 => Goal::AtMost(350.0),
        _ => Goal::None,
    };
    let of = format!("{accounts} accounts of {partners} partners cached");
    let time = in_turns(&mut [&mut |times| cached.checks(times)])[0];
    let bare = in_turns(&mut [&mut |times| cached.batches(times)])[0];
    let whole = whole(&cached, accounts);
    let goal = Goal::AtLeast(2e6);
    let row = |what, goal, figure, unit| Row::new(what, goal, figure, unit).of(&of);
    vec![
        row(
            "cached check in the process",
            grown,
            time,
            Unit::Nanoseconds,
        ),
        row(
            "decisions in batches of 100",
            goal,
            per_second(bare),
            Unit::PerSecond,
        ),
        row(
            "the same, decoded and encoded",
            goal,
            per_second(whole),
            Unit::PerSecond,
        ),
    ]
}

/// Nanoseconds of a batch from the bytes of its request to those of its answer.
fn whole(cached: &Cached, accounts: usize) -> f64 {
    let requests: Vec<Bytes> = (0..BATCHES)
        .map(|batch| {
            let check = |(account_id, feature): (String, &str)| v1::FeatureCheck {
                account_id,
                feature: feature.to_owned(),
            };
            let request = v1::BatchCheckFeaturesRequest {
                checks: batch_of(batch, accounts).map(check).collect(),
                consistency: None,
            };
            request.encode_to_vec().into()
        })
        .collect();
    let api = Arc::new(AuthorizationApi::new(cached.authorizer.clone()));
    nanoseconds(|number| {
        let request = ReadBatch::decode(requests[number % BATCHES].clone()).unwrap();
        let answer = api.batch_check_features(tonic::Request::new(request));
        let answer = cached.runtime.block_on(answer).unwrap().into_inner();
        let mut bytes = Vec::with_capacity(answer.encoded_len());
        answer.encode(&mut bytes).unwrap();
        bytes
    })
}
