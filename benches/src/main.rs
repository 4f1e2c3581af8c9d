//! `portcullis-bench`: measures, and prints what it measured.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use portcullis_bench::table::{HEAD, Row};
use portcullis_bench::wire::load::{Load, Shape};
use portcullis_bench::wire::request::Requests;
use portcullis_bench::world::Size;
use portcullis_bench::{
    alone, caches, catalogue, check, decisions, memory, peers, report, scale, wire,
};

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How fast Portcullis is.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that has a goal, as one table.
    Table,
    /// Decisions, cached checks and batches inside the process.
    Decisions,
    /// What a cached account takes.
    Memory,
    /// The filter of catalogues.
    Catalogue,
    /// `decide` against Cedar; built with `--features cedar`.
    Cedar,
    /// What a call costs over the wire.
    Wire,
    /// The caches that accounts could be kept in.
    Caches,
    /// With Postgres: starting, misses, imports and changes.
    Scale {
        /// How many accounts there are.
        #[arg(long, default_value_t = 1_000_000)]
        accounts: usize,
    },
    /// Compare the instructions of calls with those that were committed.
    Check {
        /// Write what is counted instead.
        #[arg(long)]
        write: bool,
        /// Where the committed counts are.
        #[arg(long, default_value = check::FILE)]
        file: PathBuf,
    },
    /// How time and memory grow with accounts and locations: write the page, with its plots beside it.
    Report {
        /// Where it is written to.
        #[arg(long, default_value = report::FOLDER)]
        folder: PathBuf,
    },
    /// Check accounts of a server as fast as it answers.
    Load {
        /// Where it answers.
        address: SocketAddr,
        /// How many accounts it has.
        #[arg(long, default_value_t = 10_000)]
        accounts: usize,
        /// Connections.
        #[arg(long, default_value_t = 1)]
        connections: usize,
        /// Calls at once on each.
        #[arg(long, default_value_t = 1)]
        streams: usize,
        /// Calls in all.
        #[arg(long, default_value_t = 10_000)]
        calls: usize,
    },
    /// Be one of the servers that are measured.
    #[command(hide = true)]
    Serve {
        #[command(subcommand)]
        peer: PeerKind,
    },
    /// Be the process whose memory is measured.
    #[command(hide = true)]
    Resident { accounts: usize },
    /// The same of a catalogue.
    #[command(hide = true)]
    ResidentCatalogue { locations: usize },
    /// The same of a cache.
    #[command(hide = true)]
    ResidentCache { name: String },
}

#[derive(Debug, Subcommand)]
enum PeerKind {
    /// Portcullis over accounts in memory.
    Portcullis {
        accounts: usize,
        partners: usize,
        #[arg(default_value_t = 0)]
        locations: usize,
        #[arg(default_value_t = 0)]
        offers: usize,
    },
    /// Portcullis over a database.
    Postgres { url: String },
    /// Portcullis with a handler that does nothing.
    Empty,
    /// HTTP/2 with nothing behind it.
    Alone,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Table => {
            print(decisions::rows());
            match cedar() {
                Ok(rows) => print(rows),
                Err(missing) => eprintln!("without the row of Cedar: {missing}"),
            }
            print(memory::rows()?);
            print(catalogue::rows());
            wire::rows::rows(&mut |row| print([row]))?;
            scale::rows(1_000_000, &mut |row| print([row]))?;
        }
        Command::Decisions => print(decisions::rows()),
        Command::Memory => print(memory::rows()?),
        Command::Catalogue => print(catalogue::rows()),
        Command::Caches => print(caches::rows()?),
        Command::Cedar => print(cedar()?),
        Command::Wire => wire::rows::rows(&mut |row| print([row]))?,
        Command::Scale { accounts } => scale::rows(accounts, &mut |row| print([row]))?,
        Command::Check { write: true, file } => check::write(&file)?,
        Command::Check { write: false, file } => check::check(&file)?,
        Command::Report { folder } => report::write(&folder)?,
        Command::Load {
            address,
            accounts,
            connections,
            streams,
            calls,
        } => {
            let shape = Shape {
                connections,
                streams,
            };
            Load::run(address, shape, Requests::checks(accounts), calls)?;
        }
        Command::Serve { peer } => serve(&peer)?,
        Command::Resident { accounts } => memory::print_resident(accounts)?,
        Command::ResidentCatalogue { locations } => memory::print_resident_catalogue(locations)?,
        Command::ResidentCache { name } => caches::print_resident(&name)?,
    }
    Ok(())
}

#[cfg(feature = "cedar")]
fn cedar() -> anyhow::Result<Vec<Row>> {
    Ok(portcullis_bench::cedar::rows())
}

#[cfg(not(feature = "cedar"))]
fn cedar() -> anyhow::Result<Vec<Row>> {
    anyhow::bail!(
        "Cedar is not built in here: `cargo run --release -p portcullis-bench --features cedar -- cedar` has it"
    )
}

/// Prints rows, with the head of the table above the first.
fn print(rows: impl IntoIterator<Item = Row>) {
    static HEADED: std::sync::Once = std::sync::Once::new();
    HEADED.call_once(|| println!("{HEAD}"));
    for row in rows {
        println!("{row}");
    }
}

#[tokio::main]
async fn serve(peer: &PeerKind) -> anyhow::Result<()> {
    match peer {
        PeerKind::Portcullis {
            accounts,
            partners,
            locations,
            offers,
        } => {
            let size = Size {
                accounts: *accounts,
                partners: *partners,
                locations: *locations,
                offers: *offers,
            };
            peers::memory(size).await
        }
        PeerKind::Postgres { url } => peers::postgres(url).await,
        PeerKind::Empty => peers::empty().await,
        PeerKind::Alone => tokio::task::block_in_place(alone::serve),
    }
}
