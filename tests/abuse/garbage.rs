//! Frames with anything in them.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::frames::{call, frame};
use crate::support::peer::{Manners, Peer};

use super::beside::Attacked;

const PEERS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn any_frames_end_nothing_but_their_connection() {
    let mut attacked = Attacked::start(&[]).await;
    let beside = attacked.client().await;
    let mut runner = TestRunner::deterministic();
    // Types beyond the known ones, streams that are open, were never opened, or cannot be.
    let payload = proptest::collection::vec(any::<u8>(), 0..40);
    let one = (0..12_u8, any::<u8>(), 0..6_u32, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    let some = proptest::collection::vec(one, 1..10);
    let mut cut = 0;
    for _ in 0..PEERS {
        let mut peer = Peer::open(attacked.server.grpc, Manners::Polite, &[]).await;
        let frames = some.new_tree(&mut runner).unwrap().current();
        let mut goes_on = peer.send(&call(1)).await;
        for frame in frames {
            goes_on = goes_on && peer.send(&frame).await;
        }
        // What is left of the connection is dropped with half a frame.
        if goes_on {
            let _ = peer.say(&[0, 0, 9, 1]).await;
        }
        cut += usize::from(peer.ends_within(Duration::from_millis(5)).await);
    }
    println!(
        "{PEERS} peers with frames of any kind: {cut} cut; {}",
        beside.unharmed()
    );
    println!("{}", attacked.survived().await);
}
