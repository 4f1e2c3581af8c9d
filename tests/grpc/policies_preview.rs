//! A preview tells what the update then does, and does nothing.

use std::collections::BTreeMap;

use portcullis::app::StoreChoice;
use portcullis::domain::{Account, AccountId, AccountKind, SupportProvider};
use portcullis::proto::v1::{self, Effect, Reason, Setting};
use portcullis::store::{Import, Line};
use tonic::Code;

use crate::support::demo;
use crate::support::policies::{
    Policies, expecting, keyed, markets, own, policy_of, update, world,
};
use crate::support::refused::{because, invalid, refused};
use crate::support::requests::{at_least, catalog, ids, list};
use crate::support::server::{Client, Server, config};

fn preview(update: v1::UpdatePartnerPolicyRequest) -> v1::PreviewPartnerPolicyRequest {
    v1::PreviewPartnerPolicyRequest {
        update: Some(update),
    }
}

async fn previewed(
    client: &mut Policies,
    update: v1::UpdatePartnerPolicyRequest,
) -> v1::PreviewPartnerPolicyResponse {
    let answer = client.preview_partner_policy(preview(update)).await;
    answer.unwrap().into_inner()
}

fn decision(feature: &str, effect: Effect, reason: Reason) -> Option<v1::Decision> {
    Some(v1::Decision {
        feature: feature.to_owned(),
        effect: effect.into(),
        reason: reason.into(),
    })
}

#[tokio::test]
async fn changes_of_effect_and_of_reason_are_told() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update(
        "p",
        [
            ("company_profile.edit", Setting::On),
            ("pricing.view", Setting::Unset),
            ("dashboard.view", Setting::Off),
        ],
    );
    change.disable_markets = vec!["AU".to_owned()];
    change.enable_markets = vec!["GB".to_owned()];
    let found = previewed(&mut client, change).await;
    let mut changes = Vec::new();
    for account in ["p-1", "p-2"] {
        let mut differs = |feature, before: (Effect, Reason), after: (Effect, Reason)| {
            changes.push(v1::DecisionChange {
                account_id: account.to_owned(),
                before: decision(feature, before.0, before.1),
                after: decision(feature, after.0, after.1),
            });
        };
        let default = (Effect::Deny, Reason::PlatformDefault);
        // It would be allowed, and requires what is denied.
        let required = (Effect::Deny, Reason::RequiredFeature);
        differs("company_profile.edit", default, required);
        differs(
            "dashboard.view",
            default,
            (Effect::Deny, Reason::PartnerSetting),
        );
        // The first account has a setting of its own.
        if account == "p-2" {
            differs(
                "pricing.view",
                (Effect::Allow, Reason::PartnerSetting),
                default,
            );
        }
    }
    let want = v1::PreviewPartnerPolicyResponse {
        changes,
        locations_gained: 1,
        locations_lost: 2,
        accounts_affected: 2,
        revision: 1,
        changes_truncated: false,
    };
    assert_eq!(found, want);
}

#[tokio::test]
async fn an_account_is_affected_by_what_it_sees_too() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let found = previewed(&mut client, markets("p", &["NZ"], &[])).await;
    let want = v1::PreviewPartnerPolicyResponse {
        locations_gained: 1,
        accounts_affected: 2,
        revision: 1,
        ..v1::PreviewPartnerPolicyResponse::default()
    };
    assert_eq!(found, want);
    // Where there is nothing to see, or nothing changes, nobody is.
    client
        .update_partner_policy(update("q", [("pricing.view", Setting::On)]))
        .await
        .unwrap();
    for (nothing, revision) in [
        (markets("p", &["AU"], &["NZ"]), 1),
        (update("p", [("pricing.view", Setting::On)]), 1),
        (update("q", []), 2),
    ] {
        let found = previewed(&mut client, nothing).await;
        let want = v1::PreviewPartnerPolicyResponse {
            revision,
            ..v1::PreviewPartnerPolicyResponse::default()
        };
        assert_eq!(found, want);
    }
}

#[tokio::test]
async fn a_preview_writes_nothing_and_uses_no_key_up() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update("p", [("dashboard.view", Setting::On)]);
    change.context = keyed("k");
    previewed(&mut client, change).await;
    let policy = client.get_partner_policy(policy_of("p")).await.unwrap();
    assert_eq!(policy.into_inner().policy.unwrap().revision, 1);
    // The key is good for any request.
    let mut another = update("p", [("dashboard.view", Setting::Off)]);
    another.context = keyed("k");
    let made = client.update_partner_policy(another.clone()).await.unwrap();
    assert_eq!(made.into_inner().revision, 2);
    // And a key that was used says nothing to a preview.
    another.enable_markets = vec!["NZ".to_owned()];
    assert_eq!(previewed(&mut client, another).await.locations_gained, 1);
}

#[tokio::test]
async fn a_preview_is_refused_as_the_update_is() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let expecting_2 = v1::UpdatePartnerPolicyRequest {
        context: expecting(2),
        ..update("p", [])
    };
    let long = v1::UpdatePartnerPolicyRequest {
        context: keyed(&"x".repeat(129)),
        ..update("a b", [("pricing.view", Setting::Unspecified)])
    };
    for (wrong, want) in [
        (
            update("p", [("no.such", Setting::On)]),
            because(Code::InvalidArgument, "FEATURE_UNKNOWN"),
        ),
        (
            update("p", [("invoices.pay", Setting::On)]),
            because(Code::FailedPrecondition, "FEATURE_NOT_CONFIGURABLE"),
        ),
        (update("d", []), because(Code::NotFound, "PARTNER_UNKNOWN")),
        (
            markets("p", &["XX"], &[]),
            because(Code::NotFound, "MARKET_UNKNOWN"),
        ),
        (
            markets("p", &["GB"], &["UK"]),
            invalid(["update.disable_markets"]),
        ),
        (
            markets("p", &["GB"], &["GB"]),
            invalid(["update.disable_markets[0]"]),
        ),
        (expecting_2, because(Code::Aborted, "REVISION_MISMATCH")),
        (
            long,
            invalid([
                "update.context.idempotency_key",
                "update.partner_id",
                "update.settings[pricing.view]",
            ]),
        ),
    ] {
        let status = client.preview_partner_policy(preview(wrong)).await;
        assert_eq!(refused(&status.unwrap_err()), want);
    }
    let nothing = v1::PreviewPartnerPolicyRequest::default();
    let status = client.preview_partner_policy(nothing).await.unwrap_err();
    assert_eq!(refused(&status), invalid(["update"]));
}

/// Everything that the accounts may do and see: decisions by account and feature, and locations.
type Seen = BTreeMap<String, (Vec<v1::Decision>, Vec<String>)>;

async fn seen(client: &mut Client, accounts: &[&str], revision: u64) -> Seen {
    let mut seen = Seen::new();
    for account in accounts {
        let mut features = list(account);
        features.consistency = at_least(revision);
        let decisions = client.list_features(features).await.unwrap();
        let mut visible = ids(catalog(account));
        visible.consistency = at_least(revision);
        let visible = client.filter_catalog(visible).await.unwrap();
        let decisions = decisions.into_inner().decisions;
        let visible = visible.into_inner().location_ids;
        seen.insert((*account).to_owned(), (decisions, visible));
    }
    seen
}

#[tokio::test]
async fn what_is_previewed_is_what_the_update_does() {
    let server = Server::demo().await;
    let mut policies = server.policies().await;
    let mut checks = server.client().await;
    let managed: Vec<_> = demo::accounts()
        .into_iter()
        .filter(|account| {
            account
                .partner()
                .is_some_and(|partner| partner.as_str() == "northwind")
        })
        .map(|account| account.id.as_str())
        .collect();
    assert!(managed.len() > 2);
    for (setting, enable, disable) in [
        (Setting::Off, &["NZ", "US"][..], &["AU"][..]),
        (Setting::On, &["AU"], &[]),
        (Setting::Unset, &[], &["NZ", "US", "AU"]),
    ] {
        let mut change = update(
            "northwind",
            [
                ("pricing.view", setting),
                ("company_profile.view", setting),
                ("company_profile.edit", Setting::On),
                ("support_chat.use", Setting::On),
            ],
        );
        change.enable_markets = enable.iter().map(|&code| code.to_owned()).collect();
        change.disable_markets = disable.iter().map(|&code| code.to_owned()).collect();
        let told = previewed(&mut policies, change.clone()).await;
        let before = seen(&mut checks, &managed, told.revision).await;
        change.context = expecting(told.revision);
        let made = policies.update_partner_policy(change).await.unwrap();
        let after = seen(&mut checks, &managed, made.into_inner().revision).await;

        let (mut changes, mut affected) = (Vec::new(), 0);
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        for ((account, (before, saw)), (after, sees)) in before.iter().zip(after.values()) {
            affected += u32::from((before, saw) != (after, sees));
            let differ = before
                .iter()
                .zip(after)
                .filter(|(before, after)| before != after);
            changes.extend(differ.map(|(before, after)| v1::DecisionChange {
                account_id: account.clone(),
                before: Some(before.clone()),
                after: Some(after.clone()),
            }));
            gained.extend(sees.iter().filter(|id| !saw.contains(id)));
            lost.extend(saw.iter().filter(|id| !sees.contains(id)));
        }
        for places in [&mut gained, &mut lost] {
            places.sort_unstable();
            places.dedup();
        }
        assert_eq!(told.changes, changes);
        assert_eq!(told.accounts_affected, affected);
        assert_eq!(told.locations_gained as usize, gained.len());
        assert_eq!(told.locations_lost as usize, lost.len());
    }
}

/// The small world, where a partner more has so many accounts.
fn with_accounts(count: usize) -> StoreChoice {
    let StoreChoice::Memory(import) = world() else {
        unreachable!("it is in memory")
    };
    let account = |id: &str, kind| Line {
        line: 1,
        value: Account {
            id: AccountId::try_from(id).unwrap(),
            kind,
            display_name: String::new(),
        },
    };
    let kind = || AccountKind::Managed {
        partner: AccountId::try_from("big").unwrap(),
        support: SupportProvider::Partner,
    };
    let many = (0..count).map(|index| account(&format!("big-{index:06}"), kind()));
    let big = account("big", AccountKind::Partner);
    StoreChoice::Memory(Import {
        accounts: import
            .accounts
            .into_iter()
            .chain([big])
            .chain(many)
            .collect(),
        ..import
    })
}

#[tokio::test]
async fn a_hundred_thousand_accounts_are_counted_and_ten_thousand_changes_listed() {
    let server = Server::start(config(with_accounts(100_000))).await;
    let mut client = server.policies().await;
    let off = own("big-000001", [("pricing.view", Setting::Off)]);
    client.update_account_settings(off).await.unwrap();
    let mut change = update("big", [("pricing.view", Setting::On)]);
    let found = previewed(&mut client, change.clone()).await;
    assert_eq!(found.accounts_affected, 99_999);
    assert_eq!(
        (found.changes.len(), found.changes_truncated),
        (10_000, true)
    );
    let named = |index: usize| found.changes[index].account_id.as_str();
    assert_eq!(
        [named(0), named(1), named(9_999)],
        ["big-000000", "big-000002", "big-010000"]
    );

    change.enable_markets = vec!["AU".to_owned()];
    let found = previewed(&mut client, change).await;
    assert_eq!(
        (found.accounts_affected, found.locations_gained),
        (100_000, 2)
    );
}
