//! What each role may call, of every method that there is.

use std::collections::BTreeSet;

use http::HeaderValue;
use tonic::{Code, Status};

use crate::support::authority::{Identity, Name};
use crate::support::http2::Connection;
use crate::support::methods;
use crate::support::refused::{because, refused};
use crate::world::{By, CHECK, MALFORMED, PUT, World, ask, spiffe};

/// Each method, and the least role for it.
const LEAST: [(&str, &str); 22] = [
    ("AuthorizationService/BatchCheckFeatures", "check"),
    ("AuthorizationService/CheckFeature", "check"),
    ("AuthorizationService/FilterCatalog", "check"),
    ("AuthorizationService/ListFeatures", "check"),
    ("AuthorizationService/ResolveRecipients", "check"),
    ("AuthorizationService/WatchChanges", "check"),
    ("PolicyService/DeleteAccount", "admin"),
    ("PolicyService/DeleteBillingMarkets", "admin"),
    ("PolicyService/DeleteLocations", "admin"),
    ("PolicyService/ExplainFeature", "read"),
    ("PolicyService/GetAccount", "read"),
    ("PolicyService/GetFeatureMatrix", "read"),
    ("PolicyService/GetPartnerPolicy", "read"),
    ("PolicyService/ListAccounts", "read"),
    ("PolicyService/ListBillingMarkets", "read"),
    ("PolicyService/ListPolicyChanges", "read"),
    ("PolicyService/PreviewPartnerPolicy", "read"),
    ("PolicyService/PutAccount", "admin"),
    ("PolicyService/PutBillingMarkets", "admin"),
    ("PolicyService/PutLocations", "admin"),
    ("PolicyService/UpdateAccountSettings", "admin"),
    ("PolicyService/UpdatePartnerPolicy", "admin"),
];

const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

const ROLES: [&str; 4] = ["none", "check", "read", "admin"];

fn lacks_a_role(status: &Status) -> bool {
    let lacks = status.code() == Code::PermissionDenied;
    if lacks {
        assert_eq!(
            refused(status),
            because(Code::PermissionDenied, "ROLE_MISSING")
        );
    }
    lacks
}

#[tokio::test]
async fn every_method_is_for_its_role_and_those_above() {
    let described: BTreeSet<_> = methods::paths().into_iter().collect();
    let path = |name: &str| format!("/portcullis.v1.{name}");
    let table: BTreeSet<_> = LEAST.iter().map(|(name, _)| path(name)).collect();
    assert_eq!(table, described);
    let rank = |role: &str| ROLES.iter().position(|it| *it == role).unwrap();
    let world = World::new();
    let server = world.serve(By::Either).await;
    for role in ROLES {
        let certified = world.connect(server.grpc, Some(&world.client(role))).await;
        let with_token = world.connect(server.grpc, None).await;
        let token = [world.bearer(&format!("portal:{role}"))];
        for (connection, shown) in [(&certified, &[][..]), (&with_token, &token)] {
            for (name, least) in LEAST {
                let (status, _) = ask(connection, &path(name), shown, MALFORMED).await;
                if rank(role) < rank(least) {
                    assert!(lacks_a_role(&status), "{role}, {name}: {status:?}");
                } else {
                    // It was read.
                    assert_eq!(status.code(), Code::InvalidArgument, "{role}, {name}");
                }
            }
            for path in REFLECTION {
                let (status, _) = ask(connection, path, shown, MALFORMED).await;
                assert_ne!(status.code(), Code::Unauthenticated);
                assert_eq!(lacks_a_role(&status), role == "none", "{role}, {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_is_written_otherwise_is_no_method() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    for role in ["check", "admin"] {
        let connection = world.connect(server.grpc, Some(&world.client(role))).await;
        let mut tried = 0;
        for (name, _) in LEAST {
            let (service, method) = name.split_once('/').unwrap();
            let (first, rest) = method.split_at(1);
            let escaped = format!("%{:02X}{rest}", first.as_bytes()[0]);
            for path in [
                format!("//portcullis.v1.{name}"),
                format!("/portcullis.v1.{service}//{method}"),
                format!("/portcullis.v1.{service}/{escaped}"),
                format!("/portcullis.v1.{service}%2F{method}"),
                format!("/portcullis.v1.{name}/"),
                format!("/portcullis.v1.{name}?"),
                format!("/portcullis.v1.{name}?x=1"),
                format!("/portcullis.v1.{service}/./{method}"),
                format!("/portcullis.v1.{service}/../portcullis.v1.{name}"),
                format!("/PORTCULLIS.v1.{name}"),
                format!("/portcullis.v1.{service}/{}", method.to_lowercase()),
                format!("/portcullis.v1.{service}/{method};x"),
                format!("/portcullis.v1.{service}/{method}2"),
                format!("/portcullis.v2.{name}"),
            ] {
                let (status, body) = ask(&connection, &path, &[], MALFORMED).await;
                assert_eq!(status.code(), Code::Unimplemented, "{role}, {path}");
                assert!(body.is_empty());
                tried += 1;
            }
        }
        assert_eq!(tried, 14 * LEAST.len());
    }
}

/// How a call of CheckFeature goes: whether it was read.
async fn may_check(connection: &Connection, shown: &[HeaderValue]) -> bool {
    let (status, _) = ask(connection, CHECK, shown, MALFORMED).await;
    assert_ne!(status.code(), Code::Unauthenticated, "{status:?}");
    !lacks_a_role(&status)
}

#[tokio::test]
async fn a_wildcard_stands_for_one_segment() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    for (path, want) in [
        ("ns/web/sa/api", true),
        ("ns/web/sa/another", true),
        ("ns/web/sa/api/deeper", false),
        ("ns/web/sa", false),
        ("ns/web2/sa/api", false),
        ("check", true),
        ("Check", false),
        ("check/more", false),
    ] {
        let connection = world.connect(server.grpc, Some(&world.client(path))).await;
        assert_eq!(may_check(&connection, &[]).await, want, "{path}");
    }
    let connection = world.connect(server.grpc, None).await;
    for (account, want) in [
        ("web:api", true),
        ("web:*", true),
        ("web:", false),
        ("web:api:more", false),
        ("web:api/more", false),
        ("web", false),
        ("web2:api", false),
        ("portal:check", true),
        ("portal:check2", false),
    ] {
        let shown = [world.bearer(account)];
        assert_eq!(may_check(&connection, &shown).await, want, "{account}");
    }
}

#[tokio::test]
async fn where_both_are_shown_the_token_decides() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    let (admin, none) = (world.client("admin"), world.client("none"));
    let nameless = world.clients.client(&[]);
    let two: [&str; 2] = [&spiffe("admin"), &spiffe("check")];
    let ambiguous: Identity = world.clients.client(&two.map(Name::Uri));
    let token = |role: &str| [world.bearer(&format!("portal:{role}"))];
    for (identity, role, want) in [
        (Some(&admin), "check", Code::PermissionDenied),
        (Some(&admin), "none", Code::PermissionDenied),
        (Some(&none), "admin", Code::InvalidArgument),
        (Some(&nameless), "admin", Code::InvalidArgument),
        (Some(&ambiguous), "admin", Code::InvalidArgument),
        (None, "admin", Code::InvalidArgument),
    ] {
        let connection = world.connect(server.grpc, identity).await;
        let (status, _) = ask(&connection, PUT, &token(role), MALFORMED).await;
        assert_eq!(status.code(), want, "{role}");
    }
    // One after the other on one connection: what was remembered of one is not another's.
    let connection = world.connect(server.grpc, Some(&admin)).await;
    let (check, write) = (token("check"), token("admin"));
    for (shown, want) in [
        (&[][..], Code::InvalidArgument),
        (&check, Code::PermissionDenied),
        (&write, Code::InvalidArgument),
        (&check, Code::PermissionDenied),
        (&[], Code::InvalidArgument),
    ] {
        let (status, _) = ask(&connection, PUT, shown, MALFORMED).await;
        assert_eq!(status.code(), want, "{shown:?}");
    }
}
