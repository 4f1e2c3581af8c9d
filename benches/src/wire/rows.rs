//! The rows of the table that are measured over the wire.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::callgrind;
use super::load::{Load, Shape};
use super::peer::Peer;
use super::request::Requests;
use crate::measure::median;
use crate::table::{Goal, Row, Unit};

/// Accounts that are cached while calls are counted, and their partners: of an ordinary portal.
const ORDINARY: (usize, usize) = (10_000, 100);
/// The same of the largest.
const LARGEST: (usize, usize) = (1_000_000, 10_000);
/// How often each server is measured, in turns.
const ROUNDS: usize = 5;
/// For how long each time.
const SPAN: Duration = Duration::from_millis(1_500);
/// Before each time, until it runs as it will.
const WARM_UP: Duration = Duration::from_millis(300);

/// Many calls at once on few connections, as services of a portal ask.
pub const BUSY: Shape = Shape {
    connections: 8,
    streams: 16,
};
/// One call at once on many connections: nothing can be done for two calls together.
pub const SINGLE: Shape = Shape {
    connections: 64,
    streams: 1,
};
/// One call at a time.
const ALONE: Shape = Shape {
    connections: 1,
    streams: 1,
};

/// The programs of the peers: beside this one.
struct Programs {
    own: PathBuf,
    stock: PathBuf,
}

impl Programs {
    fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let stock = own.with_file_name("stock");
        anyhow::ensure!(
            stock.exists(),
            "there is no {}: build all programs of portcullis-bench",
            stock.display()
        );
        Ok(Self { own, stock })
    }
}

/// All of them, each as soon as it is measured.
///
/// # Errors
/// Where a server does not start, or a call fails.
pub fn rows(on: &mut dyn FnMut(Row)) -> anyhow::Result<()> {
    let programs = Programs::find()?;
    let stock = Peer::start(&programs.stock, &[])?;
    let alone = Peer::start(&programs.own, &["serve", "alone"])?;
    let empty = Peer::start(&programs.own, &["serve", "empty"])?;
    let ordinary = filled(&programs.own, ORDINARY)?;
    let largest = filled(&programs.own, LARGEST)?;
    let (few, many) = (Requests::checks(ORDINARY.0), Requests::checks(LARGEST.0));
    for (shape, name, most) in [
        (BUSY, "8 connections × 16 streams", 0.45),
        (SINGLE, "64 connections × 1 stream", 0.90),
    ] {
        let [stock, alone, empty, ordinary, largest] = in_turns(
            [
                (&stock, &few),
                (&alone, &few),
                (&empty, &few),
                (&ordinary, &few),
                (&largest, &many),
            ],
            shape,
        )?;
        let what = format!("`CheckFeature`, cached, CPU per call, against stock, {name}");
        let ratio = |goal, own: f64| Row::new(&what, goal, own / stock, Unit::Ratio);
        on(ratio(Goal::AtMost(most), ordinary).of(format!(
            "{ordinary:.2} µs of {stock:.2} µs, {} accounts; own set-up, empty handler: {empty:.2} \
             µs; h2 alone: {alone:.2} µs",
            ORDINARY.0
        )));
        on(ratio(Goal::None, largest).of(format!(
            "{largest:.2} µs of {stock:.2} µs, {} accounts",
            LARGEST.0
        )));
    }
    drop((stock, alone, empty, ordinary, largest));
    if callgrind::is_there() {
        instructions(&programs, on)?;
    }
    Ok(())
}

/// A server with so many accounts of so many partners, all of them cached.
fn filled(program: &Path, (accounts, partners): (usize, usize)) -> anyhow::Result<Peer> {
    let size = (accounts.to_string(), partners.to_string());
    let peer = Peer::start(program, &["serve", "portcullis", &size.0, &size.1])?;
    let every = Requests::every(accounts);
    let calls = every.messages.len();
    Load::run(peer.address, SINGLE, every, calls)?;
    Ok(peer)
}

fn instructions(programs: &Programs, on: &mut dyn FnMut(Row)) -> anyhow::Result<()> {
    let checks = Requests::checks(ORDINARY.0);
    let every = Requests::every(ORDINARY.0);
    let count = |program: &Path, arguments: &[&str], shape| {
        let before = match arguments {
            ["serve", "portcullis", ..] => &every,
            [..] => &checks,
        };
        let requests = [before, &checks];
        callgrind::per_call(program, arguments, shape, requests, callgrind::CALLS)
    };
    let (accounts, partners) = (ORDINARY.0.to_string(), ORDINARY.1.to_string());
    let own = ["serve", "portcullis", &accounts, &partners];
    for (shape, name) in [(ALONE, "1 × 1"), (BUSY, "8 × 16")] {
        let stock = count(&programs.stock, &[], shape)?;
        let empty = count(&programs.own, &["serve", "empty"], shape)?;
        let own = count(&programs.own, &own, shape)?;
        on(
            Row::new(
                format!("the same against a handler that does nothing on the same set-up, instructions, {name}"),
                Goal::AtMost(1.05),
                own / empty,
                Unit::Ratio,
            )
            .of(format!("{own:.0} of {empty:.0}; stock {stock:.0}")),
        );
    }
    Ok(())
}

/// Microseconds of processor time that a call takes on each of some servers.
fn in_turns<const N: usize>(
    peers: [(&Peer, &Requests); N],
    shape: Shape,
) -> anyhow::Result<[f64; N]> {
    let mut took = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((peer, requests), took) in peers.into_iter().zip(&mut took) {
            let load = Load::start(peer.address, shape, Requests::clone(requests));
            std::thread::sleep(WARM_UP);
            let (answered, computed) = (load.answered(), peer.computed()?);
            std::thread::sleep(SPAN);
            let calls = load.answered() - answered;
            let computed = peer.computed()? - computed;
            load.stop()?;
            let calls = u32::try_from(calls).context("more calls than there can be")?;
            took.push(computed.as_secs_f64() * 1e6 / f64::from(calls.max(1)));
        }
    }
    Ok(took.map(median))
}
