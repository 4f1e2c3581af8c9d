//! How to reach Postgres, and how long to wait for it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding, Host, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs,
};

use super::connect::Connector;
use super::dsn::{self, Parameter};
use super::tls::{self, Roots, TlsMode};

/// A connection string, or what it refers to, that cannot be used. No message repeats a value:
/// any of them may be a secret, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresConfigError {
    /// It cannot be taken apart.
    #[error("the connection string is malformed: {0}")]
    Malformed(Cow<'static, str>),
    /// A parameter has a value that is not accepted.
    #[error("`{name}` in the connection string {message}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What is wrong, and what is accepted.
        message: Cow<'static, str>,
    },
    /// Something that it needs is missing.
    #[error("the connection string names no {0}")]
    Missing(&'static str),
    /// The certificates that servers are judged by cannot be used.
    #[error("the CA certificates for Postgres {0}")]
    Roots(Cow<'static, str>),
}

/// Bounds on connections and on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresLimits {
    /// Connections beside those of polls and imports: the most loads that run at once. At least 1.
    pub pool_size: usize,
    /// How long one load or poll may take, with waiting for a connection and making one.
    pub store_timeout: Duration,
    /// The same for reading the whole catalogue, and for an export.
    pub catalog_timeout: Duration,
    /// The same for an import, and for a migration.
    pub import_timeout: Duration,
}

impl Default for PostgresLimits {
    fn default() -> Self {
        Self {
            pool_size: 8,
            store_timeout: Duration::from_millis(200),
            catalog_timeout: Duration::from_secs(30),
            import_timeout: Duration::from_secs(5 * 60),
        }
    }
}

/// How to reach one database.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(super) connector: Connector,
    pub(super) limits: PostgresLimits,
    mode: TlsMode,
}

/// Says nothing that came out of the connection string but its `sslmode`.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("sslmode", &self.mode)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// Reads a libpq connection string, a URL or `name=value` pairs.
    ///
    /// `sslmode` has libpq's meanings and default (`prefer`). `verify-ca` and `verify-full` judge
    /// by `tls_ca`, a PEM file, or by the URL's `sslrootcert`, or else by the system's roots;
    /// `require` verifies the chain where a file is given and nothing otherwise.
    /// `sslrootcert=system` goes with `verify-full` alone, and makes that the default.
    ///
    /// # Errors
    /// [`PostgresConfigError`] for a string that is malformed, a parameter or a value that is not
    /// accepted, or certificates that cannot be read.
    pub fn parse(
        url: &str,
        tls_ca: Option<&Path>,
        limits: PostgresLimits,
    ) -> Result<Self, PostgresConfigError> {
        let mut config = defaults();
        let mut mode = None;
        let mut sslrootcert = None;
        for (name, value) in last_of_each(dsn::parse(url)?) {
            match name {
                "sslmode" => mode = Some(choice(name, &value, &TlsMode::NAMES)?),
                "sslrootcert" => sslrootcert = Some(value),
                _ => apply(&mut config, name, &value)?,
            }
        }
        name_addresses(&mut config)?;

        let roots = match (tls_ca, sslrootcert.as_deref()) {
            (Some(file), _) => Roots::File(file),
            (None, Some("system")) => Roots::OnlySystem,
            (None, Some(file)) if !file.is_empty() => Roots::File(Path::new(file)),
            (None, Some(_) | None) => Roots::System,
        };
        let default = match roots {
            Roots::OnlySystem => TlsMode::VerifyFull,
            Roots::File(_) | Roots::System => TlsMode::Prefer,
        };
        let mode = mode.unwrap_or(default);
        let tls = tls::connector(mode, roots)?;
        Ok(Self {
            connector: Connector::new(&config, mode, tls),
            limits,
            mode,
        })
    }
}

/// What holds where the connection string says nothing. A peer that vanished without a word is
/// noticed in seconds, rather than after the two hours of the kernel's own defaults.
fn defaults() -> Config {
    let mut config = Config::new();
    config
        .application_name("portcullis")
        // For each address: where the first does not answer, there has to be time for the next.
        .connect_timeout(Duration::from_secs(2))
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    config
}

/// tokio-postgres adds a host for each time that one is set, where libpq replaces it.
fn last_of_each(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let mut last: Vec<Parameter> = Vec::new();
    for (name, value) in parameters {
        last.retain(|(earlier, _)| *earlier != name);
        last.push((name, value));
    }
    last
}

fn apply(config: &mut Config, name: &'static str, value: &str) -> Result<(), PostgresConfigError> {
    match name {
        "host" => {
            for host in value.split(',') {
                config.host(host);
            }
        }
        "hostaddr" => {
            for address in value.split(',') {
                config.hostaddr(number::<IpAddr>(name, address, "IP addresses")?);
            }
        }
        "port" => {
            for port in value.split(',') {
                let port = if port.is_empty() { "5432" } else { port };
                config.port(number(name, port, "numbers from 1 to 65535")?);
            }
        }
        "user" => {
            config.user(value);
        }
        "password" => {
            config.password(value);
        }
        "dbname" => {
            config.dbname(value);
        }
        "application_name" => {
            config.application_name(value);
        }
        "options" => {
            config.options(value);
        }
        "connect_timeout" => {
            if let Some(seconds) = seconds(name, value)? {
                config.connect_timeout(seconds);
            }
        }
        "tcp_user_timeout" => {
            let milliseconds: u32 = number(name, value, "milliseconds")?;
            if milliseconds > 0 {
                config.tcp_user_timeout(Duration::from_millis(milliseconds.into()));
            }
        }
        "keepalives" => {
            config.keepalives(choice(name, value, &[("0", false), ("1", true)])?);
        }
        "keepalives_idle" => {
            if let Some(seconds) = seconds(name, value)? {
                config.keepalives_idle(seconds);
            }
        }
        "keepalives_interval" => {
            if let Some(seconds) = seconds(name, value)? {
                config.keepalives_interval(seconds);
            }
        }
        "keepalives_count" => {
            config.keepalives_retries(number(name, value, "numbers")?);
        }
        "target_session_attrs" => {
            let accepted = [
                ("any", TargetSessionAttrs::Any),
                ("read-write", TargetSessionAttrs::ReadWrite),
                ("read-only", TargetSessionAttrs::ReadOnly),
            ];
            config.target_session_attrs(choice(name, value, &accepted)?);
        }
        "channel_binding" => {
            let accepted = [
                ("disable", ChannelBinding::Disable),
                ("prefer", ChannelBinding::Prefer),
                ("require", ChannelBinding::Require),
            ];
            config.channel_binding(choice(name, value, &accepted)?);
        }
        "load_balance_hosts" => {
            let accepted = [
                ("disable", LoadBalanceHosts::Disable),
                ("random", LoadBalanceHosts::Random),
            ];
            config.load_balance_hosts(choice(name, value, &accepted)?);
        }
        "sslnegotiation" => {
            let accepted = [
                ("postgres", SslNegotiation::Postgres),
                ("direct", SslNegotiation::Direct),
            ];
            config.ssl_negotiation(choice(name, value, &accepted)?);
        }
        // GSS encryption is never tried, which is what both of these allow.
        "gssencmode" => choice(name, value, &[("disable", ()), ("prefer", ())])?,
        _ => {
            return Err(PostgresConfigError::Parameter {
                name,
                message: "is not supported".into(),
            });
        }
    }
    Ok(())
}

fn number<T: FromStr>(
    name: &'static str,
    value: &str,
    accepted: &str,
) -> Result<T, PostgresConfigError> {
    value
        .parse()
        .ok()
        .ok_or_else(|| PostgresConfigError::Parameter {
            name,
            message: format!("has a value that cannot be read; {accepted} are accepted").into(),
        })
}

/// Whole seconds; none for 0, which leaves the default.
fn seconds(name: &'static str, value: &str) -> Result<Option<Duration>, PostgresConfigError> {
    let seconds: u32 = number(name, value, "seconds")?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
}

fn choice<T: Copy>(
    name: &'static str,
    value: &str,
    accepted: &[(&str, T)],
) -> Result<T, PostgresConfigError> {
    let found = accepted.iter().find(|(text, _)| *text == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let texts: Vec<_> = accepted
            .iter()
            .map(|(text, _)| format!("`{text}`"))
            .collect();
        PostgresConfigError::Parameter {
            name,
            message: format!("has an unknown value; {} are accepted", texts.join(", ")).into(),
        }
    })
}

/// Checks that hosts, addresses and ports go together, and gives an address without a name itself
/// as its name: TLS needs one to ask for.
fn name_addresses(config: &mut Config) -> Result<(), PostgresConfigError> {
    let addresses: Vec<_> = config.get_hostaddrs().to_vec();
    if config.get_hosts().is_empty() {
        for address in &addresses {
            config.host(address.to_string());
        }
    }
    let hosts = config.get_hosts();
    let is_empty = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if hosts.is_empty() || hosts.iter().any(is_empty) {
        return Err(PostgresConfigError::Missing(
            "host; `postgres://HOST/DATABASE` and `host=HOST dbname=DATABASE` are accepted",
        ));
    }
    let differ = |name, count: usize| PostgresConfigError::Parameter {
        name,
        message: format!("has {count} values for {} hosts", hosts.len()).into(),
    };
    if !addresses.is_empty() && addresses.len() != hosts.len() {
        return Err(differ("hostaddr", addresses.len()));
    }
    let ports = config.get_ports().len();
    if ports > 1 && ports != hosts.len() {
        return Err(differ("port", ports));
    }
    Ok(())
}
