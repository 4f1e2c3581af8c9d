//! `portcullis-bench`: measures, and prints what it measured.

use clap::{Parser, Subcommand};
use portcullis_bench::wire::load::{Load, Shape};
use portcullis_bench::wire::request::Requests;
use portcullis_bench::world::Size;
use portcullis_bench::{peers, wire};

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
    /// What a call costs over the wire, as rows of the table.
    Wire,
    /// Check accounts of a server as fast as it answers.
    Load {
        /// Where it answers.
        address: std::net::SocketAddr,
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
}

#[derive(Debug, Subcommand)]
enum PeerKind {
    /// Portcullis over accounts in memory.
    Portcullis { accounts: usize, partners: usize },
    /// Portcullis with a handler that does nothing.
    Empty,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Wire => {
            println!("{}", portcullis_bench::table::HEAD);
            wire::rows::rows(&mut |row| println!("{row}"))
        }
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
            Load::run(address, shape, Requests::checks(accounts), calls)
        }
        Command::Serve { peer } => serve(&peer),
    }
}

#[tokio::main]
async fn serve(peer: &PeerKind) -> anyhow::Result<()> {
    match *peer {
        PeerKind::Portcullis { accounts, partners } => {
            let (locations, offers) = (0, 0);
            peers::portcullis(Size {
                accounts,
                partners,
                locations,
                offers,
            })
            .await
        }
        PeerKind::Empty => peers::empty().await,
    }
}
