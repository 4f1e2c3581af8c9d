//! A service that wants to know its callers, and all that they prove themselves with.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderValue;
use portcullis::app::{ServeConfig, StoreChoice};
use portcullis::callers::{AuthConfig, JwksSource, JwtConfig, MtlsConfig, TlsFiles};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Status;

use crate::support::authority::{Authority, Identity, Name};
use crate::support::http2::{Connection, frame};
use crate::support::policies;
use crate::support::server::{Server, config};
use crate::support::tokens::{AUDIENCE, ISSUER, Issuer};
use crate::support::within;

pub(crate) const DOMAIN: &str = "portal.example";

/// Every role, and wildcards of both kinds. `none` is in no line.
pub(crate) const CALLERS: &str = r#"
callers:
  - { id: "spiffe://portal.example/check", roles: [check] }
  - { id: "spiffe://portal.example/read", roles: [read] }
  - { id: "spiffe://portal.example/admin", roles: [admin] }
  - { id: "spiffe://portal.example/ns/web/sa/*", roles: [check] }
  - { id: "system:serviceaccount:portal:check", roles: [check] }
  - { id: "system:serviceaccount:portal:read", roles: [read] }
  - { id: "system:serviceaccount:portal:admin", roles: [admin] }
  - { id: "system:serviceaccount:web:*", roles: [check] }
"#;

/// What no message decodes from.
pub(crate) const MALFORMED: &[u8] = &[0xff; 4];

pub(crate) const CHECK: &str = "/portcullis.v1.AuthorizationService/CheckFeature";
pub(crate) const WATCH: &str = "/portcullis.v1.AuthorizationService/WatchChanges";
pub(crate) const PUT: &str = "/portcullis.v1.PolicyService/PutAccount";
pub(crate) const HISTORY: &str = "/portcullis.v1.PolicyService/ListPolicyChanges";
pub(crate) const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// By which proofs a service knows its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Certificates,
    CertificatesOfAnyDomain,
    Tokens,
    Either,
}

/// Files, and those who can make more of them.
pub(crate) struct World {
    pub folder: TempDir,
    pub servers: Authority,
    pub clients: Authority,
    pub issuer: Issuer,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            servers: Authority::new("servers"),
            clients: Authority::new("clients"),
            issuer: Issuer::new(),
        };
        world.serve_as(&world.servers.server(&["localhost"]));
        world.write("servers.pem", world.servers.pem());
        world.write("clients.pem", world.clients.pem());
        world.write("jwks.json", &world.issuer.jwks());
        world.write("callers.yaml", CALLERS);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in its place at once, as whoever rotates files should.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }

    pub(crate) fn serve_as(&self, server: &Identity) {
        self.write("server.key", &server.key);
        self.write("server.pem", &server.cert);
    }

    pub(crate) fn config(&self, store: StoreChoice, by: By) -> ServeConfig {
        let mtls = MtlsConfig {
            client_ca: self.path("clients.pem"),
            trust_domain: (by != By::CertificatesOfAnyDomain).then(|| DOMAIN.to_owned()),
        };
        let jwt = JwtConfig {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks: JwksSource::File(self.path("jwks.json")),
        };
        ServeConfig {
            tls: Some(TlsFiles {
                cert: self.path("server.pem"),
                key: self.path("server.key"),
            }),
            auth: AuthConfig::Proved {
                mtls: (by != By::Tokens).then_some(mtls),
                jwt: matches!(by, By::Tokens | By::Either).then_some(jwt),
                callers: self.path("callers.yaml"),
            },
            ..config(store)
        }
    }

    /// A service over the small world in memory.
    pub(crate) async fn serve(&self, by: By) -> Server {
        Server::start(self.config(policies::world(), by)).await
    }

    /// A client with this path in its SPIFFE id.
    pub(crate) fn client(&self, path: &str) -> Identity {
        self.clients.client(&[Name::Uri(&spiffe(path))])
    }

    /// `Bearer` and a good token of this service account.
    pub(crate) fn bearer(&self, account: &str) -> HeaderValue {
        bearer(&self.issuer.token_of(&service_account(account)))
    }

    /// A connection, whose handshake may turn out to have failed with its first call.
    pub(crate) async fn try_connect(
        &self,
        address: SocketAddr,
        identity: Option<&Identity>,
    ) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(self.tls(identity)));
        let host = "localhost".try_into().unwrap();
        let stream = connector.connect(host, stream).await?;
        let opened = Connection::over(stream, address).await;
        opened.map_err(io::Error::other)
    }

    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        identity: Option<&Identity>,
    ) -> Connection {
        let connection = self.try_connect(address, identity);
        within("a handshake", connection).await.unwrap()
    }

    /// Whether the handshake succeeds, and health is open.
    pub(crate) async fn is_let_in(&self, address: SocketAddr, identity: Option<&Identity>) -> bool {
        let Ok(connection) = self.try_connect(address, identity).await else {
            return false;
        };
        let request = connection.request(HEALTH);
        let Ok(answer) = connection.send(request, frame(&[])).await else {
            return false;
        };
        assert_eq!(answer.grpc().unwrap().code(), tonic::Code::Ok);
        true
    }

    /// The certificate that the server shows.
    pub(crate) async fn shown(&self, address: SocketAddr) -> Vec<u8> {
        let connector = TlsConnector::from(Arc::new(self.tls(None)));
        let stream = TcpStream::connect(address).await.unwrap();
        let host = "localhost".try_into().unwrap();
        let stream = connector.connect(host, stream).await.unwrap();
        let (_, session) = stream.get_ref();
        session.peer_certificates().unwrap()[0].to_vec()
    }

    fn tls(&self, identity: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.servers.pem().as_bytes());
        roots.add(root.unwrap()).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let builder = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert, key, .. }) => {
                let chain = CertificateDer::pem_slice_iter(cert.as_bytes());
                let chain = chain.map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

pub(crate) fn spiffe(path: &str) -> String {
    format!("spiffe://{DOMAIN}/{path}")
}

pub(crate) fn service_account(account: &str) -> String {
    format!("system:serviceaccount:{account}")
}

pub(crate) fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).unwrap()
}

/// One call with one message and these `authorization` headers: its status and its answer.
pub(crate) async fn ask(
    connection: &Connection,
    path: &str,
    shown: &[HeaderValue],
    message: &[u8],
) -> (Status, Vec<u8>) {
    let asked = try_ask(connection, path, shown, message).await;
    asked.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The same, over a connection that may end.
pub(crate) async fn try_ask(
    connection: &Connection,
    path: &str,
    shown: &[HeaderValue],
    message: &[u8],
) -> Result<(Status, Vec<u8>), h2::Error> {
    let mut request = connection.request(path);
    for value in shown {
        request.headers_mut().append("authorization", value.clone());
    }
    let answer = connection.send(request, frame(message)).await?;
    let status = answer.grpc().unwrap_or_else(|| panic!("{answer:?}"));
    Ok((status, answer.body.get(5..).unwrap_or_default().to_vec()))
}

/// A stream that has begun, of changes most often.
#[derive(Debug)]
pub(crate) struct Watching(RecvStream);

impl Watching {
    pub(crate) async fn begin(connection: &Connection, shown: &[HeaderValue]) -> Self {
        Self::begin_at(connection, WATCH, shown).await
    }

    /// Another stream that says something first.
    pub(crate) async fn begin_at(
        connection: &Connection,
        path: &str,
        shown: &[HeaderValue],
    ) -> Self {
        let mut request = connection.request(path);
        for value in shown {
            request.headers_mut().append("authorization", value.clone());
        }
        let mut requests = connection.requests.clone().ready().await.unwrap();
        let (answer, mut asking) = requests.send_request(request, false).unwrap();
        asking.send_data(frame(&[]), true).unwrap();
        let answer = within("the head of a stream", answer).await.unwrap();
        let mut watching = Self(answer.into_body());
        assert!(watching.next().await.is_some(), "nothing came");
        watching
    }

    /// What comes next, if it has not ended.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let next = within("a change", self.0.data()).await;
        next.map(Result::unwrap)
    }

    /// How it ends.
    pub(crate) async fn end(mut self) -> Status {
        while self.next().await.is_some() {}
        let trailers = within("trailers", self.0.trailers()).await.unwrap();
        Status::from_header_map(&trailers.unwrap()).unwrap()
    }
}
