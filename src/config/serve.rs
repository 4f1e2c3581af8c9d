//! The settings of `serve`.

mod auth;
mod limits;
mod listen;
mod logging;
mod store;

use std::path::PathBuf;

use clap::Args;

pub use logging::{DecisionsLogged, LogFormat};

use auth::AuthArgs;
use limits::{CallArgs, ConnectionArgs};
use listen::ListenArgs;
use logging::LogArgs;
use store::{FreshnessArgs, StoreArgs};

use super::complaint::Refused;
use super::database::{DatabaseArgs, MatrixArgs, exclusive};
use super::layers::Origins;
use super::proofs::Jwks;
use crate::callers::{AuthConfig, TlsFiles};
use crate::directory::DirectoryConfig;
use crate::edge::Limits;
use crate::store::postgres::PostgresLimits;

/// `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where to listen.
    #[command(flatten)]
    pub listening: ListenArgs,
    /// Who may call.
    #[command(flatten)]
    pub callers: AuthArgs,
    /// Which database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How the store is used.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Which matrix.
    #[command(flatten)]
    pub matrix: MatrixArgs,
    /// How old answers may be, and how much is cached.
    #[command(flatten)]
    pub freshness: FreshnessArgs,
    /// How long calls may take, and how many there may be.
    #[command(flatten)]
    pub calls: CallArgs,
    /// How many connections there may be, and for how long.
    #[command(flatten)]
    pub connections: ConnectionArgs,
    /// What is logged.
    #[command(flatten)]
    pub logging: LogArgs,
}

impl ServeArgs {
    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        self.listening.check(origins)?;
        self.callers.check(&self.listening, origins)?;
        self.database.check(origins)?;
        for url in ["database-url", "database-url-file"] {
            if self.store.data.is_some() && origins.given(url) {
                return Err(exclusive(origins, "data", url));
            }
        }
        self.logging.check(origins)?;
        self.freshness.check(origins)
    }

    /// How callers prove who they are.
    #[must_use]
    pub fn auth(&self) -> AuthConfig {
        self.callers.config()
    }

    /// What the server proves itself with, where it does.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        self.listening.tls()
    }

    /// The files that certificates, keys and roles are in, by the flags that name them.
    pub fn proofs(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let jwks = match &self.callers.jwt_jwks {
            Some(Jwks::File(file)) => Some(file),
            Some(Jwks::Url(_)) | None => None,
        };
        let files = [
            ("tls-cert", self.listening.tls_cert.as_ref()),
            ("tls-key", self.listening.tls_key.as_ref()),
            ("tls-client-ca", self.callers.tls_client_ca.as_ref()),
            ("callers", self.callers.callers.as_ref()),
            ("jwt-jwks", jwks),
            ("jwt-jwks-ca", self.callers.jwt_jwks_ca.as_ref()),
            (
                "jwt-jwks-token-file",
                self.callers.jwt_jwks_token_file.as_ref(),
            ),
        ];
        files
            .into_iter()
            .filter_map(|(long, file)| Some((long, file?)))
    }

    /// The bounds of Postgres.
    #[must_use]
    pub fn limits(&self) -> PostgresLimits {
        PostgresLimits {
            pool_size: self.store.pool_size,
            store_timeout: self.store.store_timeout,
            catalog_timeout: self.store.catalog_timeout,
            ..PostgresLimits::default()
        }
    }

    /// The bounds of connections and calls.
    #[must_use]
    pub fn edge_limits(&self) -> Limits {
        limits::limits(&self.calls, &self.connections)
    }

    /// The bounds of staleness and of the caches.
    #[must_use]
    pub fn directory(&self) -> DirectoryConfig {
        let bounds = &self.freshness;
        DirectoryConfig {
            stale_after: bounds.stale_after,
            max_stale: bounds.max_stale,
            poll_interval: bounds.poll_interval,
            max_cached_accounts: bounds.max_cached_accounts,
            max_cached_partners: bounds.max_cached_partners,
            max_cached_unknown: bounds.max_cached_unknown,
            ..DirectoryConfig::default()
        }
    }
}
