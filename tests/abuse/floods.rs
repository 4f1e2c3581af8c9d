//! Floods of frames: those that cost the server more than the peer are cut, and of the others
//! nobody notices anything.
//!
//! To see when it is cut an attacker sends some 20,000 frames a second: what is written faster is in
//! the kernel's buffers long before the server can have seen it, and would not say when the server
//! acted. To see what others notice it comes back at once whenever it is cut, and sends as fast to a
//! server that was optimised, and 5,000 a second to one that was not: it may share two cores with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::frames::{
    ACK, CALL, CONTINUATION, END_HEADERS, END_STREAM, HAS_PRIORITY, HEADERS, LARGEST_WINDOW,
    RST_STREAM, block, bomb, call, count, data, dependency, frame, goaway, headers, ping, priority,
    reset, settings, settings_ack, window_update,
};
use crate::support::peer::{Manners, Peer};

use super::beside::{Attacked, Beside, Noticed};

/// How many frames a peer may have written before it sees that it was cut.
const MOST: usize = 2_000;
/// How many frames the attacker writes before it gives up: nobody cut it.
const ENDLESS: usize = 20_000;
/// Frames that are written at once, about once a millisecond.
const FAST: usize = 20;
const BESIDE_OTHERS: usize = if cfg!(debug_assertions) { 5 } else { FAST };
const PAUSE: Duration = Duration::from_millis(1);
/// How many connections are flooded to see when they are cut.
const CONNECTIONS: usize = 3;
/// How many lines the server may log of one flood.
const MOST_LINES: usize = 10;
const ROUND: Duration = Duration::from_millis(500);

/// A flood: what comes first, and then the same again and again, with a number that counts up.
struct Flood {
    name: &'static str,
    begin: fn() -> Vec<u8>,
    unit: fn(u32) -> Vec<u8>,
}

/// The stream of a number: the first ten are for what comes first.
fn stream(number: u32) -> u32 {
    number * 2 + 21
}

/// The headers of a call with one more.
fn call_with(stream: u32, flags: u8, header: (&str, &str)) -> Vec<u8> {
    let list = [&CALL[..], &[header]].concat();
    frame(HEADERS, END_HEADERS | flags, stream, &block(&list))
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

/// A call whose body is to come, on the first stream.
fn open_call() -> Vec<u8> {
    call(1)
}

/// Floods that have to be cut.
const CUT: [Flood; 20] = [
    Flood {
        name: "calls that are reset at once",
        begin: nothing,
        unit: |n| [call(stream(n)), reset(stream(n))].concat(),
    },
    Flood {
        name: "whole calls that are reset at once",
        begin: nothing,
        unit: |n| {
            let body = data(stream(n), END_STREAM, &[0; 5]);
            [call(stream(n)), body, reset(stream(n))].concat()
        },
    },
    Flood {
        name: "windows that overflow, the body open",
        begin: nothing,
        unit: |n| {
            let overflow = window_update(stream(n), LARGEST_WINDOW);
            [call(stream(n)), overflow].concat()
        },
    },
    Flood {
        name: "windows that overflow, the body sent",
        begin: nothing,
        unit: |n| {
            let overflow = window_update(stream(n), LARGEST_WINDOW);
            [
                call(stream(n)),
                data(stream(n), END_STREAM, &[0; 5]),
                overflow,
            ]
            .concat()
        },
    },
    Flood {
        name: "headers of a stream that waits for itself",
        begin: nothing,
        unit: |n| {
            let payload = [&dependency(stream(n))[..], &block(&CALL)].concat();
            frame(HEADERS, END_HEADERS | HAS_PRIORITY, stream(n), &payload)
        },
    },
    Flood {
        name: "PRIORITY of a stream that waits for itself",
        begin: nothing,
        unit: |n| priority(stream(n), stream(n)),
    },
    Flood {
        name: "an upper-case header",
        begin: nothing,
        unit: |n| call_with(stream(n), 0, ("X-Upper", "1")),
    },
    Flood {
        name: "no path",
        begin: nothing,
        unit: |n| headers(stream(n), &[&CALL[..2], &CALL[3..]].concat()),
    },
    Flood {
        name: "a header about the connection",
        begin: nothing,
        unit: |n| call_with(stream(n), 0, ("connection", "keep-alive")),
    },
    Flood {
        name: "a length that the body has not",
        begin: nothing,
        unit: |n| call_with(stream(n), END_STREAM, ("content-length", "5")),
    },
    Flood {
        name: "windows that grow by nothing",
        begin: nothing,
        unit: |n| [call(stream(n)), window_update(stream(n), 0)].concat(),
    },
    Flood {
        name: "more streams than allowed",
        begin: nothing,
        unit: |n| call(stream(n)),
    },
    Flood {
        name: "headers without an end",
        begin: || frame(HEADERS, 0, 1, &block(&CALL)),
        unit: |_| frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
    },
    Flood {
        name: "headers without an end, and empty",
        begin: || frame(HEADERS, 0, 1, &block(&CALL)),
        unit: |_| frame(CONTINUATION, 0, 1, &[]),
    },
    Flood {
        name: "headers that unpack to a flood of their own",
        begin: nothing,
        unit: |n| bomb(stream(n)),
    },
    Flood {
        name: "empty DATA",
        begin: open_call,
        unit: |_| data(1, 0, &[]),
    },
    Flood {
        name: "SETTINGS",
        begin: nothing,
        unit: |_| settings(&[]),
    },
    Flood {
        name: "acknowledged SETTINGS that nobody sent",
        begin: nothing,
        unit: |_| settings_ack(),
    },
    Flood {
        name: "PING",
        begin: nothing,
        unit: |_| ping(0),
    },
    Flood {
        name: "answered PINGs that nobody sent",
        begin: nothing,
        unit: |_| ping(ACK),
    },
];

/// Floods that cost the server no more than the peer, or than calls do: the path in the trailers is
/// not looked at.
const UNNOTICED: [Flood; 7] = [
    Flood {
        name: "a path in the trailers",
        begin: nothing,
        unit: |n| {
            let trailers = block(&[(":path", "/")]);
            let trailers = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &trailers);
            [call(stream(n)), trailers].concat()
        },
    },
    Flood {
        name: "data for a stream that is over",
        begin: || [call(1), reset(1)].concat(),
        unit: |_| data(1, 0, b"x"),
    },
    Flood {
        name: "WINDOW_UPDATE of the connection",
        begin: nothing,
        unit: |_| window_update(0, 1),
    },
    Flood {
        name: "WINDOW_UPDATE of a stream",
        begin: open_call,
        unit: |_| window_update(1, 1),
    },
    Flood {
        name: "PRIORITY",
        begin: nothing,
        unit: |n| priority(stream(n % 1_000), stream(n % 1_000 + 1)),
    },
    Flood {
        name: "frames of no known type",
        begin: nothing,
        unit: |n| frame(0x42, 0, n % 7, &[7; 16]),
    },
    Flood {
        name: "GOAWAY",
        begin: open_call,
        unit: |_| goaway(),
    },
];

/// What became of the attacker's connections.
#[derive(Debug, Default)]
struct Ends {
    /// How many frames each wrote until it was cut, or gave up.
    frames: Vec<usize>,
    /// With which errors they were told to go away.
    reasons: BTreeSet<u32>,
    /// How many resets they were sent.
    resets: usize,
}

impl Ends {
    fn most(&self) -> usize {
        self.frames.iter().copied().max().unwrap_or(0)
    }
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (self.frames.iter().min().copied().unwrap_or(0), self.most());
        let (times, resets, reasons) = (self.frames.len(), self.resets, &self.reasons);
        write!(
            f,
            "{times} connections, cut after {least} to {most} frames, error {reasons:?}, {resets} resets"
        )
    }
}

/// One connection for as long as it lasts, with so many frames at once.
async fn flood(address: SocketAddr, flood: &Flood, chunk_size: usize, ends: &RefCell<Ends>) {
    let mut peer = Peer::open(address, Manners::Polite, &[]).await;
    let mut number = 0;
    let mut goes_on = peer.send(&(flood.begin)()).await;
    while goes_on && peer.written < ENDLESS {
        let mut chunk = Vec::new();
        while count(&chunk) < chunk_size {
            chunk.extend((flood.unit)(number));
            number += 1;
        }
        goes_on = peer.send(&chunk).await;
        tokio::time::sleep(PAUSE).await;
    }
    let heard = peer.heard();
    let mut ends = ends.borrow_mut();
    ends.frames.push(peer.written);
    ends.reasons.extend(heard.cut.map(|(_, reason)| reason));
    ends.resets += heard.count(RST_STREAM);
}

/// What others notice of an attacker that comes back at once.
async fn notice(attacked: &Attacked, beside: &Beside, one: &Flood) -> Noticed {
    let ends = RefCell::new(Ends::default());
    let (address, ends) = (attacked.server.grpc, &ends);
    let comes_back = async || {
        loop {
            flood(address, one, BESIDE_OTHERS, ends).await;
        }
    };
    beside.notice(one.name, ROUND, comes_back).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_costs_the_server_more_than_the_peer_is_cut() {
    let mut attacked = Attacked::start(&[]).await;
    let beside = attacked.client().await;
    let (mut cut_late, mut talkative) = (Vec::new(), Vec::new());
    attacked.logged();
    for one in &CUT {
        let ends = RefCell::new(Ends::default());
        for _ in 0..CONNECTIONS {
            flood(attacked.server.grpc, one, FAST, &ends).await;
        }
        let ends = ends.into_inner();
        let noticed = notice(&attacked, &beside, one).await;
        let (survived, lines) = (attacked.survived().await, attacked.logged());
        println!("{}: {ends}; {noticed}; {survived}", one.name);
        if ends.most() > MOST {
            cut_late.push(one.name);
        }
        // Who fills the log of others is an attacker too.
        if lines > MOST_LINES {
            talkative.push((one.name, lines));
        }
    }
    assert!(talkative.is_empty(), "lines logged: {talkative:?}");
    assert!(cut_late.is_empty(), "not cut, or late: {cut_late:?}");
    let (flood, protocol) = (attacked.cut("flood").await, attacked.cut("protocol").await);
    println!("cut for a flood {flood}, for breaking the rules {protocol}");
    assert!(
        flood + protocol >= CUT.len() * CONNECTIONS,
        "{flood} and {protocol} were counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_flood_that_costs_little_nobody_notices_anything() {
    let mut attacked = Attacked::start(&[]).await;
    let beside = attacked.client().await;
    for one in &UNNOTICED {
        let noticed = notice(&attacked, &beside, one).await;
        println!("{}: {noticed}; {}", one.name, attacked.survived().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_cancelled_calls_a_second_are_nobodys_fault() {
    let mut attacked = Attacked::start(&[]).await;
    let beside = attacked.client().await;
    let address = attacked.server.grpc;
    let time = Duration::from_secs(2);
    let cancels = async || {
        let mut peer = Peer::open(address, Manners::Polite, &[]).await;
        for number in 0.. {
            let cancelled = [call(stream(number)), reset(stream(number))].concat();
            assert!(peer.send(&cancelled).await, "cut after {number} calls");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let noticed = beside.notice("fifty resets a second", time, cancels).await;
    println!(
        "fifty resets a second: {noticed}; {}",
        attacked.survived().await
    );
}
