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
    let generate = || tonic_prost_build::configure().codec_path("crate::grpc::Codec");
    generate()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types")
        // A request with a map is encoded alike each time: its digest recognises a repetition.
        .btree_map(".")
        .compile_fds(descriptors.clone())?;

    // The servers of the same services, over the same messages but for those that are not decoded,
    // or not encoded, one by one.
    let served = out.join("served");
    std::fs::create_dir_all(&served)?;
    generate()
        .build_client(false)
        .out_dir(served)
        .extern_path(".portcullis.v1", "crate::proto::v1")
        .extern_path(
            ".portcullis.v1.BatchCheckFeaturesRequest",
            "crate::grpc::ReadBatch",
        )
        .extern_path(
            ".portcullis.v1.BatchCheckFeaturesResponse",
            "crate::grpc::BatchAnswer",
        )
        .extern_path(
            ".portcullis.v1.FilterCatalogRequest",
            "crate::grpc::CatalogRequest",
        )
        .extern_path(
            ".portcullis.v1.FilterCatalogResponse",
            "crate::grpc::CatalogAnswer",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
