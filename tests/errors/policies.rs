//! The rows that PolicyService serves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::proto::v1::{self, Setting};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::gated::GatedServer;
use crate::support::policies::{
    Policies, account_of, delete, delete_locations, delete_markets, direct, expecting, keyed,
    managed, markets, own, policies, policy_of, put, put_markets, update,
};
use crate::support::refused::{because, refused};
use crate::support::server::Server;

const LIMIT: Duration = Duration::from_secs(20);

async fn gated() -> (GatedServer, Policies) {
    let server = GatedServer::start(LIMIT, LIMIT).await;
    let channel = server.channel().await;
    (server, policies(channel))
}

fn on() -> v1::UpdatePartnerPolicyRequest {
    update("northwind", [("dashboard.view", Setting::On)])
}

async fn refusal(client: &mut Policies, update: v1::UpdatePartnerPolicyRequest) -> Status {
    client.update_partner_policy(update).await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::demo().await;
    let mut client = server.policies().await;
    let (nobody, nowhere) = ("nobody", "nowhere");
    for (status, reason) in [
        (
            client.get_account(account_of(nobody)).await.err(),
            "ACCOUNT_UNKNOWN",
        ),
        (
            client.update_account_settings(own(nobody, [])).await.err(),
            "ACCOUNT_UNKNOWN",
        ),
        (
            client.delete_account(delete(nobody)).await.err(),
            "ACCOUNT_UNKNOWN",
        ),
        (
            client.get_partner_policy(policy_of(nobody)).await.err(),
            "PARTNER_UNKNOWN",
        ),
        (
            client.put_account(put(managed("x", nobody))).await.err(),
            "PARTNER_UNKNOWN",
        ),
        (
            client
                .delete_locations(delete_locations(&[nowhere]))
                .await
                .err(),
            "LOCATION_UNKNOWN",
        ),
        (
            client
                .delete_billing_markets(delete_markets(&["XX"]))
                .await
                .err(),
            "MARKET_UNKNOWN",
        ),
        (
            client
                .update_partner_policy(markets("northwind", &["XX"], &[]))
                .await
                .err(),
            "MARKET_UNKNOWN",
        ),
    ] {
        let status = status.unwrap();
        assert_eq!(refused(&status), because(Code::NotFound, reason));
        let names = [nobody, nowhere, "XX"];
        let named = names.iter().any(|name| status.message().contains(name));
        assert!(named, "{status:?}");
    }
}

#[tokio::test]
async fn what_may_not_be_now_is_a_failed_precondition() {
    let server = Server::demo().await;
    let mut client = server.policies().await;
    let mut first = on();
    first.context = keyed("k");
    client.update_partner_policy(first).await.unwrap();
    let mut reused = update("northwind", [("dashboard.view", Setting::Off)]);
    reused.context = keyed("k");
    for (status, reason) in [
        (
            client
                .update_partner_policy(update("northwind", [("invoices.pay", Setting::On)]))
                .await
                .err(),
            "FEATURE_NOT_CONFIGURABLE",
        ),
        (
            client
                .update_account_settings(own("acme", [("pricing.view", Setting::On)]))
                .await
                .err(),
            "FEATURE_NOT_CONFIGURABLE",
        ),
        (
            client.delete_account(delete("northwind")).await.err(),
            "ACCOUNT_IN_USE",
        ),
        (
            client.put_account(put(direct("northwind"))).await.err(),
            "ACCOUNT_IN_USE",
        ),
        (
            client
                .delete_billing_markets(delete_markets(&["AU"]))
                .await
                .err(),
            "MARKET_IN_USE",
        ),
        (
            client.update_partner_policy(reused).await.err(),
            "IDEMPOTENCY_KEY_REUSED",
        ),
    ] {
        let want = because(Code::FailedPrecondition, reason);
        assert_eq!(refused(&status.unwrap()), want);
    }
}

#[tokio::test]
async fn another_revision_than_expected_aborts_every_write() {
    let server = Server::demo().await;
    let mut client = server.policies().await;
    let context = expecting(77);
    let mut policy = on();
    policy.context.clone_from(&context);
    let mut settings = own("northwind-retail", []);
    settings.context.clone_from(&context);
    let mut account = put(direct("new"));
    account.context.clone_from(&context);
    let mut gone = delete("acme");
    gone.context.clone_from(&context);
    let mut new_markets = put_markets([]);
    new_markets.context.clone_from(&context);
    let mut old_markets = delete_markets(&[]);
    old_markets.context.clone_from(&context);
    let locations = v1::PutLocationsRequest {
        locations: Vec::new(),
        context: context.clone(),
    };
    let mut old_locations = delete_locations(&[]);
    old_locations.context.clone_from(&context);
    for status in [
        client.update_partner_policy(policy).await.err(),
        client.update_account_settings(settings).await.err(),
        client.put_account(account).await.err(),
        client.delete_account(gone).await.err(),
        client.put_billing_markets(new_markets).await.err(),
        client.delete_billing_markets(old_markets).await.err(),
        client.put_locations(locations).await.err(),
        client.delete_locations(old_locations).await.err(),
    ] {
        let status = status.unwrap();
        assert_eq!(
            refused(&status),
            because(Code::Aborted, "REVISION_MISMATCH")
        );
        assert!(
            status.message().contains("not 77 as expected"),
            "{status:?}"
        );
    }
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_settled_by_the_same_key() {
    let (server, mut client) = gated().await;
    let mut change = on();
    change.context = keyed("k");
    server.gate.cut.store(true, Ordering::SeqCst);
    let status = refusal(&mut client, change.clone()).await;
    assert_eq!(refused(&status), because(Code::Unknown, "OUTCOME_UNKNOWN"));
    assert!(status.message().contains("idempotency key"), "{status:?}");
    // It was made, and is not made again.
    let answer = client.update_partner_policy(change).await.unwrap();
    assert_eq!(answer.into_inner().revision, 2);
    let history = v1::ListPolicyChangesRequest::default();
    let history = client.list_policy_changes(history).await.unwrap();
    assert_eq!(history.into_inner().changes.len(), 2);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_unavailable_for_writes() {
    let (server, mut client) = gated().await;
    server.gate.read_only.store(true, Ordering::SeqCst);
    let status = refusal(&mut client, on()).await;
    let want = because(Code::Unavailable, "STORE_READ_ONLY");
    assert_eq!(refused(&status), want);
    assert!(status.get_details_retry_info().is_some());
    let read = client.get_partner_policy(policy_of("northwind")).await;
    assert!(read.is_ok());
    server.gate.read_only.store(false, Ordering::SeqCst);
    assert!(client.update_partner_policy(on()).await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_for_all() {
    let (server, mut client) = gated().await;
    server.gate.down.store(true, Ordering::SeqCst);
    let explain = v1::ExplainFeatureRequest {
        account_id: "acme".to_owned(),
        feature: "pricing.view".to_owned(),
    };
    let preview = v1::PreviewPartnerPolicyRequest { update: Some(on()) };
    let listing = v1::ListBillingMarketsRequest {};
    let history = v1::ListPolicyChangesRequest::default();
    let accounts = v1::ListAccountsRequest::default();
    for status in [
        client.update_partner_policy(on()).await.err(),
        client.delete_account(delete("acme")).await.err(),
        client.delete_locations(delete_locations(&[])).await.err(),
        client.preview_partner_policy(preview).await.err(),
        client
            .get_partner_policy(policy_of("northwind"))
            .await
            .err(),
        client.get_account(account_of("acme")).await.err(),
        client.list_accounts(accounts).await.err(),
        client.list_billing_markets(listing).await.err(),
        client.list_policy_changes(history).await.err(),
        client.explain_feature(explain.clone()).await.err(),
    ] {
        let status = status.unwrap();
        let want = because(Code::Unavailable, "STORE_UNAVAILABLE");
        assert_eq!(refused(&status), want);
        assert!(status.get_details_retry_info().is_some());
    }
    // The matrix is no matter of the store.
    let matrix = v1::GetFeatureMatrixRequest {};
    assert!(client.get_feature_matrix(matrix).await.is_ok());
    server.gate.down.store(false, Ordering::SeqCst);
    assert!(client.explain_feature(explain).await.is_ok());
}

#[tokio::test]
async fn a_deadline_leaves_a_write_open_and_its_key_settles_it() {
    let (server, client) = gated().await;
    let hold = server.gate.hold.write().await;
    let mut change = on();
    change.context = keyed("k");
    let mut hasty = client.clone();
    let mut request = tonic::Request::new(change.clone());
    request.set_timeout(Duration::from_millis(50));
    let status = hasty.update_partner_policy(request).await.unwrap_err();
    assert!(
        [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()),
        "{status:?}"
    );
    drop(hold);
    let answer = client.clone().update_partner_policy(change).await.unwrap();
    assert_eq!(answer.into_inner().revision, 2);
}
