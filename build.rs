//! Generates the messages and services from `proto/`, with the descriptors that reflection serves.

use std::error::Error;
use std::path::PathBuf;

use protox::prost::Message as _;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script in its environment alone"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let services = [
        "portcullis/v1/authorization_service.proto",
        "portcullis/v1/policy_service.proto",
    ];
    let descriptors = protox::compile(services, ["proto"])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::Codec")
        .extern_path(".google.rpc", "::tonic_types")
        // A request with a map is encoded alike each time: its digest recognises a repetition.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
