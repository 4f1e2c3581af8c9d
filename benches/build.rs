//! Generates AuthorizationService as whoever takes tonic's defaults would: for the server that ours
//! is compared with. Tells the program what it was built by and for, which figures depend on.

use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto");
    built_by()?;
    let services = ["portcullis/v1/authorization_service.proto"];
    let descriptors = protox::compile(services, ["../proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".google.rpc", "::tonic_types")
        .compile_fds(descriptors)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how Cargo tells a build script")]
fn built_by() -> Result<(), Box<dyn Error>> {
    let said = Command::new(std::env::var("RUSTC")?).arg("-V").output()?;
    let said = String::from_utf8(said.stdout)?;
    let rustc = said.trim().trim_start_matches("rustc ");
    println!("cargo::rustc-env=BUILT_BY={rustc}");
    println!("cargo::rustc-env=BUILT_FOR={}", std::env::var("TARGET")?);
    Ok(())
}
