//! CheckFeature, BatchCheckFeatures and ListFeatures.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use portcullis::app::Drained;
use portcullis::domain::AccountKind;
use portcullis::proto::v1::feature_check_result::Result as Checked;
use portcullis::proto::v1::{self, Effect, Reason};
use tonic::Code;

use crate::support::refused::{because, invalid, refused, refused_item};
use crate::support::requests::{batch, check, list};
use crate::support::server::{Client, Server};
use crate::support::{demo, within};

fn decision(feature: &str, effect: Effect, reason: Reason) -> Checked {
    Checked::Decision(v1::Decision {
        feature: feature.to_owned(),
        effect: effect.into(),
        reason: reason.into(),
    })
}

/// One result for each check, each with something in it.
async fn results(client: &mut Client, request: v1::BatchCheckFeaturesRequest) -> Vec<Checked> {
    let answer = client.batch_check_features(request).await.unwrap();
    let results = answer.into_inner().results.into_iter();
    results.map(|result| result.result.unwrap()).collect()
}

#[tokio::test]
async fn a_check_is_answered_with_its_reason() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for (account, feature, effect, reason) in [
        ("acme", "pricing.view", Effect::Allow, Reason::PlatformRule),
        (
            "northwind-retail",
            "quoting_tool.use",
            Effect::Deny,
            Reason::PlatformRule,
        ),
        (
            "gooseberry-clinics",
            "pricing.view",
            Effect::Deny,
            Reason::PlatformDefault,
        ),
        (
            "northwind-games",
            "pricing.view",
            Effect::Allow,
            Reason::PartnerSetting,
        ),
        (
            "quillfeather-press",
            "pricing.view",
            Effect::Deny,
            Reason::PartnerSetting,
        ),
        (
            "northwind-retail",
            "dashboard.view",
            Effect::Allow,
            Reason::AccountSetting,
        ),
        (
            "northwind-retail",
            "pricing.view",
            Effect::Deny,
            Reason::AccountSetting,
        ),
        (
            "quillfeather-rail",
            "company_profile.edit",
            Effect::Deny,
            Reason::RequiredFeature,
        ),
    ] {
        let answer = client.check_feature(check(account, feature)).await.unwrap();
        let want = v1::CheckFeatureResponse {
            effect: effect.into(),
            reason: reason.into(),
            revision: 1,
            stale: false,
        };
        assert_eq!(answer.into_inner(), want, "{account} {feature}");
    }
    drop(client);
    assert_eq!(server.stop().await, Drained::Clean);
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let pairs = [
        ("northwind-retail", "pricing.view"),
        ("acme", "pricing.view"),
        ("northwind-retail", "dashboard.view"),
        ("northwind-retail", "pricing.view"),
        ("quillfeather-rail", "company_profile.edit"),
    ];
    let answer = client.batch_check_features(batch(pairs)).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.revision, answer.stale), (1, false));
    let results: Vec<_> = answer.results.into_iter().map(|one| one.result).collect();
    let want = [
        decision("pricing.view", Effect::Deny, Reason::AccountSetting),
        decision("pricing.view", Effect::Allow, Reason::PlatformRule),
        decision("dashboard.view", Effect::Allow, Reason::AccountSetting),
        decision("pricing.view", Effect::Deny, Reason::AccountSetting),
        decision(
            "company_profile.edit",
            Effect::Deny,
            Reason::RequiredFeature,
        ),
    ];
    assert_eq!(results, want.map(Some));
}

#[tokio::test]
async fn what_is_wrong_with_one_check_is_its_own_error() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let pairs = [
        ("acme", "pricing.view"),
        ("not an id", "pricing.view"),
        ("acme", "no.such_feature"),
        ("nobody", "pricing.view"),
        ("", ""),
        ("acme", "NOT A KEY"),
        // Shape, then feature, then account.
        ("nobody", "no.such_feature"),
        ("not an id", "no.such_feature"),
        ("acme", ""),
        ("acme", "invoices.pay"),
    ];
    let mut results = results(&mut client, batch(pairs)).await;
    let allowed = |feature| decision(feature, Effect::Allow, Reason::PlatformRule);
    assert_eq!(results.remove(0), allowed("pricing.view"));
    assert_eq!(results.pop(), Some(allowed("invoices.pay")));
    let unknown_feature = || because(Code::InvalidArgument, "FEATURE_UNKNOWN");
    let want = [
        invalid(["checks[1].account_id"]),
        unknown_feature(),
        because(Code::NotFound, "ACCOUNT_UNKNOWN"),
        invalid(["checks[4].account_id", "checks[4].feature"]),
        unknown_feature(),
        unknown_feature(),
        invalid(["checks[7].account_id"]),
        invalid(["checks[8].feature"]),
    ];
    let found: Vec<_> = results
        .iter()
        .map(|result| match result {
            Checked::Error(error) => refused_item(error),
            Checked::Decision(decision) => panic!("decided: {decision:?}"),
        })
        .collect();
    assert_eq!(found, want);
}

#[tokio::test]
async fn a_batch_may_have_one_check_and_a_thousand() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let one = results(&mut client, batch([("acme", "pricing.view")])).await;
    assert_eq!(
        one,
        [decision(
            "pricing.view",
            Effect::Allow,
            Reason::PlatformRule
        )]
    );

    let accounts = demo::accounts();
    let features = demo::features();
    let pair = |index: usize| {
        let account = accounts[index % accounts.len()].id.as_str();
        (account, features[index % features.len()].as_str())
    };
    let pairs: Vec<_> = (0..1_000).map(pair).collect();
    let results = results(&mut client, batch(pairs.clone())).await;
    assert_eq!(results.len(), 1_000);
    let mut single = BTreeMap::new();
    for ((account, feature), result) in pairs.into_iter().zip(results) {
        if let Entry::Vacant(entry) = single.entry((account, feature)) {
            let answer = client.check_feature(check(account, feature)).await.unwrap();
            entry.insert(answer.into_inner());
        }
        let want = &single[&(account, feature)];
        assert_eq!(
            result,
            decision(feature, want.effect(), want.reason()),
            "{account} {feature}"
        );
    }

    for count in [0, 1_001] {
        let request = batch(vec![("acme", "pricing.view"); count]);
        let status = client.batch_check_features(request).await.unwrap_err();
        assert_eq!(refused(&status), invalid(["checks"]), "{count}");
    }
}

#[tokio::test]
async fn a_list_has_every_feature_and_agrees_with_checks() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let features = demo::features();
    for account in demo::accounts() {
        let id = account.id.as_str();
        let answer = client.list_features(list(id)).await.unwrap().into_inner();
        let (kind, partner, support, billed) = match &account.kind {
            AccountKind::Direct => (v1::AccountKind::Direct, "", 0, id),
            AccountKind::Partner => (v1::AccountKind::Partner, "", 0, id),
            AccountKind::Managed { partner, support } => {
                let support = match support {
                    portcullis::domain::SupportProvider::Partner => 1,
                    portcullis::domain::SupportProvider::Platform => 2,
                };
                let partner = partner.as_str();
                (v1::AccountKind::Managed, partner, support, partner)
            }
        };
        let want = v1::Account {
            id: id.to_owned(),
            kind: kind.into(),
            partner_id: partner.to_owned(),
            support_provider: support,
            display_name: account.display_name.clone(),
        };
        assert_eq!(answer.account, Some(want));
        assert_eq!(answer.billing_account_id, billed);
        assert_eq!((answer.revision, answer.stale), (1, false));
        let listed: Vec<_> = answer.decisions.iter().map(|one| &one.feature).collect();
        assert_eq!(listed, features.iter().collect::<Vec<_>>());
        for decision in &answer.decisions {
            let request = check(id, &decision.feature);
            let checked = client.check_feature(request).await.unwrap().into_inner();
            assert_eq!(
                (decision.effect, decision.reason),
                (checked.effect, checked.reason),
                "{id} {}",
                decision.feature
            );
        }
    }
}

#[tokio::test]
async fn each_kind_of_account_is_billed_as_it_should() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for (account, billed) in [
        ("acme", "acme"),
        ("northwind", "northwind"),
        ("northwind-retail", "northwind"),
        ("quillfeather-museum", "quillfeather"),
    ] {
        let answer = client.list_features(list(account)).await.unwrap();
        assert_eq!(answer.into_inner().billing_account_id, billed);
    }
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let server = Server::demo().await;
    let client = server.client().await;
    let calls = (0..200).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.check_feature(check("acme", "invoices.pay")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let answer = within("a call of many", call).await.unwrap().unwrap();
        assert_eq!(answer.into_inner().effect(), Effect::Allow);
    }
}
