//! Memory of what is cached, of a process that does nothing else: the resident size before and after.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use portcullis::directory::{Consistency, Directory};

use crate::decisions::{fill, runtime};
use crate::made_up;
use crate::measure::count;
use crate::table::{Goal, Row, Unit};

/// How many accounts are cached.
const ACCOUNTS: usize = 1_000_000;
/// Of how many partners.
const PARTNERS: usize = 10_000;

/// The figures, of a child process that is this program again.
///
/// # Errors
/// Where there is no child, or it does not say what it was asked for.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let program = std::env::current_exe()?;
    let child = Command::new(program).arg("resident").output()?;
    anyhow::ensure!(child.status.success(), "{child:?}");
    let said = String::from_utf8(child.stdout)?;
    let grown: f64 = said.trim().parse().context(said)?;
    let of = format!(
        "{ACCOUNTS} accounts of {PARTNERS} partners: what the resident size of a fresh process \
         grows by"
    );
    let each = grown / count(ACCOUNTS);
    let mebibytes = grown / f64::from(1 << 20);
    Ok(vec![
        Row::new(
            "memory of a cached managed account",
            Goal::AtMost(200.0),
            each,
            Unit::Bytes,
        )
        .of(&of),
        Row::new(
            "memory of 1,000,000 of them",
            Goal::AtMost(256.0),
            mebibytes,
            Unit::Mebibytes,
        )
        .of(of),
    ])
}

/// The child: prints the bytes by which it grows as it caches everything.
///
/// # Errors
/// Where the system does not tell.
pub fn print_resident() -> anyhow::Result<()> {
    let runtime = runtime();
    let grown = runtime.block_on(async {
        let directory = made_up::directory(PARTNERS);
        // What the first calls need besides is not the cache's.
        warm(&directory).await;
        let before = resident()?;
        fill(&directory, ACCOUNTS).await;
        anyhow::Ok(resident()?.saturating_sub(before))
    })?;
    println!("{grown}");
    Ok(())
}

async fn warm(directory: &Directory) {
    let unknown: Vec<_> = (0..1_000)
        .map(|number| format!("nobody-{number}").try_into().unwrap())
        .collect();
    directory
        .resolve(&unknown, Consistency::Fastest)
        .await
        .unwrap();
}

/// The resident size of this process in bytes.
///
/// # Errors
/// Where the system does not tell.
pub fn resident() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kibibytes.parse::<u64>()? * 1_024)
}
