//! Partners' policies and the settings of single accounts: what is read, and what a write does.

use portcullis::proto::v1::{self, Setting};
use tonic::Code;

use crate::support::policies::{
    Policies, account_of, by, expecting, keyed, markets, own, policy_of, settings, update,
};
use crate::support::refused::{Refused, because, invalid, refused};
use crate::support::requests::{at_least, check};
use crate::support::server::Server;

async fn policy(client: &mut Policies, partner: &str) -> v1::PartnerPolicy {
    let answer = client.get_partner_policy(policy_of(partner)).await;
    answer.unwrap().into_inner().policy.unwrap()
}

/// A change that is made: the policy after it, and its revision.
async fn made(
    client: &mut Policies,
    update: v1::UpdatePartnerPolicyRequest,
) -> (v1::PartnerPolicy, u64) {
    let answer = client.update_partner_policy(update).await.unwrap();
    let answer = answer.into_inner();
    (answer.policy.unwrap(), answer.revision)
}

async fn refusal(client: &mut Policies, update: v1::UpdatePartnerPolicyRequest) -> Refused {
    refused(&client.update_partner_policy(update).await.unwrap_err())
}

async fn own_refusal(client: &mut Policies, update: v1::UpdateAccountSettingsRequest) -> Refused {
    refused(&client.update_account_settings(update).await.unwrap_err())
}

fn of_p(of: &[(&str, Setting)], billing_markets: &[&str], revision: u64) -> v1::PartnerPolicy {
    v1::PartnerPolicy {
        partner_id: "p".to_owned(),
        settings: settings(of.iter().copied()),
        billing_markets: billing_markets
            .iter()
            .map(|&code| code.to_owned())
            .collect(),
        revision,
    }
}

#[tokio::test]
async fn a_policy_is_answered_without_features_that_the_matrix_has_not() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let want = of_p(&[("pricing.view", Setting::On)], &["AU"], 1);
    assert_eq!(policy(&mut client, "p").await, want);
    let empty = v1::PartnerPolicy {
        partner_id: "q".to_owned(),
        ..v1::PartnerPolicy::default()
    };
    assert_eq!(policy(&mut client, "q").await, empty);
}

#[tokio::test]
async fn a_policy_is_a_partners() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for no_partner in ["d", "p-1", "nobody"] {
        let read = client.get_partner_policy(policy_of(no_partner)).await;
        let unknown = || because(Code::NotFound, "PARTNER_UNKNOWN");
        assert_eq!(refused(&read.unwrap_err()), unknown(), "{no_partner}");
        let written = refusal(&mut client, update(no_partner, [])).await;
        assert_eq!(written, unknown(), "{no_partner}");
    }
}

#[tokio::test]
async fn only_what_is_named_changes() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let both = [
        ("dashboard.view", Setting::On),
        ("pricing.view", Setting::On),
    ];
    let (policy, revision) = made(&mut client, update("p", [both[0]])).await;
    assert_eq!((policy, revision), (of_p(&both, &["AU"], 2), 2));
    // Sorted, by code and not by alias, each once.
    let (policy, _) = made(&mut client, markets("p", &["NZ", "GB", "UK"], &["AU"])).await;
    assert_eq!(policy, of_p(&both, &["NZ", "UK"], 3));
    let (policy, _) = made(&mut client, update("p", [("pricing.view", Setting::Unset)])).await;
    let want = of_p(&both[..1], &["NZ", "UK"], 4);
    assert_eq!(policy, want);
    assert_eq!(self::policy(&mut client, "p").await, want);
}

#[tokio::test]
async fn a_write_that_changes_nothing_answers_its_subjects_revision() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    made(&mut client, update("q", [("pricing.view", Setting::On)])).await;
    for nothing in [
        update("p", []),
        update("p", [("pricing.view", Setting::On)]),
        update("p", [("dashboard.view", Setting::Unset)]),
        markets("p", &["AU"], &["NZ"]),
        // It may be disabled though there is none such.
        markets("p", &[], &["XX"]),
    ] {
        let (policy, revision) = made(&mut client, nothing).await;
        let want = of_p(&[("pricing.view", Setting::On)], &["AU"], 1);
        assert_eq!((policy, revision), (want, 1));
    }
    let answer = client
        .update_account_settings(own("p-2", []))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().revision, 1);
    let (_, revision) = made(&mut client, markets("q", &["AU"], &[])).await;
    assert_eq!(revision, 3);
}

#[tokio::test]
async fn what_was_written_is_decided_by_at_once_for_who_asks_for_it() {
    let server = Server::world().await;
    let mut policies = server.policies().await;
    let mut checks = server.client().await;
    for (setting, want) in [
        (Setting::Off, v1::Effect::Deny),
        (Setting::On, v1::Effect::Allow),
    ] {
        let (_, revision) = made(&mut policies, update("p", [("pricing.view", setting)])).await;
        let mut question = check("p-2", "pricing.view");
        question.consistency = at_least(revision);
        let answer = checks.check_feature(question).await.unwrap().into_inner();
        assert_eq!(answer.effect(), want);
        assert!(answer.revision >= revision);
    }
}

#[tokio::test]
async fn the_settings_of_an_account_are_its_own() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let changes = [
        ("dashboard.view", Setting::On),
        ("pricing.view", Setting::Unset),
    ];
    let answer = client.update_account_settings(own("p-1", changes)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.settings, settings([("dashboard.view", Setting::On)]));
    assert_eq!(answer.revision, 2);
    let account = client.get_account(account_of("p-1")).await.unwrap();
    let account = account.into_inner();
    assert_eq!(account.settings, answer.settings);
    assert_eq!(account.revision, 2);
    // The policy's revision is the policy's.
    assert_eq!(policy(&mut client, "p").await.revision, 1);
}

#[tokio::test]
async fn a_setting_is_for_a_feature_that_a_partner_may_decide() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let fixed = || because(Code::FailedPrecondition, "FEATURE_NOT_CONFIGURABLE");
    let unknown = || because(Code::InvalidArgument, "FEATURE_UNKNOWN");
    for setting in [Setting::On, Setting::Off, Setting::Unset] {
        for (feature, want) in [
            ("invoices.pay", fixed()),
            ("no.such", unknown()),
            ("No Such", unknown()),
        ] {
            let change = [(feature, setting)];
            assert_eq!(refusal(&mut client, update("p", change)).await, want);
            assert_eq!(own_refusal(&mut client, own("p-1", change)).await, want);
        }
        // Another account has no partner who could decide for it.
        for account in ["d", "p"] {
            let change = own(account, [("pricing.view", setting)]);
            assert_eq!(own_refusal(&mut client, change).await, fixed(), "{account}");
        }
    }
    // One that some audience may have decided is accepted, though this account's may not.
    let chat = own("p-2", [("support_chat.use", Setting::Off)]);
    assert!(client.update_account_settings(chat).await.is_ok());
    // What is stored may be unset, whether the matrix has it or not.
    let old = update("p", [("old.feature", Setting::Unset)]);
    assert_eq!(made(&mut client, old.clone()).await.1, 3);
    assert_eq!(refusal(&mut client, old).await, unknown());
}

#[tokio::test]
async fn features_then_the_subject_then_its_revision_then_the_rest() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let everything_wrong = v1::UpdatePartnerPolicyRequest {
        enable_markets: vec!["XX".to_owned()],
        context: expecting(9),
        ..update("nobody", [("no.such", Setting::On)])
    };
    let mut wrong = everything_wrong;
    let unknown = because(Code::InvalidArgument, "FEATURE_UNKNOWN");
    assert_eq!(refusal(&mut client, wrong.clone()).await, unknown);
    wrong.settings.clear();
    let unknown = because(Code::NotFound, "PARTNER_UNKNOWN");
    assert_eq!(refusal(&mut client, wrong.clone()).await, unknown);
    wrong.partner_id = "p".to_owned();
    let other = because(Code::Aborted, "REVISION_MISMATCH");
    assert_eq!(refusal(&mut client, wrong.clone()).await, other);
    wrong.context = expecting(1);
    let unknown = because(Code::NotFound, "MARKET_UNKNOWN");
    assert_eq!(refusal(&mut client, wrong.clone()).await, unknown);
    // And first of all the shape.
    wrong.partner_id = "not an id".to_owned();
    wrong.settings = settings([("no.such", Setting::On)]);
    assert_eq!(refusal(&mut client, wrong).await, invalid(["partner_id"]));
}

#[tokio::test]
async fn a_market_is_enabled_or_disabled() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let twice = markets("p", &["AU", "NZ"], &["UK", "NZ"]);
    let named = invalid(["disable_markets[1]"]);
    assert_eq!(refusal(&mut client, twice).await, named);
    let by_alias = markets("p", &["UK"], &["GB"]);
    let named = invalid(["disable_markets"]);
    assert_eq!(refusal(&mut client, by_alias).await, named);
}

#[tokio::test]
async fn a_change_is_made_only_to_what_was_read() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let on = [("dashboard.view", Setting::On)];
    let mismatch = || because(Code::Aborted, "REVISION_MISMATCH");
    for wrong in [0, 2, u64::MAX] {
        let mut change = update("p", on);
        change.context = expecting(wrong);
        assert_eq!(refusal(&mut client, change).await, mismatch());
        let mut change = own("p-1", on);
        change.context = expecting(wrong);
        assert_eq!(own_refusal(&mut client, change).await, mismatch());
    }
    let mut change = update("p", on);
    change.context = expecting(1);
    assert_eq!(made(&mut client, change.clone()).await.1, 2);
    assert_eq!(refusal(&mut client, change).await, mismatch());
    // 0 is what was never changed.
    let mut change = update("q", on);
    change.context = expecting(0);
    assert_eq!(made(&mut client, change).await.1, 3);
    // A change of the policy is none of the account.
    let mut change = own("p-1", on);
    change.context = expecting(1);
    assert!(client.update_account_settings(change).await.is_ok());
}

#[tokio::test]
async fn the_same_key_gives_the_first_answer_again() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update("p", [("dashboard.view", Setting::On)]);
    change.context = keyed("a key of ~ printable ASCII");
    change.context.as_mut().unwrap().expected_revision = Some(1);
    let first = made(&mut client, change.clone()).await;
    made(&mut client, update("p", [("dashboard.view", Setting::Off)])).await;
    // Though the revision is another one by now.
    assert_eq!(made(&mut client, change.clone()).await, first);
    let present = policy(&mut client, "p").await;
    assert_eq!(present.settings["dashboard.view"], i32::from(Setting::Off));
    assert_eq!(present.revision, 3);

    // Any other request is another one: a comment too.
    let reused = || because(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    let mut other = change.clone();
    other.context.as_mut().unwrap().comment = "why".to_owned();
    assert_eq!(refusal(&mut client, other).await, reused());
    // A key belongs to its method.
    let mut elsewhere = own("p-2", [("dashboard.view", Setting::On)]);
    elsewhere.context = keyed("a key of ~ printable ASCII");
    assert!(client.update_account_settings(elsewhere).await.is_ok());
}

#[tokio::test]
async fn a_failed_write_does_not_use_its_key_up_and_an_idle_one_does() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut fails = markets("p", &["XX"], &[]);
    fails.context = keyed("k");
    let unknown = because(Code::NotFound, "MARKET_UNKNOWN");
    assert_eq!(refusal(&mut client, fails).await, unknown);
    let mut idle = markets("p", &["AU"], &[]);
    idle.context = keyed("k");
    assert_eq!(made(&mut client, idle).await.1, 1);
    let mut another = markets("p", &["NZ"], &[]);
    another.context = keyed("k");
    let reused = because(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(refusal(&mut client, another).await, reused);
}

#[tokio::test]
async fn a_context_is_checked_as_everything_else() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let full = v1::ChangeContext {
        actor: "é".repeat(256),
        comment: "é".repeat(1_000),
        expected_revision: Some(1),
        idempotency_key: "~".repeat(128),
    };
    let mut change = update("p", [("dashboard.view", Setting::On)]);
    change.context = Some(full.clone());
    assert_eq!(made(&mut client, change.clone()).await.1, 2);
    for (context, field) in [
        (by(&"x".repeat(257), ""), "context.actor"),
        (by("a\0", ""), "context.actor"),
        (by("", &"x".repeat(1_001)), "context.comment"),
        (by("", "a\0"), "context.comment"),
        (keyed(&"x".repeat(129)), "context.idempotency_key"),
        (keyed("a\tb"), "context.idempotency_key"),
        (keyed("é"), "context.idempotency_key"),
    ] {
        change.context = context;
        assert_eq!(refusal(&mut client, change.clone()).await, invalid([field]));
    }
}

#[tokio::test]
async fn settings_are_on_off_or_unset() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for value in [0, 4, -1, i32::MAX] {
        let mut change = update("p", [("pricing.view", Setting::On)]);
        change.settings.insert("pricing.view".to_owned(), value);
        let named = invalid(["settings[pricing.view]"]);
        assert_eq!(refusal(&mut client, change).await, named, "{value}");
        let mut change = own("p-1", []);
        change.settings.insert("pricing.view".to_owned(), value);
        let named = invalid(["settings[pricing.view]"]);
        assert_eq!(own_refusal(&mut client, change).await, named, "{value}");
    }
    let empty = update("p", [("", Setting::On)]);
    assert_eq!(refusal(&mut client, empty).await, invalid(["settings[]"]));
}

#[tokio::test]
async fn a_request_names_so_many_and_no_more() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let names: Vec<_> = (0..257).map(|index| format!("a.b{index}")).collect();
    let unset = |count: usize| {
        let names = names.iter().take(count);
        names.map(|name| (name.as_str(), Setting::Unset))
    };
    let many = refusal(&mut client, update("p", unset(257))).await;
    assert_eq!(many, invalid(["settings"]));
    let many = own_refusal(&mut client, own("p-1", unset(257))).await;
    assert_eq!(many, invalid(["settings"]));
    let fits = refusal(&mut client, update("p", unset(256))).await;
    assert_eq!(fits.reason, "FEATURE_UNKNOWN");

    let codes: Vec<_> = (0..513).map(|index| format!("M{index}")).collect();
    let codes: Vec<_> = codes.iter().map(String::as_str).collect();
    let fits = made(&mut client, markets("p", &[], &codes[..512])).await;
    assert_eq!(fits.1, 1);
    let many = refusal(&mut client, markets("p", &[], &codes)).await;
    assert_eq!(many, invalid(["disable_markets"]));
    let many = refusal(&mut client, markets("p", &codes, &[])).await;
    assert_eq!(many, invalid(["enable_markets"]));
    let many = refusal(&mut client, markets("p", &codes[..500], &codes[500..])).await;
    assert_eq!(many, invalid(["disable_markets"]));

    let malformed = markets("p", &["AU", "au"], &["", "GB"]);
    let named = invalid(["enable_markets[1]", "disable_markets[0]"]);
    assert_eq!(refusal(&mut client, malformed).await, named);
}
