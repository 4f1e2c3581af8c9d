//! Requests that come twice.

use std::sync::Arc;

use portcullis::domain::{AccountKind, Revision};
use portcullis::store::{Idempotency, Write, WriteRefusal, WriteRequest};

use super::{
    TestStore, account, all_changes, filled, id, made, make, own, policy, refused, request,
};

fn keyed(write: Write, key: &str, digest: u8) -> WriteRequest {
    WriteRequest {
        idempotency: Some(Idempotency {
            method: "UpdatePartnerPolicy",
            key: key.to_owned(),
            digest: [digest; 32],
        }),
        ..request(write)
    }
}

fn on() -> Write {
    policy("northwind", &["dashboard.view=on"], &["UK"], &[])
}

pub(crate) async fn the_same_request_with_the_same_key_is_made_once(store: TestStore) {
    filled(&store).await;
    let first = make(&store, keyed(on(), "key", 1)).await.unwrap();
    // What others did since does not show in the answer, and the expectation is not looked at again.
    made(
        &store,
        policy("northwind", &["dashboard.view=off"], &[], &["AU"]),
    )
    .await;
    let mut again = keyed(on(), "key", 1);
    again.expected = Some(Revision(1));
    assert_eq!(make(&store, again).await.unwrap(), first);
    assert_eq!(all_changes(&store).await.len(), 3);
}

pub(crate) async fn another_request_with_the_same_key_is_refused(store: TestStore) {
    filled(&store).await;
    make(&store, keyed(on(), "key", 1)).await.unwrap();
    let refusal = refused(
        &store,
        keyed(own("retail", &["pricing.view=off"]), "key", 2),
    )
    .await;
    assert!(
        matches!(refusal, WriteRefusal::IdempotencyKeyReused(_)),
        "{refusal:?}"
    );
    assert_eq!(all_changes(&store).await.len(), 2);
}

pub(crate) async fn a_key_is_of_its_caller_and_its_method(store: TestStore) {
    filled(&store).await;
    make(&store, keyed(on(), "key", 1)).await.unwrap();
    let other_caller = WriteRequest {
        caller: "another".to_owned(),
        ..keyed(
            policy("northwind", &["dashboard.view=off"], &[], &[]),
            "key",
            2,
        )
    };
    assert_eq!(
        make(&store, other_caller).await.unwrap().revision,
        Revision(3)
    );
    let mut other_method = keyed(own("retail", &["pricing.view=off"]), "key", 3);
    other_method.idempotency.as_mut().unwrap().method = "UpdateAccountSettings";
    assert_eq!(
        make(&store, other_method).await.unwrap().revision,
        Revision(4)
    );
}

/// Written one after the other, or with a separator, these would be one.
pub(crate) async fn no_two_callers_methods_and_keys_are_taken_for_one(store: TestStore) {
    filled(&store).await;
    let (update, put) = ("UpdatePartnerPolicy", "UpdateAccountSettings");
    let scopes = [
        ("a", update, "bc"),
        ("ab", update, "c"),
        ("a", update, "BC"),
        ("A", update, "bc"),
        ("a ", update, "bc"),
        ("a", update, " bc"),
        ("a", update, "bc "),
        ("a|UpdatePartnerPolicy", update, "bc"),
        ("a", update, "UpdatePartnerPolicy|bc"),
        ("a\u{301}", update, "bc"),
        ("\u{e1}", update, "bc"),
        ("a", put, "bc"),
        ("ab", put, "c"),
    ];
    for (number, (caller, method, key)) in (0_u8..).zip(scopes) {
        let mut request = WriteRequest {
            caller: caller.to_owned(),
            ..keyed(on(), key, number)
        };
        request.idempotency.as_mut().unwrap().method = method;
        // Each a request of its own, so that a key that is taken for another is refused.
        make(&store, request).await.unwrap();
    }
}

pub(crate) async fn a_write_that_failed_leaves_its_key_free(store: TestStore) {
    filled(&store).await;
    let mut early = keyed(on(), "key", 1);
    early.expected = Some(Revision(7));
    refused(&store, early).await;
    refused(&store, keyed(policy("nobody", &[], &[], &[]), "key", 2)).await;
    assert_eq!(
        make(&store, keyed(on(), "key", 3)).await.unwrap().revision,
        Revision(2)
    );
}

pub(crate) async fn a_write_that_changed_nothing_uses_its_key_up(store: TestStore) {
    filled(&store).await;
    let nothing = || Write::PutAccount(account("acme", AccountKind::Direct));
    let first = make(&store, keyed(nothing(), "key", 1)).await.unwrap();
    assert_eq!(first.revision, Revision(1));
    made(&store, Write::DeleteAccount(id("acme"))).await;
    assert_eq!(
        make(&store, keyed(nothing(), "key", 1)).await.unwrap(),
        first
    );
    let refusal = refused(&store, keyed(nothing(), "key", 2)).await;
    assert!(
        matches!(refusal, WriteRefusal::IdempotencyKeyReused(_)),
        "{refusal:?}"
    );
}

pub(crate) async fn two_at_once_with_one_key_write_once(store: TestStore) {
    filled(&store).await;
    for round in 0_u8..10 {
        let setting = if round % 2 == 0 {
            "dashboard.view=on"
        } else {
            "dashboard.view=off"
        };
        let attempt = || {
            let store = Arc::clone(&store);
            let request = keyed(
                policy("northwind", &[setting], &[], &[]),
                &format!("key {round}"),
                round,
            );
            tokio::spawn(async move { make(&store, request).await })
        };
        let attempts = [attempt(), attempt(), attempt()];
        for attempt in attempts {
            let written = attempt.await.unwrap().unwrap();
            assert_eq!(written.revision, Revision(2 + u64::from(round)));
        }
    }
    assert_eq!(all_changes(&store).await.len(), 11);
}
