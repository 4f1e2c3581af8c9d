//! The history: who changed what, when and why.

use std::time::{Duration, SystemTime};

use portcullis::clock::time_of_day;
use portcullis::proto::v1::change::Subject;
use portcullis::proto::v1::{self, Setting};
use prost::Message as _;
use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::{Value, json};

use crate::support::policies::{
    Policies, by, delete, delete_locations, direct, managed, market, markets, own, put,
    put_locations, put_markets, update,
};
use crate::support::refused::{invalid, refused};
use crate::support::requests::location;
use crate::support::server::Server;

fn plain(value: &prost_types::Value) -> Value {
    match value.kind.as_ref().unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(flag) => json!(flag),
        Kind::NumberValue(number) => json!(number),
        Kind::StringValue(text) => json!(text),
        Kind::ListValue(list) => list.values.iter().map(plain).collect(),
        Kind::StructValue(fields) => side(&Some(fields.clone())),
    }
}

fn side(side: &Option<Struct>) -> Value {
    let Some(side) = side else {
        return Value::Null;
    };
    let fields = side.fields.iter();
    fields
        .map(|(key, value)| (key.clone(), plain(value)))
        .collect()
}

async fn page(
    client: &mut Policies,
    request: &v1::ListPolicyChangesRequest,
) -> v1::ListPolicyChangesResponse {
    let answer = client.list_policy_changes(request.clone()).await;
    answer.unwrap().into_inner()
}

fn after(after_revision: u64) -> v1::ListPolicyChangesRequest {
    v1::ListPolicyChangesRequest {
        after_revision,
        ..v1::ListPolicyChangesRequest::default()
    }
}

/// What was changed, and how.
fn told(change: &v1::PolicyChange) -> (Subject, Value, Value) {
    let subject = change.subject.clone().unwrap().subject.unwrap();
    (subject, side(&change.before), side(&change.after))
}

#[tokio::test]
async fn each_write_is_told_with_before_and_after() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let of_p = || Subject::PartnerId("p".to_owned());
    let of = |account: &str| Subject::AccountId(account.to_owned());
    let mut want = Vec::new();

    let mut change = update(
        "p",
        [
            ("pricing.view", Setting::Off),
            ("dashboard.view", Setting::On),
        ],
    );
    change.enable_markets = vec!["GB".to_owned()];
    client.update_partner_policy(change).await.unwrap();
    want.push((
        of_p(),
        json!({ "settings": { "pricing.view": "on", "dashboard.view": null },
                "billing_markets": ["AU"] }),
        json!({ "settings": { "pricing.view": "off", "dashboard.view": "on" },
                "billing_markets": ["AU", "UK"] }),
    ));
    let change = own("p-1", [("pricing.view", Setting::Unset)]);
    client.update_account_settings(change).await.unwrap();
    want.push((
        of("p-1"),
        json!({ "settings": { "pricing.view": "off" } }),
        json!({ "settings": { "pricing.view": null } }),
    ));
    client.put_account(put(direct("new"))).await.unwrap();
    want.push((of("new"), Value::Null, json!({ "kind": "direct" })));
    client.put_account(put(managed("new", "q"))).await.unwrap();
    want.push((
        of("new"),
        json!({ "kind": "direct", "partner": null, "support": null }),
        json!({ "kind": "managed", "partner": "q", "support": "platform" }),
    ));
    client.delete_account(delete("new")).await.unwrap();
    want.push((
        of("new"),
        json!({ "kind": "managed", "partner": "q", "support": "platform" }),
        Value::Null,
    ));
    let change = put_markets([market("AT", &["OE"])]);
    client.put_billing_markets(change).await.unwrap();
    want.push((
        Subject::Catalog(true),
        json!({ "billing_markets": { "AT": null } }),
        json!({ "billing_markets": { "AT": { "name": "Market AT", "currency": "EUR",
                                             "aliases": ["OE"] } } }),
    ));
    client
        .delete_locations(delete_locations(&["nowhere"]))
        .await
        .unwrap();
    want.push((
        Subject::Catalog(true),
        json!({ "locations": { "nowhere": { "name": "Nowhere" } } }),
        json!({ "locations": { "nowhere": null } }),
    ));
    let found = page(&mut client, &after(1)).await;
    let revisions: Vec<_> = found.changes.iter().map(|change| change.revision).collect();
    assert_eq!(revisions, [2, 3, 4, 5, 6, 7, 8]);
    let found: Vec<_> = found.changes.iter().map(told).collect();
    assert_eq!(found, want);
}

#[tokio::test]
async fn who_why_and_when_are_told() {
    let began = time_of_day() - Duration::from_secs(1);
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut change = update("p", [("pricing.view", Setting::Off)]);
    change.context = by("kim", "the spring offer is over");
    client.update_partner_policy(change).await.unwrap();
    client
        .update_partner_policy(markets("p", &["NZ"], &[]))
        .await
        .unwrap();

    let found = page(&mut client, &after(0)).await.changes;
    let who: Vec<_> = found
        .iter()
        .map(|change| [&change.actor, &change.caller, &change.comment].map(String::as_str))
        .collect();
    assert_eq!(who[1], ["kim", "anonymous", "the spring offer is over"]);
    assert_eq!(who[2], ["anonymous", "anonymous", ""]);
    // The import that made the world called nobody.
    assert_eq!(who[0][1], "");
    assert_eq!(told(&found[0]).0, Subject::Everything(true));
    for change in &found {
        let at = SystemTime::try_from(change.committed_at.unwrap()).unwrap();
        assert!((began..=time_of_day()).contains(&at), "{at:?}");
    }
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_no_history() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    client
        .update_partner_policy(markets("p", &["AU"], &[]))
        .await
        .unwrap();
    client.put_locations(put_locations([])).await.unwrap();
    assert_eq!(page(&mut client, &after(1)).await.changes, []);
}

#[tokio::test]
async fn each_filter_finds_its_part_and_two_find_either() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    client
        .update_partner_policy(markets("p", &["NZ"], &[]))
        .await
        .unwrap();
    client
        .update_partner_policy(markets("q", &["NZ"], &[]))
        .await
        .unwrap();
    let on = [("dashboard.view", Setting::On)];
    client
        .update_account_settings(own("p-1", on))
        .await
        .unwrap();
    client
        .update_account_settings(own("q-1", on))
        .await
        .unwrap();
    // It was p's account, and is q's.
    client.put_account(put(managed("p-2", "q"))).await.unwrap();
    client
        .put_locations(put_locations([location("new", "")]))
        .await
        .unwrap();
    for (partner, account, want) in [
        ("", "", &[1, 2, 3, 4, 5, 6, 7][..]),
        ("p", "", &[1, 2, 4, 6]),
        ("q", "", &[1, 3, 5, 6]),
        ("", "p-1", &[1, 4]),
        ("", "p-2", &[1, 6]),
        ("p", "q-1", &[1, 2, 4, 5, 6]),
        ("", "nobody", &[]),
    ] {
        for size in [0, 1, 2, 3] {
            let mut request = v1::ListPolicyChangesRequest {
                partner_id: partner.to_owned(),
                account_id: account.to_owned(),
                page_size: size,
                ..v1::ListPolicyChangesRequest::default()
            };
            let (mut found, mut pages) = (Vec::new(), 0);
            loop {
                let answer = page(&mut client, &request).await;
                assert!(size == 0 || answer.changes.len() <= size as usize);
                found.extend(answer.changes.iter().map(|change| change.revision));
                pages += 1;
                if answer.next_page_token.is_empty() {
                    break;
                }
                request.page_token = answer.next_page_token;
            }
            assert_eq!(found, want, "{partner} {account}");
            let size = if size == 0 { 100 } else { size as usize };
            assert_eq!(pages, want.len().div_ceil(size).max(1));
        }
    }
}

#[tokio::test]
async fn a_page_of_the_history_belongs_to_its_listing() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for code in ["NZ", "UK"] {
        client
            .update_partner_policy(markets("p", &[code], &[]))
            .await
            .unwrap();
    }
    let first = v1::ListPolicyChangesRequest {
        page_size: 1,
        ..after(0)
    };
    let token = page(&mut client, &first).await.next_page_token;
    let damaged = format!("{token}x");
    for (wrong, field) in [
        (
            v1::ListPolicyChangesRequest {
                partner_id: "p".to_owned(),
                page_token: token.clone(),
                ..after(0)
            },
            "page_token",
        ),
        (
            v1::ListPolicyChangesRequest {
                account_id: "p".to_owned(),
                page_token: token.clone(),
                ..after(0)
            },
            "page_token",
        ),
        (
            v1::ListPolicyChangesRequest {
                page_token: token,
                ..after(1)
            },
            "page_token",
        ),
        (
            v1::ListPolicyChangesRequest {
                page_token: damaged,
                ..after(0)
            },
            "page_token",
        ),
        (
            v1::ListPolicyChangesRequest {
                page_size: 1_001,
                ..after(0)
            },
            "page_size",
        ),
        (
            v1::ListPolicyChangesRequest {
                partner_id: "a b".to_owned(),
                ..after(0)
            },
            "partner_id",
        ),
        (
            v1::ListPolicyChangesRequest {
                account_id: "a b".to_owned(),
                ..after(0)
            },
            "account_id",
        ),
    ] {
        let status = client.list_policy_changes(wrong).await.unwrap_err();
        assert_eq!(refused(&status), invalid([field]));
    }
}

#[tokio::test]
async fn a_page_of_the_history_ends_early_at_two_mebibytes() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    // Comments are not what a store counts, and take their place in a message.
    let comment = "é".repeat(1_000);
    for round in 0..1_100 {
        let mut change = match round % 2 {
            0 => markets("p", &["NZ"], &[]),
            _ => markets("p", &[], &["NZ"]),
        };
        change.context = by("", &comment);
        client.update_partner_policy(change).await.unwrap();
    }
    let mut request = v1::ListPolicyChangesRequest {
        page_size: 1_000,
        ..after(1)
    };
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let answer = page(&mut client, &request).await;
        sizes.push(answer.encoded_len());
        found.extend(answer.changes.iter().map(|change| change.revision));
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    assert_eq!(found, (2..=1_101).collect::<Vec<u64>>());
    assert!(
        sizes.iter().all(|&size| size <= (2 << 20) + 100),
        "{sizes:?}"
    );
    assert!(sizes[0] > 2_000_000, "{sizes:?}");
}

#[tokio::test]
async fn a_page_of_large_changes_ends_early_too() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let names = |round: usize| {
        (0..80).map(move |index| v1::Location {
            name: format!("{round:x>200}"),
            ..location(&format!("l{index}"), "AU")
        })
    };
    for round in 0..70 {
        client
            .put_locations(put_locations(names(round)))
            .await
            .unwrap();
    }
    let first = page(&mut client, &after(1)).await;
    assert!(first.changes.len() < 70, "{}", first.changes.len());
    assert!(first.encoded_len() > 1 << 20);
    assert_ne!(first.next_page_token, "");
    let rest = page(
        &mut client,
        &v1::ListPolicyChangesRequest {
            page_token: first.next_page_token,
            ..after(1)
        },
    )
    .await;
    assert_eq!(first.changes.len() + rest.changes.len(), 70);
    assert_eq!(rest.next_page_token, "");
}
