//! Reflection, so that grpcurl knows the services without files.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_reflection::server::Builder;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::v1alpha;

use super::MAX_OPEN_MESSAGE;

/// Both versions of the reflection service: v1 is the standard, v1alpha what older tools ask.
///
/// # Errors
/// Where descriptors are missing: a mistake of the build.
pub fn reflection() -> anyhow::Result<(
    ServerReflectionServer<impl ServerReflection>,
    v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>,
)> {
    Ok((
        builder()?
            .build_v1()?
            .max_decoding_message_size(MAX_OPEN_MESSAGE),
        builder()?
            .build_v1alpha()?
            .max_decoding_message_size(MAX_OPEN_MESSAGE),
    ))
}

fn builder() -> anyhow::Result<Builder<'static>> {
    // The details of errors, so that a client can print them. Their set has a google.rpc.Status
    // of its own, which would hide the comments of ours.
    let mut details = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    details.file.retain(|file| file.name() != "status.proto");
    Ok(Builder::configure()
        .register_encoded_file_descriptor_set(crate::proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_file_descriptor_set(details))
}
