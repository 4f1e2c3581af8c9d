//! `portcullis-bench`: measures, and prints what it measured.

/// The allocator of the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    println!("{}", portcullis_bench::table::HEAD);
    Ok(())
}
