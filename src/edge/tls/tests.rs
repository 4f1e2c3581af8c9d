use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ServerConnection, SupportedProtocolVersion,
};

use super::*;

type Authority = Issuer<'static, KeyPair>;

/// A certificate in PEM, with its key.
struct Identity {
    cert: String,
    key: String,
}

fn authority(name: &str) -> (Authority, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn identity(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(vec!["portcullis.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    Identity {
        cert: params.signed_by(&key, authority).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn config(of: &Identity, client_ca: Option<&str>) -> Result<ServerConfig, TlsError> {
    server_config(
        of.cert.as_bytes(),
        of.key.as_bytes(),
        client_ca.map(str::as_bytes),
    )
}

fn client(
    server_ca: &str,
    identity: Option<&Identity>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(pem::roots(server_ca.as_bytes()).unwrap());
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { cert, key }) => {
            let key: PrivateKeyDer<'static> = pem::private_key(key.as_bytes()).unwrap();
            let chain = pem::certificates(cert.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// What the server sees of a handshake: how many certificates, and whether it was a whole one.
type Seen = (usize, Option<HandshakeKind>);

/// A handshake in memory, and what the server says of it.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<Seen, rustls::Error> {
    let name = ServerName::try_from("portcullis.example").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut refused = None;
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        while server.wants_write() {
            let mut back = Vec::new();
            server.write_tls(&mut back).unwrap();
            client.read_tls(&mut back.as_slice()).unwrap();
        }
        if let Err(error) = client.process_new_packets() {
            return Err(refused.unwrap_or(error));
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let is_done = wire.is_empty() && !client.wants_write() && !server.wants_write();
        if is_done && !server.is_handshaking() {
            break;
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        refused = server.process_new_packets().err();
    }
    assert_eq!(server.alpn_protocol(), Some(ALPN));
    let shown = server.peer_certificates().map_or(0, <[_]>::len);
    Ok((shown, server.handshake_kind()))
}

#[test]
fn a_client_certificate_may_be_missing_and_may_not_be_wrong() {
    let (ours, our_ca) = authority("ours");
    let (clients, client_ca) = authority("clients");
    let (others, _) = authority("others");
    let server = Arc::new(config(&identity(&ours, |_| {}), Some(&client_ca)).unwrap());
    let right = identity(&clients, |params| {
        let id = "spiffe://portal.example/web".try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(id)];
    });
    let of_others = identity(&others, |_| {});
    let of_the_servers_authority = identity(&ours, |_| {});
    let expired = identity(&clients, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let for_servers = identity(&clients, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for version in [&TLS12, &TLS13] {
        let shake = |shown: Option<&Identity>| handshake(&server, &client(&our_ca, shown, version));
        for (shown, certificates) in [(None, 0), (Some(&right), 1)] {
            let (seen, _) = shake(shown).unwrap();
            assert_eq!(seen, certificates, "{version:?}");
        }
        for (shown, name) in [
            (&of_others, "UnknownIssuer"),
            (&of_the_servers_authority, "UnknownIssuer"),
            (&expired, "ExpiredContext"),
            (&for_servers, "InvalidPurposeContext"),
        ] {
            let error = shake(Some(shown)).unwrap_err();
            assert!(
                matches!(error, rustls::Error::InvalidCertificate(_)),
                "{name}: {error:?}"
            );
            assert!(format!("{error:?}").contains(name), "{name}: {error:?}");
        }
    }
}

#[test]
fn without_a_client_authority_no_certificate_is_asked_for() {
    let (ours, our_ca) = authority("ours");
    let server = Arc::new(config(&identity(&ours, |_| {}), None).unwrap());
    let shown = identity(&ours, |_| {});
    let (seen, _) = handshake(&server, &client(&our_ca, Some(&shown), &TLS13)).unwrap();
    assert_eq!(seen, 0);
}

#[test]
fn no_session_is_resumed() {
    let (ours, our_ca) = authority("ours");
    let (clients, client_ca) = authority("clients");
    let right = identity(&clients, |_| {});
    let server = Arc::new(config(&identity(&ours, |_| {}), Some(&client_ca)).unwrap());
    for version in [&TLS12, &TLS13] {
        let client = client(&our_ca, Some(&right), version);
        for _ in 0..2 {
            let (_, kind) = handshake(&server, &client).unwrap();
            assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
        }
    }
}

#[test]
fn a_client_that_speaks_something_else_is_refused() {
    let (ours, our_ca) = authority("ours");
    let server = Arc::new(config(&identity(&ours, |_| {}), None).unwrap());
    let mut client = ClientConfig::clone(&client(&our_ca, None, &TLS13));
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let error = handshake(&server, &Arc::new(client)).unwrap_err();
    assert_eq!(error, rustls::Error::NoApplicationProtocol);
}

#[test]
fn it_is_said_which_file_is_wrong_and_how() {
    let (ours, ca) = authority("ours");
    let (one, other) = (identity(&ours, |_| {}), identity(&ours, |_| {}));
    let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let keys = format!("{}{}", one.key, one.key);
    for (cert, key, client_ca, want) in [
        (
            &*one.key,
            &*one.key,
            &*ca,
            "the certificate's file holds no certificate",
        ),
        (
            &one.cert,
            &one.cert,
            &ca,
            "the key's file holds no private key",
        ),
        (
            &one.cert,
            &keys,
            &ca,
            "the key's file holds several private keys",
        ),
        (
            &one.cert,
            &other.key,
            &ca,
            "the key does not belong to the certificate",
        ),
        (
            garbled,
            &one.key,
            &ca,
            "the certificate and the key cannot be used: ",
        ),
        (
            &one.cert,
            &one.key,
            "",
            "the client CA's file holds no certificate",
        ),
        (
            &one.cert,
            &one.key,
            garbled,
            "the client CA's file holds a certificate that cannot be read",
        ),
    ] {
        let error = server_config(cert.as_bytes(), key.as_bytes(), Some(client_ca.as_bytes()));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(want), "{want}: {error}");
    }
}

#[test]
fn the_expiry_is_that_of_the_first_certificate() {
    let (ours, ca) = authority("ours");
    let identity = identity(&ours, |params| {
        params.not_after = date_time_ymd(2031, 2, 3);
    });
    let chain = format!("{}{ca}", identity.cert);
    let expiry = not_after(chain.as_bytes()).unwrap();
    let since = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // 2031-02-03T00:00:00Z.
    assert_eq!(since.as_secs(), 1_927_843_200);
    assert!(not_after(b"").is_err());
}
