//! `portcullis-bench`: measures, and prints what it measured.

use portcullis_bench::{caches, decisions, memory, table};

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let rows = match std::env::args().nth(1).as_deref() {
        Some("decisions") => decisions::rows(),
        Some("caches") => caches::rows()?,
        Some("memory") => memory::rows()?,
        // What `memory` and `caches` start.
        Some("resident") => return memory::print_resident(),
        Some("resident-cache") => {
            return caches::print_resident(&std::env::args().nth(2).unwrap_or_default());
        }
        _ => anyhow::bail!("usage: portcullis-bench decisions | caches | memory"),
    };
    println!("{}", table::HEAD);
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}
