//! Instructions, counted by callgrind: alike each time but for some thousandths.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::load::{Load, Shape};
use super::peer::Peer;
use super::request::Requests;

/// Whether callgrind is installed.
#[must_use]
pub fn is_there() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// How many calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Before it is counted, so that what is done once is done.
    pub warm: usize,
    /// Those that are counted.
    pub counted: usize,
}

/// As many as a check needs until its count is steady.
pub const CALLS: Calls = Calls {
    warm: 4_000,
    counted: 8_000,
};

/// Instructions that a call takes in a server, which is asked something else before.
///
/// # Errors
/// Where it does not start, or a call fails.
pub fn per_call(
    program: &Path,
    arguments: &[&str],
    shape: Shape,
    [before, requests]: [&Requests; 2],
    calls: Calls,
) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg("--quiet")
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("counted").display()
        ))
        .arg(program)
        .args(arguments)
        .stderr(Stdio::null());
    let peer = Peer::spawn(command)?;
    Load::run(peer.address, shape, before.clone(), before.messages.len())?;
    for times in [calls.warm, calls.counted] {
        Load::run(peer.address, shape, requests.clone(), times)?;
        dump(&peer)?;
    }
    // The first dump is up to the end of what warms up.
    let dumped = std::fs::read_to_string(folder.path().join("counted.2"))?;
    let total = dumped
        .lines()
        .find_map(|line| line.strip_prefix("summary: "))
        .or_else(|| {
            dumped
                .lines()
                .find_map(|line| line.strip_prefix("totals: "))
        })
        .context("callgrind has counted nothing")?;
    Ok(total.trim().parse::<f64>()? / crate::measure::count(calls.counted))
}

fn dump(peer: &Peer) -> anyhow::Result<()> {
    let dumped = Command::new("callgrind_control")
        .arg("--dump")
        .arg(peer.id().to_string())
        .stdout(Stdio::null())
        .status()?;
    ensure!(dumped.success(), "callgrind does not write what it counted");
    Ok(())
}
