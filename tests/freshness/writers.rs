//! Many writers of one policy, over several replicas.

use portcullis::app::StoreChoice;
use portcullis::proto::v1::{self, ChangeContext, Setting};
use tonic::Code;

use super::support::policies::{policy_of, update};
use super::support::server::{self, Server};
use super::support::{self, within};
use super::world;

const WRITERS: usize = 50;
const ROUNDS: u64 = 10;

/// All of them read one revision and want to write on; one gets there each round, and the others are told that
/// they came too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_writers_that_expect_one_revision_one_wins_each_round() {
    let database = world("writers").await;
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let store = StoreChoice::Postgres(support::patient(&database));
        replicas.push(Server::start(server::config(store)).await);
    }
    let (first, second) = (replicas[0].policies().await, replicas[1].policies().await);

    for round in 0..ROUNDS {
        let now = first
            .clone()
            .get_partner_policy(policy_of("p"))
            .await
            .unwrap();
        let expected = now.into_inner().policy.unwrap().revision;
        let setting = if round % 2 == 0 {
            Setting::On
        } else {
            Setting::Off
        };
        let writers = (0..WRITERS).map(|writer| {
            let mut client = if writer % 2 == 0 {
                first.clone()
            } else {
                second.clone()
            };
            let request = v1::UpdatePartnerPolicyRequest {
                context: Some(ChangeContext {
                    actor: format!("writer {writer}"),
                    expected_revision: Some(expected),
                    ..ChangeContext::default()
                }),
                ..update("p", [("dashboard.view", setting)])
            };
            tokio::spawn(async move { client.update_partner_policy(request).await })
        });
        let (mut won, mut late) = (0, 0);
        for writer in writers.collect::<Vec<_>>() {
            match within("a writer", writer).await.unwrap() {
                Ok(written) => {
                    assert_eq!(written.into_inner().revision, 2 + round);
                    won += 1;
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::Aborted, "{status}");
                    late += 1;
                }
            }
        }
        assert_eq!((won, late), (1, WRITERS - 1), "round {round}");
    }

    let history = v1::ListPolicyChangesRequest {
        partner_id: "p".to_owned(),
        ..v1::ListPolicyChangesRequest::default()
    };
    let history = first
        .clone()
        .list_policy_changes(history)
        .await
        .unwrap()
        .into_inner();
    let revisions = history.changes.iter().map(|change| change.revision);
    assert!(revisions.eq(1..=1 + ROUNDS), "{history:?}");
    // Each change begins where the one before it ended.
    for pair in history.changes[1..].windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
    }
    println!(
        "{ROUNDS} rounds of {WRITERS} writers: one wins each, and the history is whole and in order"
    );
}
