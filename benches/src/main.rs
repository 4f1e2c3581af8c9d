//! `portcullis-bench`: measures, and prints what it measured.

use clap::{Parser, Subcommand};
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
            for row in wire::rows::rows()? {
                println!("{row}");
            }
            Ok(())
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
