//! Whose change it was: what the history keeps of callers, and whose keys of repeated requests are.

use http::HeaderValue;
use portcullis::app::StoreChoice;
use portcullis::proto::v1::{self, ChangeContext, Setting};
use prost::Message;
use ring::rand::{SecureRandom as _, SystemRandom};
use tonic::Code;

use crate::support::http2::Connection;
use crate::support::policies::{
    delete, delete_locations, delete_markets, direct, keyed, market, own, put, put_locations,
    put_markets, update,
};
use crate::support::requests::location;
use crate::support::server::Server;
use crate::support::{self, policies};
use crate::world::{By, HISTORY, PUT, World, ask, bearer, spiffe};

const LONGEST: usize = 2048;

async fn write(connection: &Connection, method: &str, shown: &[HeaderValue], message: &[u8]) {
    let path = format!("/portcullis.v1.PolicyService/{method}");
    let (status, _) = ask(connection, &path, shown, message).await;
    assert_eq!(status.code(), Code::Ok, "{method}: {status:?}");
}

/// Every kind of write, in an order in which all of them change something in the small world.
fn writes() -> Vec<(&'static str, Vec<u8>)> {
    let off = [("pricing.view", Setting::Off)];
    vec![
        ("PutAccount", put(direct("new")).encode_to_vec()),
        ("DeleteAccount", delete("new").encode_to_vec()),
        ("UpdatePartnerPolicy", update("p", off).encode_to_vec()),
        ("UpdateAccountSettings", own("p-2", off).encode_to_vec()),
        (
            "PutBillingMarkets",
            put_markets([market("XX", &[])]).encode_to_vec(),
        ),
        (
            "DeleteBillingMarkets",
            delete_markets(&["XX"]).encode_to_vec(),
        ),
        (
            "PutLocations",
            put_locations([location("new", "AU")]).encode_to_vec(),
        ),
        (
            "DeleteLocations",
            delete_locations(&["new"]).encode_to_vec(),
        ),
    ]
}

async fn history(connection: &Connection, shown: &[HeaderValue]) -> Vec<v1::PolicyChange> {
    let (status, answer) = ask(connection, HISTORY, shown, &[]).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    v1::ListPolicyChangesResponse::decode(&*answer)
        .unwrap()
        .changes
}

/// A text of so many bytes that no database makes shorter.
fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).unwrap();
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    let text = random
        .iter()
        .map(|byte| char::from(letters[usize::from(*byte) % 64]));
    text.collect()
}

/// A world in which these may write too.
fn world_of(admins: &[&str]) -> World {
    let world = World::new();
    let lines = admins
        .iter()
        .map(|id| format!("  - {{ id: \"{id}\", roles: [admin] }}\n"));
    world.write(
        "callers.yaml",
        &format!("callers:\n{}", lines.collect::<String>()),
    );
    world
}

async fn over_postgres(world: &World, name: &str) -> Server {
    let database = support::database(name).await;
    let store = StoreChoice::Postgres(support::patient(&database));
    Server::start(world.config(store, By::Either)).await
}

#[tokio::test]
async fn every_write_is_its_callers_in_memory() {
    let world = world_of(&[&spiffe("admin"), "system:serviceaccount:portal:admin"]);
    let server = world.serve(By::Either).await;
    every_write_is_its_callers(&world, &server).await;
}

async fn every_write_is_its_callers(world: &World, server: &Server) {
    let certified = world
        .connect(server.grpc, Some(&world.client("admin")))
        .await;
    let with_token = world.connect(server.grpc, None).await;
    let token = [world.bearer("portal:admin")];
    for (connection, shown, id) in [
        (&certified, &[][..], spiffe("admin")),
        (
            &with_token,
            &token,
            "system:serviceaccount:portal:admin".to_owned(),
        ),
    ] {
        let before = history(connection, shown).await.len();
        for (method, message) in writes() {
            write(connection, method, shown, &message).await;
        }
        let undo = [
            (
                "UpdatePartnerPolicy",
                update("p", [("pricing.view", Setting::On)]).encode_to_vec(),
            ),
            (
                "UpdateAccountSettings",
                own("p-2", [("pricing.view", Setting::Unset)]).encode_to_vec(),
            ),
        ];
        for (method, message) in undo {
            write(connection, method, shown, &message).await;
        }
        let changes = history(connection, shown).await.split_off(before);
        assert_eq!(changes.len(), writes().len() + 2);
        for change in changes {
            assert_eq!(
                (&*change.caller, &*change.actor),
                (&*id, &*id),
                "{change:?}"
            );
        }
        // An actor is on whose behalf it was, and never who called.
        let mut put = put(direct("on-behalf"));
        put.context = policies::by("kim", "");
        write(connection, "PutAccount", shown, &put.encode_to_vec()).await;
        write(
            connection,
            "DeleteAccount",
            shown,
            &delete("on-behalf").encode_to_vec(),
        )
        .await;
        let changes = history(connection, shown).await;
        let change = &changes[changes.len() - 2];
        assert_eq!((&*change.caller, &*change.actor), (&*id, "kim"));
    }
}

#[tokio::test]
async fn the_longest_id_is_kept_whole_and_its_keys_work() {
    let spiffe_id = format!("spiffe://portal.example/{}", random(LONGEST - 24));
    let (ascii, wide) = (random(LONGEST), "\u{10348}".repeat(LONGEST / 4));
    let world = world_of(&[&spiffe_id, &ascii, &wide]);
    let server = over_postgres(&world, "longest_ids").await;
    let path = spiffe_id.strip_prefix("spiffe://portal.example/").unwrap();
    let certified = world.connect(server.grpc, Some(&world.client(path))).await;
    let with_token = world.connect(server.grpc, None).await;
    let token = |id: &str| vec![bearer(&world.issuer.token_of(id))];
    let key = random(128);
    for (connection, shown, id) in [
        (&certified, vec![], &spiffe_id),
        (&with_token, token(&ascii), &ascii),
        (&with_token, token(&wide), &wide),
    ] {
        assert_eq!(id.len(), LONGEST);
        for (method, message) in [
            (
                "PutAccount",
                v1::PutAccountRequest {
                    context: keyed(&key),
                    ..put(direct("d"))
                }
                .encode_to_vec(),
            ),
            (
                "DeleteAccount",
                v1::DeleteAccountRequest {
                    context: keyed(&key),
                    ..delete("d")
                }
                .encode_to_vec(),
            ),
        ] {
            // Twice: the second time it is answered from what was kept.
            write(connection, method, &shown, &message).await;
            write(connection, method, &shown, &message).await;
        }
        let changes = history(connection, &shown).await;
        let last: Vec<_> = changes.iter().rev().take(2).collect();
        let actor: String = id.chars().take(256).collect();
        for change in last {
            assert_eq!((&*change.caller, &*change.actor), (&**id, &*actor));
        }
    }
    // One byte more is nobody.
    let shown = token(&random(LONGEST + 1));
    let (status, _) = ask(&with_token, PUT, &shown, &[]).await;
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_key_is_its_callers_own() {
    let world = world_of(&[
        &spiffe("admin"),
        &spiffe("other"),
        "system:serviceaccount:portal:admin",
    ]);
    let memory = world.serve(By::Either).await;
    let postgres = over_postgres(&world, "keys_of_callers").await;
    for server in [memory, postgres] {
        let of = |account: &str, name: &str| {
            let mut account = direct(account);
            account.display_name = name.to_owned();
            let context = Some(ChangeContext {
                idempotency_key: "the same".to_owned(),
                ..ChangeContext::default()
            });
            v1::PutAccountRequest {
                context,
                ..put(account)
            }
            .encode_to_vec()
        };
        let mut revisions = Vec::new();
        let token = [world.bearer("portal:admin")];
        for (number, (identity, shown)) in [
            (Some(world.client("admin")), &[][..]),
            (Some(world.client("other")), &[]),
            (None, &token),
        ]
        .into_iter()
        .enumerate()
        {
            let connection = world.connect(server.grpc, identity.as_ref()).await;
            let first = of(&format!("a-{number}"), "First");
            for _ in 0..2 {
                let (status, answer) = ask(&connection, PUT, shown, &first).await;
                assert_eq!(status.code(), Code::Ok, "{status:?}");
                revisions.push(v1::PutAccountResponse::decode(&*answer).unwrap().revision);
            }
            let (status, _) = ask(&connection, PUT, shown, &of("another", "Another")).await;
            assert_eq!(
                status.code(),
                Code::FailedPrecondition,
                "its own key, reused"
            );
        }
        let first = revisions[0];
        let want = [first, first, first + 1, first + 1, first + 2, first + 2];
        assert_eq!(revisions, want);
    }
}
