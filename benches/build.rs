//! Generates AuthorizationService as whoever takes tonic's defaults would: for the server that ours
//! is compared with.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto");
    let services = ["portcullis/v1/authorization_service.proto"];
    let descriptors = protox::compile(services, ["../proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".google.rpc", "::tonic_types")
        .compile_fds(descriptors)?;
    Ok(())
}
