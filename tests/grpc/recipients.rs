//! ResolveRecipients.

use portcullis::domain::FeatureMatrix;
use portcullis::proto::v1::{self, NotificationKind};
use tonic::Code;

use crate::support::demo;
use crate::support::refused::{Refused, because, invalid, refused, refused_item};
use crate::support::requests::recipients;
use crate::support::server::{Client, Server, config};

fn recipient(account: &str, direct: bool, behalf: &[&str]) -> v1::Recipient {
    v1::Recipient {
        account_id: account.to_owned(),
        directly_affected: direct,
        on_behalf_of: behalf.iter().map(|&one| one.to_owned()).collect(),
    }
}

async fn resolve(
    client: &mut Client,
    request: v1::ResolveRecipientsRequest,
) -> v1::ResolveRecipientsResponse {
    let answer = client.resolve_recipients(request).await;
    answer.unwrap().into_inner()
}

fn unresolved(answer: &v1::ResolveRecipientsResponse) -> Vec<(&str, Refused)> {
    let unresolved = answer.unresolved.iter();
    unresolved
        .map(|one| {
            let error = refused_item(one.error.as_ref().unwrap());
            (one.account_id.as_str(), error)
        })
        .collect()
}

#[tokio::test]
async fn recipients_are_merged() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let accounts = [
        "quillfeather-rail",
        "northwind-retail",
        "northwind",
        "acme",
        "northwind-games",
        "northwind-retail",
        "quillfeather-press",
        "acme",
    ];
    let request = recipients(NotificationKind::Maintenance, accounts);
    let answer = resolve(&mut client, request).await;
    let want = [
        recipient("acme", true, &[]),
        recipient("northwind", true, &["northwind-games", "northwind-retail"]),
        recipient(
            "quillfeather",
            false,
            &["quillfeather-press", "quillfeather-rail"],
        ),
    ];
    assert_eq!(answer.recipients, want);
    assert_eq!(answer.unresolved, []);
    assert_eq!((answer.revision, answer.stale), (1, false));

    // A matter of security reaches everyone affected, itself.
    let request = recipients(NotificationKind::Security, accounts);
    let answer = resolve(&mut client, request).await;
    let mut affected = accounts.to_vec();
    affected.sort_unstable();
    affected.dedup();
    let want: Vec<_> = affected
        .into_iter()
        .map(|account| recipient(account, true, &[]))
        .collect();
    assert_eq!(answer.recipients, want);
}

#[tokio::test]
async fn nobody_is_dropped() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let accounts = [
        "zz-unknown",
        "not an id",
        "acme",
        "",
        "aa-unknown",
        "not an id",
        "northwind-retail",
        "zz-unknown",
    ];
    let request = recipients(NotificationKind::Maintenance, accounts);
    let answer = resolve(&mut client, request).await;
    let want = [
        recipient("acme", true, &[]),
        recipient("northwind", false, &["northwind-retail"]),
    ];
    assert_eq!(answer.recipients, want);
    let unknown = || because(Code::NotFound, "ACCOUNT_UNKNOWN");
    let want = [
        ("zz-unknown", unknown()),
        ("not an id", invalid(["account_ids[1]"])),
        ("", invalid(["account_ids[3]"])),
        ("aa-unknown", unknown()),
    ];
    assert_eq!(unresolved(&answer), want);
}

/// The built-in matrix, but that partners and direct accounts may not receive maintenance.
fn nobody_hears_of_maintenance() -> FeatureMatrix {
    let feature = "feature: maintenance_notifications.receive";
    let (before, row) = FeatureMatrix::BUILT_IN.split_once(feature).unwrap();
    let row = row.replacen("direct: allow", "direct: deny", 1).replacen(
        "partner: allow",
        "partner: deny",
        1,
    );
    FeatureMatrix::parse(&format!("{before}{feature}{row}")).unwrap()
}

#[tokio::test]
async fn a_notification_that_nobody_can_receive_says_so() {
    let mut config = config(demo::store());
    config.matrix = nobody_hears_of_maintenance();
    let server = Server::start(config).await;
    let mut client = server.client().await;
    let accounts = ["northwind-retail", "nobody", "acme", "northwind", "acme"];
    let request = recipients(NotificationKind::Maintenance, accounts);
    let answer = resolve(&mut client, request).await;
    assert_eq!(answer.recipients, []);
    let no_recipient = || because(Code::FailedPrecondition, "NO_RECIPIENT");
    let want = [
        ("northwind-retail", no_recipient()),
        ("nobody", because(Code::NotFound, "ACCOUNT_UNKNOWN")),
        ("acme", no_recipient()),
        ("northwind", no_recipient()),
    ];
    assert_eq!(unresolved(&answer), want);

    let request = recipients(NotificationKind::Security, ["acme"]);
    let answer = resolve(&mut client, request).await;
    assert_eq!(answer.recipients, [recipient("acme", true, &[])]);
}

#[tokio::test]
async fn ten_thousand_accounts_work_and_one_more_does_not() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let mut accounts: Vec<_> = (0..10_000 - 2)
        .map(|index| format!("unknown-{index}"))
        .collect();
    accounts.insert(5_000, "acme".to_owned());
    accounts.push("northwind-retail".to_owned());
    let request = recipients(NotificationKind::Maintenance, &accounts);
    let answer = resolve(&mut client, request).await;
    let want = [
        recipient("acme", true, &[]),
        recipient("northwind", false, &["northwind-retail"]),
    ];
    assert_eq!(answer.recipients, want);
    let unknown: Vec<_> = answer
        .unresolved
        .iter()
        .map(|one| one.account_id.as_str())
        .collect();
    let mut wanted: Vec<_> = accounts.iter().map(String::as_str).collect();
    wanted.retain(|account| account.starts_with("unknown"));
    assert!(unknown == wanted, "not in the order of the request");

    // The longest ids that an account can have.
    let longest: Vec<_> = (0..10_000).map(|index| format!("{index:x>64}")).collect();
    let request = recipients(NotificationKind::Maintenance, &longest);
    let answer = resolve(&mut client, request).await;
    assert_eq!(answer.unresolved.len(), 10_000);

    // Whatever is wrong with each of them.
    let malformed: Vec<_> = (0..10_000).map(|index| format!("no id {index}")).collect();
    let request = recipients(NotificationKind::Maintenance, &malformed);
    let answer = resolve(&mut client, request).await;
    assert_eq!(answer.unresolved.len(), 10_000);

    accounts.push("acme".to_owned());
    for accounts in [&accounts[..], &[]] {
        let request = recipients(NotificationKind::Maintenance, accounts);
        let status = client.resolve_recipients(request).await.unwrap_err();
        assert_eq!(refused(&status), invalid(["account_ids"]));
    }
}

#[tokio::test]
async fn a_kind_that_is_none_is_refused() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for kind in [0, 3, -1] {
        let request = v1::ResolveRecipientsRequest {
            kind,
            ..recipients(NotificationKind::Security, ["acme"])
        };
        let status = client.resolve_recipients(request).await.unwrap_err();
        assert_eq!(refused(&status), invalid(["kind"]), "{kind}");
    }
    let neither = v1::ResolveRecipientsRequest::default();
    let status = client.resolve_recipients(neither).await.unwrap_err();
    assert_eq!(refused(&status), invalid(["kind", "account_ids"]));
}
