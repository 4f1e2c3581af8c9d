//! What the server and its callers prove themselves with: files that are read at the start, and the
//! tasks that read them again.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::callers::token::Tokens;
use crate::callers::{AuthConfig, Callers, TlsFiles};
use crate::edge::tls::Identity;
use crate::edge::{Gate, Proofs};
use crate::reload::Reloaded;

/// Who is let in, and over what.
pub(super) struct Trust {
    pub(super) gate: Gate,
    /// None where connections are not encrypted.
    pub(super) tls: Option<Arc<Reloaded<Identity>>>,
    /// What keeps both fresh.
    pub(super) tasks: Vec<BoxFuture<'static, ()>>,
    pub(super) figures: Figures,
}

/// What operators want to know of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    tls: Option<Arc<Reloaded<Identity>>>,
    callers: Option<Arc<Reloaded<Callers>>>,
    tokens: Option<Arc<Tokens>>,
}

impl Figures {
    /// When the certificate of the server expires.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        self.tls.as_ref().map(|tls| tls.current().expires)
    }

    /// How often each file, or what is at an address, could not be used when it was read again.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let are_fetched = self.tokens.as_ref().is_some_and(|it| it.are_fetched());
        let keys = if are_fetched { "jwks_url" } else { "jwks" };
        let failures = [
            ("tls", self.tls.as_ref().map(|tls| tls.failures())),
            (
                "callers",
                self.callers.as_ref().map(|callers| callers.failures()),
            ),
            (keys, self.tokens.as_ref().map(|tokens| tokens.failures())),
        ];
        failures
            .into_iter()
            .filter_map(|(file, failures)| Some((file, failures?)))
    }
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    /// Where one cannot be read, or does not hold what it should.
    pub(super) fn read(tls: Option<TlsFiles>, auth: &AuthConfig) -> anyhow::Result<Self> {
        let mut tasks = Vec::new();
        let client_ca = match auth {
            AuthConfig::Anyone => None,
            AuthConfig::Proved { mtls, .. } => mtls.as_ref().map(|mtls| mtls.client_ca.clone()),
        };
        let tls = match tls {
            Some(TlsFiles { cert, key }) => {
                let files = [cert, key].into_iter().chain(client_ca).collect();
                let (tls, watch) = Reloaded::load("TLS", files, identity)?;
                tasks.push(watch.keep_fresh().boxed());
                Some(tls)
            }
            None => None,
        };
        let mut figures = Figures {
            tls: tls.clone(),
            ..Figures::default()
        };
        let gate = match auth {
            AuthConfig::Anyone => Gate::open(),
            AuthConfig::Proved { mtls, jwt, callers } => {
                let (callers, watch) = Callers::load(callers)?;
                tasks.push(watch.keep_fresh().boxed());
                let tokens = match jwt {
                    Some(jwt) => {
                        let (tokens, keep_fresh) = Tokens::start(jwt)?;
                        tasks.push(keep_fresh.boxed());
                        Some(tokens)
                    }
                    None => None,
                };
                figures.callers = Some(Arc::clone(&callers));
                figures.tokens.clone_from(&tokens);
                let (gate, keep_told) = Gate::guarded(Proofs {
                    mtls: mtls.as_ref().map(|mtls| mtls.trust_domain.clone()),
                    tokens,
                    callers,
                });
                tasks.push(keep_told);
                gate
            }
        };
        Ok(Self {
            gate,
            tls,
            tasks,
            figures,
        })
    }
}

/// Of the certificate, the key and, if there is one, the authority of clients, in this order.
fn identity(contents: &[Vec<u8>]) -> anyhow::Result<Identity> {
    let mut contents = contents.iter().map(Vec::as_slice);
    let mut next = || contents.next().unwrap_or_default();
    let (cert, key) = (next(), next());
    Ok(Identity::new(cert, key, contents.next())?)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("gate", &self.gate)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
