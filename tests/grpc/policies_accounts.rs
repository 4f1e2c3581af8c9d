//! Accounts: put, read, listed and deleted.

use portcullis::proto::v1::{self, AccountKind, Setting, SupportProvider};
use tonic::Code;

use crate::support::policies::{
    Policies, account_of, delete, direct, expecting, managed, markets, own, partner, policy_of,
    put, settings, update,
};
use crate::support::refused::{Refused, because, invalid, refused};
use crate::support::server::Server;

async fn put_revision(client: &mut Policies, account: v1::Account) -> u64 {
    let answer = client.put_account(put(account)).await;
    answer.unwrap().into_inner().revision
}

async fn put_refusal(client: &mut Policies, account: v1::Account) -> Refused {
    refused(&client.put_account(put(account)).await.unwrap_err())
}

async fn delete_refusal(client: &mut Policies, account: &str) -> Refused {
    refused(&client.delete_account(delete(account)).await.unwrap_err())
}

async fn account(client: &mut Policies, id: &str) -> v1::GetAccountResponse {
    let answer = client.get_account(account_of(id)).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn an_account_is_answered_with_its_settings_and_revision() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let want = v1::GetAccountResponse {
        account: Some(v1::Account {
            id: "p-1".to_owned(),
            kind: AccountKind::Managed.into(),
            partner_id: "p".to_owned(),
            support_provider: SupportProvider::Partner.into(),
            display_name: "First".to_owned(),
        }),
        settings: settings([("pricing.view", Setting::Off)]),
        revision: 1,
    };
    assert_eq!(account(&mut client, "p-1").await, want);
    let unknown = client.get_account(account_of("nobody")).await;
    let want = because(Code::NotFound, "ACCOUNT_UNKNOWN");
    assert_eq!(refused(&unknown.unwrap_err()), want);
}

#[tokio::test]
async fn an_account_is_created_replaced_and_deleted() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let mut new = put(managed("new", "q"));
    new.context = expecting(0);
    let made = client.put_account(new.clone()).await.unwrap();
    assert_eq!(made.into_inner().revision, 2);
    // It exists now.
    let status = client.put_account(new).await.unwrap_err();
    assert_eq!(
        refused(&status),
        because(Code::Aborted, "REVISION_MISMATCH")
    );

    let renamed = v1::Account {
        display_name: "é".repeat(200),
        ..managed("new", "q")
    };
    assert_eq!(put_revision(&mut client, renamed.clone()).await, 3);
    // The same again is no change.
    put_revision(&mut client, direct("another")).await;
    assert_eq!(put_revision(&mut client, renamed.clone()).await, 3);
    let found = account(&mut client, "new").await;
    assert_eq!((found.account, found.revision), (Some(renamed), 3));

    let mut gone = delete("new");
    gone.context = expecting(3);
    let gone = client.delete_account(gone).await.unwrap();
    assert_eq!(gone.into_inner().revision, 5);
    let unknown = because(Code::NotFound, "ACCOUNT_UNKNOWN");
    assert_eq!(delete_refusal(&mut client, "new").await, unknown);
    // After a delete it is 0 again.
    let mut again = put(direct("new"));
    again.context = expecting(0);
    assert!(client.put_account(again).await.is_ok());
}

#[tokio::test]
async fn a_managed_account_has_a_partner_and_a_support_provider_and_another_has_not() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let (by, support) = ("account.partner_id", "account.support_provider");
    let unspecified = SupportProvider::Unspecified.into();
    for (wrong, fields) in [
        (
            v1::Account {
                partner_id: String::new(),
                support_provider: unspecified,
                ..managed("x", "p")
            },
            vec![by, support],
        ),
        (managed("x", "not an id"), vec![by]),
        (
            v1::Account {
                support_provider: 7,
                ..managed("x", "p")
            },
            vec![support],
        ),
        (
            v1::Account {
                kind: AccountKind::Direct.into(),
                ..managed("x", "p")
            },
            vec![by, support],
        ),
        (
            v1::Account {
                kind: AccountKind::Partner.into(),
                support_provider: unspecified,
                ..managed("x", "p")
            },
            vec![by],
        ),
        (
            v1::Account {
                kind: AccountKind::Unspecified.into(),
                ..direct("x")
            },
            vec!["account.kind"],
        ),
        (
            v1::Account {
                kind: 4,
                ..direct("x")
            },
            vec!["account.kind"],
        ),
        (direct(""), vec!["account.id"]),
        (
            v1::Account {
                display_name: "x".repeat(201),
                ..direct("x")
            },
            vec!["account.display_name"],
        ),
        (
            v1::Account {
                display_name: "\0".to_owned(),
                ..direct("x")
            },
            vec!["account.display_name"],
        ),
    ] {
        let status = client.put_account(put(wrong.clone())).await.unwrap_err();
        let found = refused(&status);
        assert_eq!(found.reason, "INVALID_REQUEST", "{wrong:?}");
        assert_eq!(found.fields, fields, "{wrong:?}");
    }
    let nothing = client.put_account(v1::PutAccountRequest::default()).await;
    assert_eq!(refused(&nothing.unwrap_err()), invalid(["account"]));
}

#[tokio::test]
async fn a_partner_is_a_partner_and_another_account() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let unknown = || because(Code::NotFound, "PARTNER_UNKNOWN");
    for (account, by) in [("x", "d"), ("x", "p-1"), ("x", "nobody"), ("q", "q")] {
        let found = put_refusal(&mut client, managed(account, by)).await;
        assert_eq!(found, unknown(), "{account} {by}");
    }
}

#[tokio::test]
async fn a_partner_that_manages_accounts_stays_one() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let in_use = || because(Code::FailedPrecondition, "ACCOUNT_IN_USE");
    assert_eq!(put_refusal(&mut client, direct("q")).await, in_use());
    assert_eq!(put_refusal(&mut client, managed("q", "p")).await, in_use());
    assert_eq!(delete_refusal(&mut client, "q").await, in_use());
    let renamed = v1::Account {
        display_name: "Q".to_owned(),
        ..partner("q")
    };
    put_revision(&mut client, renamed).await;
    client.delete_account(delete("q-1")).await.unwrap();
    put_revision(&mut client, direct("q")).await;
}

#[tokio::test]
async fn settings_are_left_behind_with_the_partner_who_made_them() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let off = settings([("pricing.view", Setting::Off)]);
    // Support may change.
    put_revision(&mut client, managed("p-1", "p")).await;
    assert_eq!(account(&mut client, "p-1").await.settings, off);
    for moved in [managed("p-1", "q"), direct("p-1")] {
        put_revision(&mut client, moved).await;
        assert!(account(&mut client, "p-1").await.settings.is_empty());
        put_revision(&mut client, managed("p-1", "p")).await;
        assert!(account(&mut client, "p-1").await.settings.is_empty());
        let again = own("p-1", [("pricing.view", Setting::Off)]);
        client.update_account_settings(again).await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_goes_with_its_partner() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for leave in [true, false] {
        put_revision(&mut client, partner("r")).await;
        let policy = client.get_partner_policy(policy_of("r")).await.unwrap();
        let empty = v1::PartnerPolicy {
            partner_id: "r".to_owned(),
            ..v1::PartnerPolicy::default()
        };
        assert_eq!(policy.into_inner().policy, Some(empty));
        let on = update("r", [("pricing.view", Setting::On)]);
        client.update_partner_policy(on).await.unwrap();
        let enabled = markets("r", &["AU"], &[]);
        client.update_partner_policy(enabled).await.unwrap();
        match leave {
            true => put_revision(&mut client, direct("r")).await,
            false => {
                let gone = client.delete_account(delete("r")).await.unwrap();
                gone.into_inner().revision
            }
        };
    }
}

async fn ids(client: &mut Policies, request: v1::ListAccountsRequest) -> (Vec<String>, String) {
    let answer = client.list_accounts(request).await.unwrap().into_inner();
    let ids = answer.accounts.into_iter().map(|account| account.id);
    (ids.collect(), answer.next_page_token)
}

fn page(partner: &str, page_size: u32, token: &str) -> v1::ListAccountsRequest {
    v1::ListAccountsRequest {
        partner_id: partner.to_owned(),
        page_size,
        page_token: token.to_owned(),
    }
}

#[tokio::test]
async fn accounts_are_listed_by_id_in_pages_of_any_size() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    for (partner, want) in [
        ("", &["d", "p", "p-1", "p-2", "q", "q-1"][..]),
        ("p", &["p-1", "p-2"]),
        ("q", &["q-1"]),
    ] {
        for size in [0, 1, 2, 3, 6, 1_000] {
            let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let (ids, next) = ids(&mut client, page(partner, size, &token)).await;
                assert!(size == 0 || ids.len() <= size as usize);
                found.extend(ids);
                pages += 1;
                token = next;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(found, want, "{partner} {size}");
            let size = if size == 0 { 100 } else { size as usize };
            assert_eq!(pages, want.len().div_ceil(size), "{partner} {size}");
        }
    }
    let unknown = because(Code::NotFound, "PARTNER_UNKNOWN");
    for partner in ["d", "p-1", "nobody"] {
        let status = client
            .list_accounts(page(partner, 0, ""))
            .await
            .unwrap_err();
        assert_eq!(refused(&status), unknown, "{partner}");
    }
}

#[tokio::test]
async fn a_page_of_accounts_belongs_to_its_listing() {
    let server = Server::world().await;
    let mut client = server.policies().await;
    let (_, of_all) = ids(&mut client, page("", 1, "")).await;
    let (_, of_p) = ids(&mut client, page("p", 1, "")).await;
    let damaged = of_all.replace(of_all.chars().last().unwrap(), "_");
    for (partner, token) in [("p", &of_all), ("q", &of_p), ("", &of_p), ("", &damaged)] {
        let status = client.list_accounts(page(partner, 1, token)).await;
        assert_eq!(refused(&status.unwrap_err()), invalid(["page_token"]));
    }
    // It goes on after the account that it names, which need not be there any more.
    client.delete_account(delete("d")).await.unwrap();
    assert_eq!(ids(&mut client, page("", 1, &of_all)).await.0, ["p"]);
    let large = client.list_accounts(page("", 1_001, "")).await.unwrap_err();
    assert_eq!(refused(&large), invalid(["page_size"]));
    let malformed = client.list_accounts(page("a b", 0, "")).await.unwrap_err();
    assert_eq!(refused(&malformed), invalid(["partner_id"]));
}
