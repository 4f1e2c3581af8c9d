//! The matrix, and where a decision comes from.

use portcullis::domain::FeatureMatrix;
use portcullis::proto::v1::{self, Effect, Reason, Rule, Setting};
use tonic::Code;

use crate::support::demo;
use crate::support::policies::{Policies, by, own, update, world};
use crate::support::refused::{because, invalid, refused};
use crate::support::requests::check;
use crate::support::server::{Server, config};

fn explain(account: &str, feature: &str) -> v1::ExplainFeatureRequest {
    v1::ExplainFeatureRequest {
        account_id: account.to_owned(),
        feature: feature.to_owned(),
    }
}

async fn explained(
    client: &mut Policies,
    account: &str,
    feature: &str,
) -> v1::ExplainFeatureResponse {
    let answer = client.explain_feature(explain(account, feature)).await;
    answer.unwrap().into_inner()
}

/// A summary with the times of its changes left out.
fn timeless(summary: &str) -> String {
    let parts = summary.split(", 20").map(|part| {
        let rest = part.split_once(" UTC").map(|(_, rest)| rest);
        rest.unwrap_or(part)
    });
    parts.collect()
}

#[tokio::test]
async fn every_explanation_agrees_with_the_check() {
    let server = Server::demo().await;
    let mut policies = server.policies().await;
    let mut checks = server.client().await;
    for account in demo::accounts() {
        for feature in demo::features() {
            let account = account.id.as_str();
            let decided = checks.check_feature(check(account, &feature)).await;
            let decided = decided.unwrap().into_inner();
            let found = explained(&mut policies, account, &feature).await;
            let want = v1::Decision {
                feature: feature.clone(),
                effect: decided.effect,
                reason: decided.reason,
            };
            assert_eq!(found.decision, Some(want), "{account}");
            assert_eq!(found.account.as_ref().unwrap().id, account);
            assert_eq!(found.revision, 1);
            let begins = match decided.effect() {
                Effect::Allow => format!("`{account}` may use `{feature}`: "),
                Effect::Deny | Effect::Unspecified => {
                    format!("`{account}` may not use `{feature}`: ")
                }
            };
            let summary = &found.summary;
            assert!(summary.starts_with(&begins), "{summary}");
            assert!(summary.len() > begins.len() + 20, "{summary}");
            assert!(
                summary.ends_with('.') && !summary.contains('\n'),
                "{summary}"
            );
        }
    }
}

#[tokio::test]
async fn the_change_behind_a_setting_is_named() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update("p", [("pricing.view", Setting::Off)]);
    change.context = by("kim", "the offer is over");
    client.update_partner_policy(change).await.unwrap();
    // Other changes do not take its place.
    let other = update("p", [("dashboard.view", Setting::On)]);
    client.update_partner_policy(other).await.unwrap();
    let found = explained(&mut client, "p-2", "pricing.view").await;
    assert_eq!(found.rule(), Rule::PartnerDecidesDefaultOff);
    assert_eq!(found.account_setting, None);
    let origin = found.partner_setting.unwrap();
    assert!(origin.committed_at.is_some());
    let want = v1::SettingOrigin {
        setting: Setting::Off.into(),
        revision: 2,
        committed_at: origin.committed_at,
        actor: "kim".to_owned(),
        comment: "the offer is over".to_owned(),
    };
    assert_eq!(origin, want);
    assert_eq!(
        timeless(&found.summary),
        "`p-2` may not use `pricing.view`: its partner `p` switched it off for all of its accounts \
         (revision 2, by `kim`)."
    );
    assert!(
        found.summary.contains(" UTC, by `kim`"),
        "{}",
        found.summary
    );
    assert_eq!(found.revision, 3);
    assert_eq!(found.required, []);
}

#[tokio::test]
async fn each_reason_has_its_sentence() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = own("p-2", [("support_chat.use", Setting::Off)]);
    change.context = by("kim", "");
    client.update_account_settings(change).await.unwrap();
    for (account, feature, want) in [
        (
            "d",
            "pricing.view",
            "`d` may use `pricing.view`: the platform allows it to direct accounts, and no setting \
             changes that.",
        ),
        (
            "p",
            "pricing.view",
            "`p` may use `pricing.view`: the platform allows it to partners, and no setting changes \
             that.",
        ),
        (
            "p-1",
            "invoices.pay",
            "`p-1` may not use `invoices.pay`: the platform denies it to managed accounts that their \
             partner supports, and no setting changes that.",
        ),
        (
            "q-1",
            "pricing.view",
            "`q-1` may not use `pricing.view`: its partner `q` may decide it and has set nothing, and \
             the default is off.",
        ),
        (
            "p-1",
            "pricing.view",
            "`p-1` may not use `pricing.view`: its partner `p` switched it off for this account \
             alone (revision 1); the partner-wide setting `on` (revision 1) has no effect.",
        ),
        // Stored, and without effect for this audience.
        (
            "p-2",
            "support_chat.use",
            "`p-2` may use `support_chat.use`: the platform allows it to managed accounts that the \
             platform supports, and no setting changes that; the account's own setting `off` \
             (revision 2, by `kim`) has no effect.",
        ),
    ] {
        let found = explained(&mut client, account, feature).await;
        // Who made the world is told by a name that is none of this test.
        let summary = timeless(&found.summary).replace("(revision 1, by `demo`)", "(revision 1)");
        assert_eq!(summary, want);
    }
}

#[tokio::test]
async fn what_is_required_is_explained_too() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update(
        "p",
        [
            ("company_profile.view", Setting::Off),
            ("company_profile.edit", Setting::On),
        ],
    );
    change.context = by("kim", "");
    client.update_partner_policy(change).await.unwrap();
    let found = explained(&mut client, "p-1", "company_profile.edit").await;
    let decision = found.decision.clone().unwrap();
    assert_eq!(decision.reason(), Reason::RequiredFeature);
    let [required] = found.required.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(required.required, []);
    assert_eq!(
        *required,
        explained(&mut client, "p-1", "company_profile.view").await
    );
    assert_eq!(
        timeless(&found.summary),
        "`p-1` may not use `company_profile.edit`: it requires `company_profile.view`, which is \
         denied because its partner `p` switched it off for all of its accounts (revision 2, by \
         `kim`); the partner-wide setting `on` (revision 2, by `kim`) has no effect."
    );
}

/// A matrix in which c requires b, and b requires a.
const CHAIN: &str = r"
  - { feature: a.a, direct: allow, partner: allow, managed_partner_supported: off, managed_platform_supported: off }
  - { feature: b.b, requires: [a.a], direct: allow, partner: allow, managed_partner_supported: on, managed_platform_supported: on }
  - { feature: c.c, requires: [b.b, services.order], direct: allow, partner: allow, managed_partner_supported: allow, managed_platform_supported: allow }
";

#[tokio::test]
async fn what_is_required_by_what_is_required_is_there_once_by_key() {
    let mut config = config(world());
    config.matrix = FeatureMatrix::parse(&format!("{}{CHAIN}", FeatureMatrix::BUILT_IN)).unwrap();
    let server = Server::start(config).await;
    let mut client = server.policies().await;
    let found = explained(&mut client, "p-1", "c.c").await;
    let names = found
        .required
        .iter()
        .map(|one| one.decision.as_ref().unwrap());
    let names: Vec<_> = names
        .map(|one| (one.feature.as_str(), one.reason()))
        .collect();
    assert_eq!(
        names,
        [
            ("a.a", Reason::PlatformDefault),
            ("b.b", Reason::RequiredFeature),
            ("services.order", Reason::PlatformRule),
        ]
    );
    assert!(found.required.iter().all(|one| one.required.is_empty()));
    // What stands in the way is named, and not what is in its way itself.
    assert_eq!(
        found.summary,
        "`p-1` may not use `c.c`: it requires `a.a`, which is denied because its partner `p` may \
         decide it and has set nothing, and the default is off."
    );
    let matrix = client
        .get_feature_matrix(v1::GetFeatureMatrixRequest {})
        .await;
    let features = matrix.unwrap().into_inner().features;
    let chained = features.iter().find(|row| row.feature == "c.c").unwrap();
    assert_eq!(chained.requires, ["b.b", "services.order"]);
}

#[tokio::test]
async fn explaining_is_refused_as_a_check_is() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for (account, feature, want) in [
        ("", "", invalid(["account_id", "feature"])),
        ("a b", "no.such", invalid(["account_id"])),
        (
            "nobody",
            "no.such",
            because(Code::InvalidArgument, "FEATURE_UNKNOWN"),
        ),
        (
            "nobody",
            "pricing.view",
            because(Code::NotFound, "ACCOUNT_UNKNOWN"),
        ),
    ] {
        let status = client.explain_feature(explain(account, feature)).await;
        assert_eq!(refused(&status.unwrap_err()), want, "{account} {feature}");
    }
}

#[tokio::test]
async fn the_matrix_is_answered_whole_and_by_key() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let matrix = client
        .get_feature_matrix(v1::GetFeatureMatrixRequest {})
        .await;
    let matrix = matrix.unwrap().into_inner();
    let keys: Vec<_> = matrix
        .features
        .iter()
        .map(|row| row.feature.as_str())
        .collect();
    assert_eq!(keys, demo::features());
    let chat = matrix
        .features
        .iter()
        .find(|row| row.feature == "support_chat.use");
    let chat = chat.unwrap();
    assert_eq!(
        [
            chat.direct(),
            chat.partner(),
            chat.managed_partner_supported(),
            chat.managed_platform_supported(),
        ],
        [
            Rule::Allow,
            Rule::Allow,
            Rule::PartnerDecidesDefaultOff,
            Rule::Allow,
        ]
    );
    assert!(
        matrix
            .features
            .iter()
            .all(|row| !row.description.is_empty())
    );
    assert_eq!(matrix.digest.len(), 64);
    assert!(matrix.digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
}
