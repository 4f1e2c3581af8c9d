//! Where `serve` listens, and what it proves itself with.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::callers::TlsFiles;
use crate::config::complaint::Refused;
use crate::config::database::pair;
use crate::config::layers::Origins;
use crate::config::value;

/// Where `serve` listens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenArgs {
    /// Where gRPC is served
    ///
    /// An IP address and a port; port 0 takes a free one. Beyond loopback only where callers prove
    /// who they are (--auth), or with --allow-anonymous.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051", value_parser = value::address)]
    pub listen: SocketAddr,

    /// Where the probes /livez and /readyz are answered, over HTTP
    ///
    /// They tell nothing about accounts. In a pod, 0.0.0.0:9090, so that the kubelet reaches them.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", value_parser = value::address)]
    pub http_listen: SocketAddr,

    /// PEM file with the certificate that gRPC is served with over TLS, and those that lead from it
    /// to its authority
    ///
    /// Together with --tls-key. Without both, connections are not encrypted. The files are read
    /// again when they change.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Whether gRPC reflection is served, by which grpcurl finds the methods
    ///
    /// Where callers prove who they are, it is for those that have a role.
    #[arg(long, value_name = "true|false", default_value = "true", action = clap::ArgAction::Set,
          hide_possible_values = true)]
    pub reflection: bool,
}

impl ListenArgs {
    /// What the server proves itself with, where it does.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { cert, key })
    }

    /// Whether no other machine can reach it.
    pub(super) fn is_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        if self.listen == self.http_listen && self.listen.port() != 0 {
            return Err(Refused::new(format!(
                "{} and {} are both `{}`: each needs an address of its own",
                origins.name("listen"),
                origins.name("http-listen"),
                self.listen
            )));
        }
        pair(
            origins,
            ("tls-cert", self.tls_cert.is_some()),
            ("tls-key", self.tls_key.is_some()),
        )
    }
}
