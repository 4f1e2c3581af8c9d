//! Descriptors run out: who is connected goes on, the server does not spin, and all is well when
//! the peers have gone.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::http2::Connection;
use crate::support::within;

use super::beside::Attacked;

const TIME: Duration = Duration::from_secs(2);
/// So few that they are used up before half of them are connections, where the server stops anyway.
const DESCRIPTORS: usize = 36;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_serves_whom_it_has_and_does_not_spin() {
    let mut attacked = Attacked::start_with_descriptors(DESCRIPTORS, &[]).await;
    let address = attacked.server.grpc;
    let idle = computed_in(&attacked, TIME).await;
    let beside = attacked.client().await;
    let busy = computed_in(&attacked, TIME).await;
    // The kernel takes them, and the server cannot.
    let peers = join_all((0..200).map(|_| TcpStream::connect(address))).await;
    assert!(peers.iter().all(Result::is_ok));
    let exhausted = async {
        while attacked.server.descriptors() < DESCRIPTORS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("exhaustion", exhausted).await;
    let logged = attacked.server.log().lines().count();
    let without = computed_in(&attacked, TIME).await;
    let log = attacked.server.log();
    let lines: Vec<_> = log.lines().skip(logged.saturating_sub(1)).collect();
    println!(
        "{DESCRIPTORS} descriptors: computed {idle:?} of {TIME:?} idle, {busy:?} with clients, \
         {without:?} with clients and without descriptors; {} lines logged; {}",
        lines.len(),
        beside.unharmed()
    );
    let said = log.lines().filter(|line| line.contains("cannot accept"));
    assert!(said.count() >= 1, "it does not say so: {log}");
    assert!(lines.len() <= 4, "it says so too often: {lines:#?}");
    let more = without.saturating_sub(busy);
    assert!(
        more <= Duration::from_millis(300),
        "{more:?} more than without them"
    );
    // Whoever is connected is answered; and others are, when the peers have gone.
    drop(peers);
    let began = Instant::now();
    let connection = within("a connection", Connection::open(address)).await;
    drop(connection);
    println!(
        "a new connection {:.1?} after the peers have gone",
        began.elapsed()
    );
    println!("{}; {}", beside.unharmed(), attacked.survived().await);
}

/// How long the server computes in so much time.
async fn computed_in(attacked: &Attacked, time: Duration) -> Duration {
    let before = attacked.server.computed();
    tokio::time::sleep(time).await;
    attacked.server.computed() - before
}
