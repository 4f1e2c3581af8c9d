//! How fresh an answer must be, and what it says about that.

use std::time::Duration;

use portcullis::datafile;
use portcullis::proto::v1::{self, Effect, NotificationKind};
use portcullis::store::Store as _;
use tonic::{Code, Status};

use crate::support::gated::GatedServer;
use crate::support::refused::{because, refused};
use crate::support::requests::{
    at_least, batch, catalog, check, fully_consistent, inline, list, recipients,
};
use crate::support::server::{Client, Server, built_in_matrix};

/// What every answer says of its freshness: revision and stale.
type Freshness = Result<(u64, bool), Status>;

/// The freshness of every call's answer under one requirement.
async fn every_call(client: &mut Client, wanted: Option<v1::Consistency>) -> Vec<Freshness> {
    let mut found = Vec::new();

    let mut request = check("northwind-retail", "pricing.view");
    request.consistency = wanted;
    let answer = client.check_feature(request).await;
    found.push(answer.map(|answer| (answer.get_ref().revision, answer.get_ref().stale)));

    let mut request = batch([("northwind-retail", "pricing.view"), ("acme", "no.such")]);
    request.consistency = wanted;
    let answer = client.batch_check_features(request).await;
    found.push(answer.map(|answer| (answer.get_ref().revision, answer.get_ref().stale)));

    let mut request = list("northwind-retail");
    request.consistency = wanted;
    let answer = client.list_features(request).await;
    found.push(answer.map(|answer| (answer.get_ref().revision, answer.get_ref().stale)));

    for mut request in [
        catalog("northwind-retail"),
        inline("northwind-retail", Vec::new()),
    ] {
        request.consistency = wanted;
        let answer = client.filter_catalog(request).await;
        found.push(answer.map(|answer| (answer.get_ref().revision, answer.get_ref().stale)));
    }

    let mut request = recipients(NotificationKind::Maintenance, ["northwind-retail"]);
    request.consistency = wanted;
    let answer = client.resolve_recipients(request).await;
    found.push(answer.map(|answer| (answer.get_ref().revision, answer.get_ref().stale)));
    found
}

#[tokio::test]
async fn every_answer_says_how_fresh_it_is() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for wanted in [
        None,
        Some(v1::Consistency { requirement: None }),
        at_least(0),
        at_least(1),
        fully_consistent(false),
        fully_consistent(true),
    ] {
        for found in every_call(&mut client, wanted).await {
            assert_eq!(found.unwrap(), (1, false), "{wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_revision_that_was_never_made_is_unknown() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for revision in [2, 1_000_000, u64::MAX] {
        for found in every_call(&mut client, at_least(revision)).await {
            let want = because(Code::FailedPrecondition, "REVISION_UNKNOWN");
            assert_eq!(refused(&found.unwrap_err()), want, "{revision}");
        }
    }
}

const LIMIT: Duration = Duration::from_secs(30);

/// Revision 2: northwind takes its accounts' prices and markets away.
async fn change(server: &GatedServer) {
    let change = "policies: [{ partner: northwind, settings: { pricing.view: off } }]";
    let (change, _) = datafile::parse(change, &built_in_matrix()).unwrap();
    let store = server.gate.inner();
    let outcome = store.import(&change, &|_| {}).await.unwrap();
    assert_eq!(outcome.revision.0, 2);
}

#[tokio::test]
async fn a_change_is_seen_at_once_by_who_asks_for_it() {
    for wanted in [at_least(2), fully_consistent(true)] {
        let server = GatedServer::start(LIMIT, LIMIT).await;
        let mut client = server.client().await;
        // Everything is cached before the change.
        for found in every_call(&mut client, None).await {
            assert_eq!(found.unwrap(), (1, false));
        }
        change(&server).await;
        let mut request = check("northwind-games", "pricing.view");
        request.consistency = wanted;
        let answer = client.check_feature(request).await.unwrap().into_inner();
        assert_eq!((answer.effect(), answer.revision), (Effect::Deny, 2));
        let mut request = catalog("northwind-games");
        request.consistency = wanted;
        let answer = client.filter_catalog(request).await.unwrap().into_inner();
        assert_eq!((answer.locations, answer.hidden_count), (vec![], 143));
        assert_eq!((answer.prices_redacted, answer.revision), (true, 2));
        for found in every_call(&mut client, wanted).await {
            assert_eq!(found.unwrap(), (2, false), "{wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_change_is_seen_by_everyone_when_it_is_applied() {
    let server = GatedServer::start(LIMIT, LIMIT).await;
    let mut client = server.client().await;
    let request = || check("northwind-games", "pricing.view");
    let answer = client.check_feature(request()).await.unwrap().into_inner();
    assert_eq!((answer.effect(), answer.revision), (Effect::Allow, 1));
    change(&server).await;
    server.gate.applied().await;
    let answer = client.check_feature(request()).await.unwrap().into_inner();
    assert_eq!((answer.effect(), answer.revision), (Effect::Deny, 2));
}
