//! `portcullis-bench`: measures, and prints what it measured.

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use portcullis_bench::catalogue;
use portcullis_bench::table::{Goal, HEAD, Row, Unit};

/// Locations of which there is a figure each.
const GROWTH: [usize; 5] = [100, 143, 1_000, 10_000, 100_000];

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("catalogue") => {
            println!("{HEAD}");
            for row in catalogue::rows() {
                println!("{row}");
            }
            for locations in GROWTH {
                let what =
                    format!("FilterCatalog, stored, the first page of {locations} locations");
                let took = catalogue::stored_growth(locations);
                println!("{}", Row::new(what, Goal::None, took, Unit::Microseconds));
            }
            Ok(())
        }
        Some(other) => anyhow::bail!("there is no `{other}`: `catalogue` is"),
        None => anyhow::bail!("`catalogue` is to be named"),
    }
}
