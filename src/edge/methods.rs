//! Every method there is, with who may call it and how it is worked off.
//!
//! One table: a method that is not in it is not served, and a test compares it with the descriptors
//! of all services. A path is compared byte by byte: one with a doubled slash, an escaped letter or
//! a slash at its end is no method, so that nothing in front of this service can read it differently
//! from this service.

use crate::callers::Role;
use crate::grpc::{
    FILTER_CATALOG, MAX_CATALOG_MESSAGE, MAX_MESSAGE, PREVIEW, PUT_LOCATIONS, PUT_MARKETS, Shape,
};

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// `/service/method`
    path: &'static str,
    /// Where it is in the table.
    place: usize,
    pub(super) service: Service,
    pub(super) access: Access,
    pub(super) work: Work,
}

/// Which service has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Authorization,
    Policy,
    Health,
    ReflectionV1,
    ReflectionV1Alpha,
}

/// Who may call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever can connect.
    Open,
    /// Callers with any role.
    AnyRole,
    /// Callers with this role, or one above it.
    Role(Role),
}

/// How it is worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// On the thread that serves the connection, and where nothing is odd about it, by the short way.
    AtOnce,
    /// On the thread that serves the connection.
    Here,
    /// Beside the threads that serve, because it may take long; a message may be so large.
    Aside {
        limit: usize,
        shapes: &'static [Shape],
    },
    /// As a stream, which lasts as long as its caller likes.
    Stream(Ending),
}

/// What of a stream's answer is still sent when it is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// What there is, for that may be all of it.
    WhenIdle,
    /// Nothing: there may always be more, and the caller can go on from what it has.
    AtOnce,
}

const ASIDE: Work = Work::Aside {
    limit: MAX_MESSAGE,
    shapes: &[],
};

/// With messages that may be large, and whose items are counted before they are decoded.
const fn large(shapes: &'static [Shape]) -> Work {
    Work::Aside {
        limit: MAX_CATALOG_MESSAGE,
        shapes,
    }
}
const WHEN_IDLE: Work = Work::Stream(Ending::WhenIdle);

/// The table. What is called most is found first.
const METHODS: [Method; 26] = [
    check(
        "/portcullis.v1.AuthorizationService/CheckFeature",
        Work::AtOnce,
    ),
    check(
        "/portcullis.v1.AuthorizationService/BatchCheckFeatures",
        Work::Here,
    ),
    check(
        "/portcullis.v1.AuthorizationService/FilterCatalog",
        large(FILTER_CATALOG),
    ),
    check(
        "/portcullis.v1.AuthorizationService/ListFeatures",
        Work::Here,
    ),
    check(
        "/portcullis.v1.AuthorizationService/ResolveRecipients",
        ASIDE,
    ),
    check(
        "/portcullis.v1.AuthorizationService/WatchChanges",
        Work::Stream(Ending::AtOnce),
    ),
    policy(
        "/portcullis.v1.PolicyService/GetPartnerPolicy",
        Role::Read,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/UpdatePartnerPolicy",
        Role::Admin,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/UpdateAccountSettings",
        Role::Admin,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/PreviewPartnerPolicy",
        Role::Read,
        large(PREVIEW),
    ),
    policy("/portcullis.v1.PolicyService/GetAccount", Role::Read, ASIDE),
    policy(
        "/portcullis.v1.PolicyService/ListAccounts",
        Role::Read,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/PutAccount",
        Role::Admin,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/DeleteAccount",
        Role::Admin,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/ListBillingMarkets",
        Role::Read,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/PutBillingMarkets",
        Role::Admin,
        large(PUT_MARKETS),
    ),
    policy(
        "/portcullis.v1.PolicyService/DeleteBillingMarkets",
        Role::Admin,
        large(&[]),
    ),
    policy(
        "/portcullis.v1.PolicyService/PutLocations",
        Role::Admin,
        large(PUT_LOCATIONS),
    ),
    policy(
        "/portcullis.v1.PolicyService/DeleteLocations",
        Role::Admin,
        large(&[]),
    ),
    policy(
        "/portcullis.v1.PolicyService/GetFeatureMatrix",
        Role::Read,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/ListPolicyChanges",
        Role::Read,
        ASIDE,
    ),
    policy(
        "/portcullis.v1.PolicyService/ExplainFeature",
        Role::Read,
        ASIDE,
    ),
    other(
        "/grpc.health.v1.Health/Check",
        Service::Health,
        Access::Open,
        Work::Here,
    ),
    other(
        "/grpc.health.v1.Health/Watch",
        Service::Health,
        Access::Open,
        WHEN_IDLE,
    ),
    other(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Service::ReflectionV1,
        Access::AnyRole,
        WHEN_IDLE,
    ),
    other(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Service::ReflectionV1Alpha,
        Access::AnyRole,
        WHEN_IDLE,
    ),
];

const fn check(path: &'static str, work: Work) -> Method {
    other(
        path,
        Service::Authorization,
        Access::Role(Role::Check),
        work,
    )
}

const fn policy(path: &'static str, role: Role, work: Work) -> Method {
    other(path, Service::Policy, Access::Role(role), work)
}

const fn other(path: &'static str, service: Service, access: Access, work: Work) -> Method {
    Method {
        path,
        place: 0,
        service,
        access,
        work,
    }
}

impl Method {
    /// What is counted of calls that name no method.
    pub(super) const NOWHERE: usize = METHODS.len();
    /// One place for each method, and that one.
    pub(super) const PLACES: usize = METHODS.len() + 1;

    /// The method at a path.
    pub(super) fn at(path: &str) -> Option<Self> {
        let mut all = METHODS.iter().enumerate();
        all.find(|(_, method)| method.path == path)
            .map(Self::placed)
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        METHODS.iter().enumerate().map(Self::placed)
    }

    fn placed((place, method): (usize, &Self)) -> Self {
        Self { place, ..*method }
    }

    /// Its place among all of them.
    pub(super) fn place(self) -> usize {
        self.place
    }

    /// Its service, with the package, and its own name.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        let path = self.path.trim_start_matches('/');
        path.split_once('/').unwrap_or((path, ""))
    }

    /// Whether it takes and gives one message or more, in the words of metrics.
    pub(super) fn kind(self) -> &'static str {
        match (self.work, self.service) {
            (Work::AtOnce | Work::Here | Work::Aside { .. }, _) => "unary",
            (Work::Stream(_), Service::ReflectionV1 | Service::ReflectionV1Alpha) => "bidi_stream",
            (Work::Stream(_), _) => "server_stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::{FileDescriptorSet, MethodDescriptorProto};

    use super::*;

    /// Every method of every service that is described anywhere, by its path.
    fn described() -> Vec<(String, MethodDescriptorProto)> {
        let sets = [
            crate::proto::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut described = Vec::new();
        for file in sets
            .map(|set| FileDescriptorSet::decode(set).unwrap())
            .into_iter()
            .flat_map(|set| set.file)
        {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    described.push((path, method.clone()));
                }
            }
        }
        described
    }

    #[test]
    fn the_table_has_every_method_that_is_described_and_no_other() {
        let described: BTreeSet<_> = described().into_iter().map(|(path, _)| path).collect();
        let table: BTreeSet<_> = METHODS
            .iter()
            .map(|method| method.path.to_owned())
            .collect();
        assert_eq!(table, described);
        assert_eq!(table.len(), METHODS.len(), "one is there twice");
    }

    #[test]
    fn streams_are_those_that_are_described_as_such() {
        for (path, described) in described() {
            let method = Method::at(&path).unwrap();
            let is_stream = matches!(method.work, Work::Stream(_));
            assert_eq!(is_stream, described.server_streaming(), "{path}");
            let kind = match (described.client_streaming(), described.server_streaming()) {
                (false, false) => "unary",
                (false, true) => "server_stream",
                (true, _) => "bidi_stream",
            };
            assert_eq!(method.kind(), kind, "{path}");
            let (service, name) = method.names();
            assert_eq!(format!("/{service}/{name}"), path);
        }
    }

    /// By their names: what gets, lists, previews or explains is a read, and nothing else is.
    #[test]
    fn writes_are_for_admins_and_reads_for_readers() {
        for method in &METHODS {
            let name = method.path.rsplit('/').next().unwrap();
            let is_read = ["Get", "List", "Preview", "Explain"]
                .iter()
                .any(|verb| name.starts_with(verb));
            let want = match (method.service, is_read) {
                (Service::Authorization, _) => Access::Role(Role::Check),
                (Service::Policy, true) => Access::Role(Role::Read),
                (Service::Policy, false) => Access::Role(Role::Admin),
                (Service::Health, _) => Access::Open,
                (Service::ReflectionV1 | Service::ReflectionV1Alpha, _) => Access::AnyRole,
            };
            assert_eq!(method.access, want, "{name}");
        }
    }

    #[test]
    fn paths_are_matched_byte_by_byte() {
        let path = "/portcullis.v1.AuthorizationService/CheckFeature";
        assert!(Method::at(path).is_some());
        for path in [
            "",
            "/",
            "/portcullis.v1.AuthorizationService",
            "/portcullis.v1.AuthorizationService/",
            "/portcullis.v1.AuthorizationService/CheckFeature/",
            "//portcullis.v1.AuthorizationService/CheckFeature",
            "/portcullis.v1.AuthorizationService//CheckFeature",
            "/portcullis.v1.authorizationService/CheckFeature",
            "/portcullis.v1.AuthorizationService/checkfeature",
            "/portcullis.v1.AuthorizationServic%65/CheckFeature",
            "/portcullis.v1.AuthorizationService/Check%46eature",
            "/portcullis.v1.AuthorizationService/./CheckFeature",
            "/portcullis.v1.PolicyService/CheckFeature",
        ] {
            assert_eq!(Method::at(path), None, "{path}");
        }
    }
}
