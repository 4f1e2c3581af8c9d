//! The rows of the table that are measured over the wire.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::callgrind;
use super::load::{Load, Shape};
use super::peer::Peer;
use super::request::Requests;
use crate::measure::{count, median};
use crate::table::{Goal, Row, Unit};

/// How many accounts a server has, all of which are cached before calls are counted.
#[derive(Debug, Clone, Copy)]
struct Cached {
    accounts: usize,
    partners: usize,
}

/// Those of a portal: what has a goal is measured among these.
const ORDINARY: Cached = Cached {
    accounts: 10_000,
    partners: 100,
};
/// As many as are cached unless more is asked for.
const LARGEST: Cached = Cached {
    accounts: 1_000_000,
    partners: 10_000,
};
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
        ensure!(
            stock.exists(),
            "there is no {}: build all programs of portcullis-bench",
            stock.display()
        );
        Ok(Self { own, stock })
    }
}

impl Cached {
    /// What makes a server of the program that has them.
    fn arguments(self) -> [String; 4] {
        let Self { accounts, partners } = self;
        let [accounts, partners] = [accounts, partners].map(|number| number.to_string());
        [
            "serve".to_owned(),
            "portcullis".to_owned(),
            accounts,
            partners,
        ]
    }
}

impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [accounts, partners] =
            [self.accounts, self.partners].map(|number| Unit::Count.text(count(number)));
        write!(f, "{accounts} accounts of {partners} partners")
    }
}

/// All of them, each as soon as it is measured.
///
/// # Errors
/// Where a server does not start, or a call fails.
pub fn rows(on: &mut dyn FnMut(Row)) -> anyhow::Result<()> {
    let programs = Programs::find()?;
    let stock = Peer::start(&programs.stock, &[])?;
    let empty = Peer::start(&programs.own, &["serve", "empty"])?;
    let peers = [&stock, &empty];
    processor_time(&programs, peers, ORDINARY, Goal::AtMost, on)?;
    processor_time(&programs, peers, LARGEST, |_| Goal::None, on)?;
    drop((stock, empty));
    if callgrind::is_there() {
        instructions(&programs, on)?;
    }
    Ok(())
}

/// Starts Portcullis with so many accounts, has all of them cached, and compares.
fn processor_time(
    programs: &Programs,
    [stock, empty]: [&Peer; 2],
    cached: Cached,
    goal: fn(f64) -> Goal,
    on: &mut dyn FnMut(Row),
) -> anyhow::Result<()> {
    let arguments = cached.arguments();
    let portcullis = Peer::start(&programs.own, &arguments.each_ref().map(String::as_str))?;
    let every = Requests::every(cached.accounts);
    let batches = every.messages.len();
    Load::run(portcullis.address, SINGLE, every, batches)?;
    let all = cached.accounts;
    let entries = format!("portcullis_cache_entries{{cache=\"accounts\"}} {all}\n");
    let figures = portcullis.probe("/metrics")?;
    ensure!(figures.contains(&entries), "not all accounts are cached");
    let checks = Requests::checks(cached.accounts);
    for (shape, name, most) in [
        (BUSY, "8 connections × 16 streams", 0.45),
        (SINGLE, "64 connections × 1 stream", 0.90),
    ] {
        let [stock, empty, own] = in_turns([stock, empty, &portcullis], shape, &checks)?;
        on(Row::new(
            format!("`CheckFeature`, cached, CPU per call, against stock, {name}, {cached}"),
            goal(most),
            own / stock,
            Unit::Ratio,
        )
        .of(format!(
            "{own:.2} µs of {stock:.2} µs; own set-up, empty handler: {empty:.2} µs"
        )));
    }
    Ok(())
}

fn instructions(programs: &Programs, on: &mut dyn FnMut(Row)) -> anyhow::Result<()> {
    let checks = Requests::checks(ORDINARY.accounts);
    let every = Requests::every(ORDINARY.accounts);
    let counted = |program: &Path, arguments: &[&str], shape| {
        let before = match arguments {
            ["serve", "portcullis", ..] => &every,
            [..] => &checks,
        };
        let requests = [before, &checks];
        callgrind::per_call(program, arguments, shape, requests, callgrind::CALLS)
    };
    let own = ORDINARY.arguments();
    let own = own.each_ref().map(String::as_str);
    for (shape, name) in [(ALONE, "1 × 1"), (BUSY, "8 × 16")] {
        let stock = counted(&programs.stock, &[], shape)?;
        let empty = counted(&programs.own, &["serve", "empty"], shape)?;
        let own = counted(&programs.own, &own, shape)?;
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
    peers: [&Peer; N],
    shape: Shape,
    requests: &Requests,
) -> anyhow::Result<[f64; N]> {
    let mut took = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (peer, took) in peers.iter().zip(&mut took) {
            let load = Load::start(peer.address, shape, requests.clone());
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
