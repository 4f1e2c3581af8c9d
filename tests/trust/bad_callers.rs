//! Callers who prove nothing: none is let through, whatever it asks, and nothing is done for it.

use http::{HeaderValue, Method};
use portcullis::proto::v1;
use prost::Message as _;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use tonic::Code;

use crate::support::authority::{Authority, Identity, Name};
use crate::support::http2::{Connection, frame};
use crate::support::policies::{self, direct, put};
use crate::support::refused::{because, refused};
use crate::support::server::Server;
use crate::support::within;
use crate::tokens::bad_tokens;
use crate::world::{
    By, CHECK, HEALTH, HEALTH_WATCH, HISTORY, MALFORMED, PUT, WATCH, Watching, World, ask, bearer,
    service_account, spiffe, try_ask,
};

/// A method of each kind: how it is worked off, and for whom.
const METHODS: [&str; 8] = [
    CHECK,
    "/portcullis.v1.AuthorizationService/FilterCatalog",
    WATCH,
    "/portcullis.v1.PolicyService/GetPartnerPolicy",
    "/portcullis.v1.PolicyService/PutLocations",
    PUT,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// That each method refuses this caller, without a look at its message, and that health does not.
async fn is_nobody(name: &str, connection: &Connection, shown: &[HeaderValue]) {
    let well_formed = put(direct("intruder")).encode_to_vec();
    for path in METHODS {
        for message in [MALFORMED, &well_formed] {
            let (status, body) = ask(connection, path, shown, message).await;
            let unknown = because(Code::Unauthenticated, "CALLER_UNKNOWN");
            assert_eq!(refused(&status), unknown, "{name}, {path}: {status:?}");
            assert!(body.is_empty(), "{name}, {path}");
        }
    }
    let (status, body) = ask(connection, HEALTH, shown, &[]).await;
    assert_eq!((status.code(), body.len()), (Code::Ok, 2), "{name}");
}

/// That nothing was written, as an admin sees it.
async fn nothing_was_done(admin: &Connection, shown: &[HeaderValue]) {
    let (status, history) = ask(admin, HISTORY, shown, &[]).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let history = v1::ListPolicyChangesResponse::decode(&*history).unwrap();
    let revisions: Vec<_> = history
        .changes
        .iter()
        .map(|change| change.revision)
        .collect();
    assert!(
        revisions.iter().all(|revision| *revision <= 1),
        "{revisions:?}"
    );
    // What would have been done: the message of the intruder is one that does.
    let message = put(direct("intruder")).encode_to_vec();
    let (status, answer) = ask(admin, PUT, shown, &message).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert!(v1::PutAccountResponse::decode(&*answer).unwrap().revision > 1);
    // And the malformed one would have been told.
    let (status, _) = ask(admin, PUT, shown, MALFORMED).await;
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn whoever_shows_no_good_token_is_nobody() {
    let world = World::new();
    for by in [By::Tokens, By::Either] {
        let server = world.serve(by).await;
        let bad = bad_tokens(&world);
        assert!(bad.len() > 35);
        // Under both, a certificate does not make up for a token that is not good.
        let identity = world.client("admin");
        for (name, shown) in &bad {
            let certificate = (by == By::Either && !shown.is_empty()).then_some(&identity);
            let connection = world.connect(server.grpc, certificate).await;
            is_nobody(name, &connection, shown).await;
        }
        let admin = world.connect(server.grpc, None).await;
        nothing_was_done(&admin, &[world.bearer("portal:admin")]).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_token_is_nothing_where_certificates_alone_prove() {
    let world = World::new();
    let server = world.serve(By::Certificates).await;
    let connection = world.connect(server.grpc, None).await;
    let shown = [world.bearer("portal:admin")];
    is_nobody("a token", &connection, &shown).await;
    let admin = world
        .connect(server.grpc, Some(&world.client("admin")))
        .await;
    nothing_was_done(&admin, &shown).await;
}

#[tokio::test]
async fn a_certificate_is_nothing_where_tokens_alone_prove() {
    let world = World::new();
    let server = world.serve(By::Tokens).await;
    let connection = world
        .connect(server.grpc, Some(&world.client("admin")))
        .await;
    is_nobody("a certificate", &connection, &[]).await;
}

#[tokio::test]
async fn whoever_shows_no_certificate_with_one_name_is_nobody() {
    let world = World::new();
    let (admin, check) = (spiffe("admin"), spiffe("check"));
    let any = [
        ("two URIs", vec![Name::Uri(&admin), Name::Uri(&check)]),
        (
            "the same URI twice",
            vec![Name::Uri(&admin), Name::Uri(&admin)],
        ),
        (
            "no SPIFFE id",
            vec![Name::Uri("https://portal.example/admin")],
        ),
        (
            "an authority's id",
            vec![Name::Uri("spiffe://portal.example")],
        ),
        (
            "an id with an escape",
            vec![Name::Uri("spiffe://portal.example/%61dmin")],
        ),
        (
            "two DNS names",
            vec![Name::Dns("a.example"), Name::Dns("b.example")],
        ),
        ("a wildcard", vec![Name::Dns("*.portal.example")]),
        ("no name", vec![]),
    ];
    let of_the_domain = [
        (
            "another trust domain",
            vec![Name::Uri("spiffe://other.example/admin")],
        ),
        (
            "a longer trust domain",
            vec![Name::Uri("spiffe://portal.example.evil/admin")],
        ),
        ("a DNS name", vec![Name::Dns("portal.example")]),
    ];
    for by in [By::Certificates, By::Either, By::CertificatesOfAnyDomain] {
        let server = world.serve(by).await;
        let more = (by != By::CertificatesOfAnyDomain).then_some(&of_the_domain);
        for (name, names) in any.iter().chain(more.into_iter().flatten()) {
            let identity = world.clients.client(names);
            let connection = world.connect(server.grpc, Some(&identity)).await;
            is_nobody(name, &connection, &[]).await;
        }
        let nobody = world.connect(server.grpc, None).await;
        is_nobody("no certificate", &nobody, &[]).await;
        let admin = world
            .connect(server.grpc, Some(&world.client("admin")))
            .await;
        nothing_was_done(&admin, &[]).await;
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_ends_the_handshake() {
    let world = World::new();
    let server = world.serve(By::Either).await;
    let params = || {
        let mut params = CertificateParams::default();
        let name = rcgen::string::Ia5String::try_from(spiffe("admin")).unwrap();
        params.subject_alt_names = vec![rcgen::SanType::URI(name)];
        params
    };
    let signed = |change: fn(&mut CertificateParams), purpose| {
        let mut params = params();
        change(&mut params);
        world.clients.sign(params, purpose)
    };
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let certificate = params().self_signed(&key).unwrap();
        Identity {
            cert: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    };
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2021, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    let namesake = Authority::new("clients");
    for (name, identity) in [
        (
            "another authority",
            world.servers.sign(params(), client.clone()),
        ),
        (
            "an authority of the same name",
            namesake.sign(params(), client.clone()),
        ),
        ("expired", signed(expired, client.clone())),
        ("not yet valid", signed(early, client.clone())),
        (
            "of a server",
            signed(|_| {}, ExtendedKeyUsagePurpose::ServerAuth),
        ),
        ("self-signed", self_signed),
    ] {
        let is_in = world.is_let_in(server.grpc, Some(&identity)).await;
        assert!(!is_in, "{name}");
    }
    assert!(
        world
            .is_let_in(server.grpc, Some(&signed(|_| {}, client)))
            .await
    );
    assert!(world.is_let_in(server.grpc, None).await);
}

#[tokio::test]
async fn what_is_no_call_is_refused_before_it_is_asked_who_calls() {
    let world = World::new();
    let server = world.serve(By::Tokens).await;
    let connection = world.connect(server.grpc, None).await;
    let mut get = connection.request(CHECK);
    *get.method_mut() = Method::GET;
    let answer = connection.send(get, frame(&[])).await.unwrap();
    assert_eq!((answer.status, answer.grpc().is_some()), (405, false));
    let mut json = connection.request(CHECK);
    let value = HeaderValue::from_static("application/json");
    json.headers_mut().insert("content-type", value);
    let answer = connection.send(json, frame(&[])).await.unwrap();
    assert_eq!((answer.status, answer.grpc().is_some()), (415, false));
    for path in [
        "/",
        "/portcullis.v1.PolicyService/Nothing",
        &format!("{CHECK}?x=1"),
    ] {
        let (status, _) = ask(&connection, path, &[], &[]).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn many_calls_without_a_proof_end_the_connection_unless_others_share_it() {
    let world = World::new();
    let server = world.serve(By::Tokens).await;
    let good = [bearer(
        &world.issuer.token_of(&service_account("portal:check")),
    )];
    let shared = world.connect(server.grpc, None).await;
    for _ in 0..120 {
        let (status, _) = ask(&shared, CHECK, &[], MALFORMED).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        let (status, _) = ask(&shared, CHECK, &good, MALFORMED).await;
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let alone = world.connect(server.grpc, None).await;
    let refusals = async {
        let mut refusals = 0;
        while try_ask(&alone, CHECK, &[], MALFORMED).await.is_ok() {
            refusals += 1;
        }
        refusals
    };
    let refusals = within("the end of the connection", refusals).await;
    assert!((100..=110).contains(&refusals), "{refusals}");
}

#[tokio::test]
async fn streams_of_nobody_take_no_place_of_a_known_callers() {
    const MOST: usize = 4;
    let world = World::new();
    let mut config = world.config(policies::world(), By::Tokens);
    config.limits.max_in_flight = MOST;
    let server = Server::start(config).await;
    let nobody = world.connect(server.grpc, None).await;
    let mut open = Vec::new();
    for _ in 0..MOST {
        open.push(Watching::begin_at(&nobody, HEALTH_WATCH, &[]).await);
    }
    let (status, _) = ask(&nobody, HEALTH_WATCH, &[], &[]).await;
    let overloaded = because(Code::ResourceExhausted, "OVERLOADED");
    assert_eq!(refused(&status), overloaded);
    let caller = world.connect(server.grpc, None).await;
    Watching::begin(&caller, &[world.bearer("portal:check")]).await;
}
