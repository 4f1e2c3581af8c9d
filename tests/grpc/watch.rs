//! WatchChanges: what every write tells, where a watch begins, and how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis::app::Drained;
use portcullis::domain::{Account, AccountKind};
use portcullis::proto::v1::authorization_service_client::AuthorizationServiceClient;
use portcullis::proto::v1::change::Subject;
use portcullis::proto::v1::{self, Setting, WatchChangesRequest, WatchChangesResponse};
use portcullis::store::{PolicyStore as _, Write, WriteRequest};
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};

use crate::support::gated::GatedServer;
use crate::support::policies::{
    Policies, delete, delete_locations, delete_markets, direct, managed, market, markets, own,
    partner, put, put_locations, put_markets, update, world,
};
use crate::support::refused::{because, refused};
use crate::support::requests::location;
use crate::support::server::{Client, Server, built_in_matrix, config};
use crate::support::within;

type Watch = Streaming<WatchChangesResponse>;

const LONG: Duration = Duration::from_secs(50);

async fn watch(client: &mut Client, after_revision: Option<u64>) -> Watch {
    let request = WatchChangesRequest { after_revision };
    let watch = within("a watch", client.watch_changes(request)).await;
    watch.unwrap().into_inner()
}

async fn next(watch: &mut Watch) -> WatchChangesResponse {
    within("a message", watch.message()).await.unwrap().unwrap()
}

fn message(revision: u64, subjects: &[Subject]) -> WatchChangesResponse {
    let changes = subjects.iter().cloned().map(|subject| v1::Change {
        subject: Some(subject),
    });
    WatchChangesResponse {
        revision,
        changes: changes.collect(),
    }
}

fn account(id: &str) -> Subject {
    Subject::AccountId(id.to_owned())
}

fn policy(id: &str) -> Subject {
    Subject::PartnerId(id.to_owned())
}

const CATALOG: Subject = Subject::Catalog(true);
const EVERYTHING: Subject = Subject::Everything(true);

/// One of every write, each with what it tells.
async fn every_write(client: &mut Policies, mut told: impl AsyncFnMut(u64, &[Subject])) {
    let of = |changes: &[(&'static str, Setting)]| changes.to_vec();
    let on = of(&[("dashboard.view", Setting::On)]);
    let made = client.update_partner_policy(update("q", on.clone())).await;
    told(made.unwrap().into_inner().revision, &[policy("q")]).await;
    let made = client
        .update_partner_policy(markets("q", &["AU"], &[]))
        .await;
    told(made.unwrap().into_inner().revision, &[policy("q")]).await;
    let made = client.update_account_settings(own("q-1", on)).await;
    told(made.unwrap().into_inner().revision, &[account("q-1")]).await;

    for (put_account, subjects) in [
        (direct("new"), vec![account("new")]),
        (partner("new"), vec![account("new"), policy("new")]),
        (direct("new"), vec![account("new"), policy("new")]),
        (managed("new", "q"), vec![account("new")]),
        (managed("q-1", "p"), vec![account("q-1")]),
    ] {
        let made = client.put_account(put(put_account)).await.unwrap();
        told(made.into_inner().revision, &subjects).await;
    }
    for (id, subjects) in [
        ("new", vec![account("new")]),
        ("q", vec![account("q"), policy("q")]),
    ] {
        let made = client.delete_account(delete(id)).await.unwrap();
        told(made.into_inner().revision, &subjects).await;
    }

    let made = client
        .put_billing_markets(put_markets([market("NZ", &[])]))
        .await;
    told(made.unwrap().into_inner().revision, &[CATALOG]).await;
    let made = client
        .put_locations(put_locations([location("akl", "NZ")]))
        .await;
    told(made.unwrap().into_inner().revision, &[CATALOG]).await;
    let made = client.delete_locations(delete_locations(&["akl"])).await;
    told(made.unwrap().into_inner().revision, &[CATALOG]).await;
    let made = client.delete_billing_markets(delete_markets(&["NZ"])).await;
    told(made.unwrap().into_inner().revision, &[CATALOG]).await;
}

#[tokio::test]
async fn every_write_is_told_as_what_it_changes() {
    let server = Server::start(config(world())).await;
    let mut watching = watch(&mut server.client().await, None).await;
    let WatchChangesResponse { revision, changes } = next(&mut watching).await;
    assert_eq!((revision, changes), (1, Vec::new()));
    let mut all = vec![message(1, &[EVERYTHING])];
    every_write(&mut server.policies().await, async |revision, subjects| {
        let want = message(revision, subjects);
        assert_eq!(next(&mut watching).await, want);
        all.push(want);
    })
    .await;
    // And once more, to one who comes later.
    let mut later = watch(&mut server.client().await, Some(0)).await;
    for want in all {
        assert_eq!(next(&mut later).await, want);
    }
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_not_told() {
    let server = Server::start(config(world())).await;
    let mut watching = watch(&mut server.client().await, None).await;
    next(&mut watching).await;
    let mut client = server.policies().await;
    let on = [("pricing.view", Setting::On)];
    client.update_partner_policy(update("p", on)).await.unwrap();
    client.put_account(put(direct("new"))).await.unwrap();
    assert_eq!(next(&mut watching).await, message(2, &[account("new")]));
}

#[tokio::test]
async fn a_watch_goes_on_where_the_one_before_it_ended() {
    let server = Server::start(config(world())).await;
    let mut client = server.client().await;
    let mut first = watch(&mut client, Some(1)).await;
    assert_eq!(next(&mut first).await, message(1, &[]));
    drop(first);
    let mut policies = server.policies().await;
    for id in ["a", "b"] {
        policies.put_account(put(direct(id))).await.unwrap();
    }
    let mut second = watch(&mut client, Some(1)).await;
    assert_eq!(next(&mut second).await, message(2, &[account("a")]));
    assert_eq!(next(&mut second).await, message(3, &[account("b")]));
    let mut future = watch(&mut client, Some(1_000)).await;
    assert_eq!(next(&mut future).await, message(3, &[EVERYTHING]));
    policies.put_account(put(direct("c"))).await.unwrap();
    for watching in [&mut second, &mut future] {
        assert_eq!(next(watching).await, message(4, &[account("c")]));
    }
}

#[tokio::test]
async fn a_drain_ends_it() {
    let mut config = config(world());
    config.shutdown_grace = LONG;
    let server = Server::start(config).await;
    let mut watching = watch(&mut server.client().await, None).await;
    next(&mut watching).await;
    let stopped = tokio::spawn(server.stop());
    let end = within("the end", watching.message()).await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(within("the drain", stopped).await.unwrap(), Drained::Clean);
}

#[tokio::test]
async fn the_callers_deadline_ends_it_and_the_servers_does_not() {
    let mut config = config(world());
    config.limits.request_timeout = Duration::from_millis(200);
    let server = Server::start(config).await;
    let mut client = server.client().await;
    let mut without = watch(&mut client, None).await;
    next(&mut without).await;
    let mut request = Request::new(WatchChangesRequest::default());
    request.set_timeout(Duration::from_millis(500));
    let start = tokio::time::Instant::now();
    // The client's own timer would end it at the same time.
    let mut with = client.watch_changes(request).await.unwrap().into_inner();
    next(&mut with).await;
    let end = within("the deadline", with.message()).await.unwrap_err();
    assert_eq!(
        refused(&end),
        because(Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert!(
        start.elapsed() >= Duration::from_millis(450),
        "{:?}",
        start.elapsed()
    );
    let mut policies = server.policies().await;
    policies.put_account(put(direct("a"))).await.unwrap();
    assert_eq!(next(&mut without).await, message(2, &[account("a")]));
}

#[tokio::test]
async fn one_who_reads_too_slowly_is_told_everything() {
    let server = GatedServer::start(LONG, LONG).await;
    server.gate.signalling.store(true, Ordering::SeqCst);
    // What HTTP/2 itself keeps for a slow reader: little.
    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let channel = channel
        .initial_stream_window_size(1_024)
        .connect()
        .await
        .unwrap();
    let mut slow = watch(&mut AuthorizationServiceClient::new(channel), None).await;
    let mut quick = watch(&mut server.client().await, None).await;
    let begun = next(&mut quick).await.revision;

    let store = server.gate.inner();
    let mut revision = begun;
    for _ in 0..60 {
        for number in 0..50 {
            revision = store
                .write(rename("acme", number))
                .await
                .unwrap()
                .revision
                .0;
        }
        while next(&mut quick).await.revision < revision {}
    }
    // What was on its way already; then one message that stands for all that did not fit.
    let mut last = begun;
    let everything = loop {
        let told = next(&mut slow).await;
        if told.changes == message(0, &[EVERYTHING]).changes {
            break told.revision;
        }
        assert!(told.revision <= last + 1, "from {last} to {told:?}");
        last = told.revision;
    };
    assert!(
        everything > last + 1_000,
        "{begun} {last} {everything} {revision}"
    );
    last = everything;
    while last < revision {
        last = next(&mut slow).await.revision;
    }
}

/// A change of one account.
fn rename(id: &str, number: u32) -> Arc<WriteRequest> {
    let account = Account {
        id: id.try_into().unwrap(),
        kind: AccountKind::Direct,
        display_name: number.to_string(),
    };
    Arc::new(WriteRequest {
        write: Write::PutAccount(account),
        matrix: Arc::new(built_in_matrix()),
        actor: String::new(),
        caller: String::new(),
        comment: String::new(),
        expected: None,
        idempotency: None,
    })
}
