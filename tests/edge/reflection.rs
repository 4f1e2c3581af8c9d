//! Reflection, as old and as new tools ask for it.

use std::collections::BTreeSet;

use futures_util::stream;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::Code;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::server::{Server, config};
use crate::support::within;
use crate::support::{demo, methods, raw};

/// One question to each version of reflection, which has to answer the same.
macro_rules! ask {
    ($channel:expr, $version:ident, $request:ident($argument:expr)) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let question = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::$request($argument.to_owned())),
        };
        let mut client = ServerReflectionClient::new($channel.clone());
        let mut answers = client
            .server_reflection_info(stream::iter([question]))
            .await
            .unwrap()
            .into_inner();
        let answer = within("reflection", answers.message())
            .await
            .unwrap()
            .unwrap();
        match answer.message_response.unwrap() {
            MessageResponse::ListServicesResponse(listed) => {
                Found::Services(listed.service.into_iter().map(|one| one.name).collect())
            }
            MessageResponse::FileDescriptorResponse(files) => {
                Found::Files(files.file_descriptor_proto)
            }
            other => panic!("{other:?}"),
        }
    }};
}

#[derive(Debug, PartialEq)]
enum Found {
    Services(BTreeSet<String>),
    Files(Vec<Vec<u8>>),
}

impl Found {
    fn files(self) -> Vec<FileDescriptorProto> {
        let Self::Files(files) = self else {
            panic!("{self:?}")
        };
        let decode = |file: Vec<u8>| FileDescriptorProto::decode(file.as_slice()).unwrap();
        files.into_iter().map(decode).collect()
    }
}

#[tokio::test]
async fn both_versions_list_what_is_served() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let new = ask!(channel, v1, ListServices(""));
    let old = ask!(channel, v1alpha, ListServices(""));
    let Found::Services(mut services) = new else {
        panic!("{new:?}")
    };
    let Found::Services(old) = old else {
        panic!("{old:?}")
    };
    for one in [
        "grpc.health.v1.Health",
        "portcullis.v1.AuthorizationService",
        "portcullis.v1.PolicyService",
    ] {
        assert!(services.remove(one), "no {one} in {services:?}");
        assert!(old.contains(one), "no {one} in {old:?}");
    }
    // What is left is reflection itself: nothing is listed that is not served.
    let reflection = |one: &String| one.starts_with("grpc.reflection.v1");
    assert!(services.iter().all(reflection), "{services:?}");
}

#[tokio::test]
async fn both_versions_resolve_every_message() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    for (symbol, package, comments) in [
        ("portcullis.v1.AuthorizationService", "portcullis.v1", true),
        (
            "portcullis.v1.AuthorizationService.CheckFeature",
            "portcullis.v1",
            true,
        ),
        ("portcullis.v1.PolicyService", "portcullis.v1", true),
        ("portcullis.v1.PolicyChange", "portcullis.v1", true),
        ("portcullis.v1.Location", "portcullis.v1", true),
        ("google.rpc.Status", "google.rpc", true),
        ("google.type.Money", "google.type", true),
        ("google.rpc.ErrorInfo", "google.rpc", false),
        ("google.rpc.BadRequest", "google.rpc", false),
        ("google.rpc.RetryInfo", "google.rpc", false),
        ("google.protobuf.Any", "google.protobuf", false),
        ("google.protobuf.Duration", "google.protobuf", false),
        ("google.protobuf.Struct", "google.protobuf", false),
        ("google.protobuf.Timestamp", "google.protobuf", false),
        ("grpc.health.v1.Health", "grpc.health.v1", false),
    ] {
        let new = ask!(channel, v1, FileContainingSymbol(symbol)).files();
        let old = ask!(channel, v1alpha, FileContainingSymbol(symbol)).files();
        assert_eq!(new, old, "{symbol}");
        let file = new.first().unwrap();
        assert_eq!(file.package(), package, "{symbol}");
        let commented = file.source_code_info.as_ref().is_some_and(|info| {
            let mut places = info.location.iter();
            places.any(|place| place.leading_comments.is_some())
        });
        assert!(commented || !comments, "{symbol}");
    }
}

#[tokio::test]
async fn every_import_can_be_followed() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let services = ["authorization_service", "policy_service"];
    let mut wanted: Vec<_> = services
        .map(|service| format!("portcullis/v1/{service}.proto"))
        .into();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        for file in ask!(channel, v1, FileByFilename(name)).files() {
            if seen.insert(file.name().to_owned()) {
                wanted.extend(file.dependency);
            }
        }
    }
    assert!(seen.contains("google/rpc/status.proto"), "{seen:?}");
    assert!(seen.contains("google/type/money.proto"), "{seen:?}");
    assert!(seen.contains("portcullis/v1/change.proto"), "{seen:?}");
}

#[tokio::test]
async fn every_method_that_is_told_of_is_served() {
    let server = Server::demo().await;
    let channel = server.channel().await;
    let mut served = Vec::new();
    for service in ["AuthorizationService", "PolicyService"] {
        let symbol = format!("portcullis.v1.{service}");
        let files = ask!(channel, v1, FileContainingSymbol(symbol)).files();
        let told = files.iter().flat_map(|file| &file.service);
        let told = told.filter(|one| one.name() == service);
        for method in told.flat_map(|one| &one.method) {
            let path = format!("/{symbol}/{}", method.name());
            if method.server_streaming() {
                continue;
            }
            let answer = raw::call_at(channel.clone(), &path, bytes::Bytes::new()).await;
            let code = answer.err().map_or(Code::Ok, |status| status.code());
            assert_ne!(code, Code::Unimplemented, "{path}");
            served.push(path);
        }
    }
    assert_eq!(served.len(), methods::unary().len(), "{served:?}");
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let mut config = config(demo::store());
    config.reflection = false;
    let server = Server::start(config).await;
    let channel = server.channel().await;
    let mut new = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let status = new
        .server_reflection_info(stream::empty())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let mut old = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let status = old
        .server_reflection_info(stream::empty())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
