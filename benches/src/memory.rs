//! Memory of what is cached, of a process that does nothing else: the resident size before and after.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use bytes::Bytes;
use portcullis::directory::{Consistency, Directory};
use portcullis::proto::v1;
use portcullis::proto::v1::filter_catalog_request::Catalog;
use prost::Message as _;

use crate::cached::{fill, runtime};
use crate::catalogue::{PLAIN, PRICED, Service};
use crate::made_up;
use crate::measure::count;
use crate::table::{Goal, Row, Unit};
use crate::world::{self, OF_A_PARTNER};

/// How many accounts the table is about.
const ACCOUNTS: usize = 1_000_000;

/// The figures of the table.
///
/// # Errors
/// Where there is no child, or it does not say what it was asked for.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let grown = accounts(ACCOUNTS, Allocator::AsServed)?;
    let partners = ACCOUNTS / OF_A_PARTNER;
    let of = format!(
        "{ACCOUNTS} accounts of {partners} partners: what the resident size of a fresh process \
         grows by"
    );
    Ok(vec![
        Row::new(
            "memory of a cached managed account",
            Goal::AtMost(200.0),
            grown / count(ACCOUNTS),
            Unit::Bytes,
        )
        .of(&of),
        Row::new(
            "memory of 1,000,000 of them",
            Goal::AtMost(256.0),
            grown / f64::from(1 << 20),
            Unit::Mebibytes,
        )
        .of(of),
    ])
}

/// How the allocator of a child works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// As that of the server.
    AsServed,
    /// What is freed is given back at once, and no page is larger than the processor's smallest: what
    /// is left is what is held, even where that is little.
    Exact,
}

/// Bytes by which a child grows that caches so many accounts.
///
/// # Errors
/// Where there is no child, or it does not say so.
pub fn accounts(accounts: usize, allocator: Allocator) -> anyhow::Result<f64> {
    let [grown] = of_a_child(&["resident", &accounts.to_string()], allocator)?;
    Ok(grown)
}

/// Bytes by which a child grows that caches a catalogue of so many locations, and those by which it
/// grows when it has written them for its answers, with their prices and without.
///
/// # Errors
/// Where there is no child, or it does not say so.
pub fn catalogue(locations: usize, allocator: Allocator) -> anyhow::Result<[f64; 2]> {
    of_a_child(&["resident-catalogue", &locations.to_string()], allocator)
}

/// What this program prints where it is started with these arguments.
fn of_a_child<const N: usize>(
    arguments: &[&str],
    allocator: Allocator,
) -> anyhow::Result<[f64; N]> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    match allocator {
        Allocator::AsServed => {}
        Allocator::Exact => {
            command.env("MIMALLOC_ALLOW_THP", "0");
            command.env("MIMALLOC_PURGE_DELAY", "0");
        }
    }
    let child = command.output()?;
    anyhow::ensure!(child.status.success(), "{child:?}");
    let said = String::from_utf8(child.stdout)?;
    let figures: Result<Vec<f64>, _> = said.split_whitespace().map(str::parse).collect();
    let figures = figures.ok().and_then(|figures| figures.try_into().ok());
    figures.with_context(|| format!("{said:?} is not {N} figures"))
}

/// The child: prints the bytes by which it grows as it caches everything.
///
/// # Errors
/// Where the system does not tell.
pub fn print_resident(accounts: usize) -> anyhow::Result<()> {
    let runtime = runtime();
    let grown = runtime.block_on(async {
        let directory = made_up::directory((accounts / OF_A_PARTNER).max(1), 0);
        // What the first calls need besides is not the cache's.
        warm(&directory).await;
        let before = resident()?;
        fill(&directory, accounts).await;
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

/// The same child for a catalogue.
///
/// # Errors
/// Where the system does not tell.
pub fn print_resident_catalogue(locations: usize) -> anyhow::Result<()> {
    // What the first calls need besides is not the catalogue's.
    let few = Service::made_up(1);
    written(&few);
    let service = Service::made_up(locations);
    let before = resident()?;
    service.answer(&page(PRICED, v1::CatalogView::Ids));
    let cached = resident()?;
    written(&service);
    let written = resident()?;
    let [first, second] = [
        cached.saturating_sub(before),
        written.saturating_sub(cached),
    ];
    println!("{first} {second}");
    Ok(())
}

/// Has the catalogue written, in both ways.
fn written(service: &Service) {
    for account in [PRICED, PLAIN] {
        service.answer(&page(account, v1::CatalogView::Full));
    }
}

/// Asks for a single location: an answer that takes no memory.
fn page(account: usize, view: v1::CatalogView) -> Bytes {
    let page = v1::StoredCatalog {
        page_size: 1,
        ..v1::StoredCatalog::default()
    };
    let request = v1::FilterCatalogRequest {
        account_id: world::account(account),
        catalog: Some(Catalog::Stored(page)),
        view: view.into(),
        ..v1::FilterCatalogRequest::default()
    };
    request.encode_to_vec().into()
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
