//! The certificate of the server and the authority of clients, replaced under load: no call fails,
//! and who is of the old authority is refused at its next handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis::proto::v1;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::authority::{Authority, Identity, Name};
use crate::support::http2::Connection;
use crate::support::requests::check;
use crate::support::within;
use crate::world::{By, CHECK, World, ask, spiffe, try_ask};

const RECONNECTING: usize = 4;
const STAYING: usize = 2;
/// So many calls of one connection.
const CALLS: usize = 25;

/// What the clients have seen.
#[derive(Debug, Default)]
struct Figures {
    calls: AtomicU64,
    /// Those that were begun, by client.
    handshakes: [AtomicU64; RECONNECTING],
    failures: AtomicU64,
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

#[derive(Clone)]
struct Load {
    world: Arc<World>,
    address: SocketAddr,
    figures: Arc<Figures>,
    /// Who clients are from their next connection on; none when they are to end.
    identity: watch::Receiver<Option<Arc<Identity>>>,
}

impl Load {
    async fn call(&self, connection: &Connection) {
        let message = check("d", "pricing.view").encode_to_vec();
        let answer = try_ask(connection, CHECK, &[], &message).await;
        let is_good = answer.as_ref().is_ok_and(|(status, body)| {
            let answer = v1::CheckFeatureResponse::decode(&**body);
            status.code() == Code::Ok && answer.is_ok_and(|it| it.effect() == v1::Effect::Allow)
        });
        count(&self.figures.calls);
        if !is_good {
            println!("a call failed: {answer:?}");
            count(&self.figures.failures);
        }
    }

    async fn reconnect(self, number: usize) {
        loop {
            let Some(identity) = self.identity.borrow().clone() else {
                return;
            };
            count(&self.figures.handshakes[number]);
            match self.world.try_connect(self.address, Some(&identity)).await {
                Ok(connection) => {
                    for _ in 0..CALLS {
                        self.call(&connection).await;
                    }
                }
                Err(error) => {
                    println!("a handshake failed: {error}");
                    count(&self.figures.failures);
                }
            }
        }
    }

    /// Keeps its first connection.
    async fn stay(self) {
        let identity = self.identity.borrow().clone();
        let connection = self.world.connect(self.address, identity.as_deref()).await;
        while self.identity.borrow().is_some() {
            self.call(&connection).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn handshakes(&self) -> [u64; RECONNECTING] {
        let of = |client: &AtomicU64| client.load(Ordering::Relaxed);
        self.figures.handshakes.each_ref().map(of)
    }

    /// Waits for each client to have connected again since now, and to be done with that.
    async fn all_connected_again(&self) {
        let seen = self.handshakes();
        let again = |(now, seen): (u64, u64)| now >= seen + 2;
        while !self.handshakes().into_iter().zip(seen).all(again) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn until_let_in(world: &World, address: SocketAddr, identity: &Identity, want: bool) {
    let changed = async {
        while world.is_let_in(address, Some(identity)).await != want {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the authority", changed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_are_replaced_and_no_call_fails() {
    let world = Arc::new(World::new());
    let server = world.serve(By::Certificates).await;
    let next = Authority::new("clients of tomorrow");
    let old = Arc::new(world.client("check"));
    let new = Arc::new(next.client(&[Name::Uri(&spiffe("check"))]));
    assert!(!world.is_let_in(server.grpc, Some(&new)).await);

    let (told, identity) = watch::channel(Some(Arc::clone(&old)));
    let load = Load {
        world: Arc::clone(&world),
        address: server.grpc,
        figures: Arc::default(),
        identity,
    };
    let mut clients = JoinSet::new();
    for number in 0..RECONNECTING {
        clients.spawn(load.clone().reconnect(number));
    }
    for _ in 0..STAYING {
        clients.spawn(load.clone().stay());
    }
    let kept = world.connect(server.grpc, Some(&old)).await;
    within("a beginning", load.all_connected_again()).await;

    world.write(
        "clients.pem",
        &format!("{}{}", world.clients.pem(), next.pem()),
    );
    until_let_in(&world, server.grpc, &new, true).await;
    told.send_replace(Some(Arc::clone(&new)));
    within("the new identity", load.all_connected_again()).await;

    let shown = world.servers.server(&["localhost"]);
    world.serve_as(&shown);
    let rotated = async {
        while world.shown(server.grpc).await != shown.der {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the new certificate", rotated).await;

    world.write("clients.pem", next.pem());
    until_let_in(&world, server.grpc, &old, false).await;
    within("the end", load.all_connected_again()).await;
    told.send_replace(None);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }

    let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let (calls, failures) = (of(&load.figures.calls), of(&load.figures.failures));
    let handshakes: u64 = load.handshakes().iter().sum();
    println!("rotated under load: {calls} calls over {handshakes} handshakes, {failures} failures");
    assert_eq!(failures, 0);
    assert!(calls > 500, "no load");
    // Who is connected stays so, and is not let in again.
    let message = check("d", "pricing.view").encode_to_vec();
    let (status, _) = ask(&kept, CHECK, &[], &message).await;
    assert_eq!(status.code(), Code::Ok);
    assert!(!world.is_let_in(server.grpc, Some(&old)).await);
    assert!(world.is_let_in(server.grpc, Some(&new)).await);
}
