//! The server is killed while it writes.

use std::time::Duration;

use portcullis::proto::v1::{self, AccountKind, ChangeContext};
use tonic::Code;

use super::support::policies::Policies;
use super::support::process::Process;
use super::support::{self, Database, within};
use super::{Dice, world};

const WRITES: usize = 300;
const KILLS: usize = 12;

fn write(number: usize) -> v1::PutAccountRequest {
    let account = v1::Account {
        id: "d".to_owned(),
        kind: AccountKind::Direct.into(),
        display_name: format!("after {number}"),
        ..v1::Account::default()
    };
    let context = ChangeContext {
        comment: number.to_string(),
        idempotency_key: format!("write {number}"),
        ..ChangeContext::default()
    };
    v1::PutAccountRequest {
        account: Some(account),
        context: Some(context),
    }
}

async fn start(database: &Database, folder: &std::path::Path) -> (Process, Policies) {
    let process = Process::serve(database, &[], &[], folder);
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", process.grpc));
    let channel = channel.unwrap().connect().await.unwrap();
    (process, support::policies::policies(channel))
}

/// The writes in the history, in its order.
async fn recorded(policies: &mut Policies) -> Vec<usize> {
    let mut request = v1::ListPolicyChangesRequest {
        account_id: "d".to_owned(),
        after_revision: 1,
        page_size: 1_000,
        ..v1::ListPolicyChangesRequest::default()
    };
    let mut comments = Vec::new();
    loop {
        let page = policies
            .list_policy_changes(request.clone())
            .await
            .unwrap()
            .into_inner();
        comments.extend(
            page.changes
                .into_iter()
                .map(|change| change.comment.parse::<usize>().unwrap()),
        );
        if page.next_page_token.is_empty() {
            return comments;
        }
        request.page_token = page.next_page_token;
    }
}

/// After each kill everything that was acknowledged is there, what was not is there whole or not at
/// all, and a repetition with the same key makes it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_it_writes_loses_no_acknowledged_write() {
    let dice = Dice::new("kills");
    let database = world("crash").await;
    let folder = tempfile::tempdir().unwrap();
    let (mut process, mut policies) = start(&database, folder.path()).await;

    let (mut next, mut settled_by_repetition) = (0, 0);
    for kill in 0..=KILLS {
        let last = if kill == KILLS {
            WRITES
        } else {
            WRITES * (kill + 1) / (KILLS + 1)
        };
        // Killed at some instant after the last write of this part has begun.
        let acknowledged = async {
            while next < last {
                within("a write", policies.put_account(write(next)))
                    .await
                    .unwrap();
                next += 1;
            }
        };
        acknowledged.await;
        if kill == KILLS {
            break;
        }
        let patience = Duration::from_micros(dice.roll(30_000) as u64);
        let mut cut = policies.clone();
        let under_way = tokio::spawn(async move { cut.put_account(write(last)).await });
        tokio::time::sleep(patience).await;
        drop(process);
        let outcome = under_way.await.unwrap();
        (process, policies) = start(&database, folder.path()).await;

        let there = recorded(&mut policies).await;
        let whole = there.len() > last;
        assert!(
            there.iter().copied().eq(0..last + usize::from(whole)),
            "kill {kill}: {there:?}"
        );
        let name = policies
            .get_account(v1::GetAccountRequest {
                account_id: "d".to_owned(),
            })
            .await;
        let name = name.unwrap().into_inner().account.unwrap().display_name;
        assert_eq!(name, format!("after {}", there.len() - 1), "kill {kill}");
        match outcome {
            Ok(_) => assert!(whole, "kill {kill}: acknowledged, and not there"),
            Err(status) => {
                assert!(
                    matches!(
                        status.code(),
                        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
                    ),
                    "{status}"
                );
                settled_by_repetition += usize::from(whole);
            }
        }
    }
    let there = recorded(&mut policies).await;
    assert!(there.iter().copied().eq(0..WRITES), "{there:?}");
    println!(
        "killed {KILLS} times in {WRITES} writes: each is there once; {settled_by_repetition} were there \
         though nobody was told"
    );
}
