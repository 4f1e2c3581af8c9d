//! The methods that the API declares, from its own descriptors.

use portcullis::proto::DESCRIPTORS;
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

/// A method with one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unary {
    pub path: String,
    /// Whether its request has any field.
    pub has_fields: bool,
    /// Whether it takes and gives messages of 16 MiB, where others have 4.
    pub is_large: bool,
}

/// By name, for that is what sets them apart.
const LARGE: [&str; 6] = [
    "DeleteBillingMarkets",
    "DeleteLocations",
    "FilterCatalog",
    "PreviewPartnerPolicy",
    "PutBillingMarkets",
    "PutLocations",
];

/// The path of every method of both services.
pub fn paths() -> Vec<String> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let ours = files
        .iter()
        .filter(|file| file.package() == "portcullis.v1");
    ours.flat_map(|file| &file.service)
        .flat_map(|service| {
            let path = |method: &MethodDescriptorProto| {
                format!("/portcullis.v1.{}/{}", service.name(), method.name())
            };
            service.method.iter().map(path)
        })
        .collect()
}

/// Every method of both services that has one answer.
pub fn unary() -> Vec<Unary> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let messages = files.iter().flat_map(|file| &file.message_type);
    let messages: Vec<_> = messages.collect();
    let services = files
        .iter()
        .filter(|file| file.package() == "portcullis.v1")
        .flat_map(|file| &file.service);
    let method = |service: &str, method: &MethodDescriptorProto| {
        let of = |name: &str| method.input_type().ends_with(&format!(".{name}"));
        let request = messages.iter().find(|message| of(message.name()));
        Unary {
            path: format!("/portcullis.v1.{service}/{}", method.name()),
            has_fields: !request.unwrap().field.is_empty(),
            is_large: LARGE.contains(&method.name()),
        }
    };
    let unary: Vec<_> = services
        .flat_map(|service| {
            let methods = service.method.iter();
            let unary = methods.filter(|method| !method.server_streaming());
            unary.map(|one| method(service.name(), one))
        })
        .collect();
    let large = unary.iter().filter(|method| method.is_large).count();
    assert_eq!(large, LARGE.len(), "{unary:?}");
    unary
}
