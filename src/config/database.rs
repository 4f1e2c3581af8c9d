//! Settings that several commands share: the database and the matrix.

use std::path::PathBuf;

use clap::Args;

use super::complaint::Refused;
use super::layers::Origins;
use super::value::Secret;

/// Which database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Store")]
pub struct DatabaseArgs {
    /// Postgres, as a URL: `postgres://user:password@host/database?sslmode=verify-full`
    ///
    /// libpq's parameters and their meanings. The value is never printed, but a command line can be
    /// read by others on the same machine: prefer the variable, or a file.
    #[arg(long, value_name = "URL", value_parser = Secret::parse)]
    pub database_url: Option<Secret>,

    /// A file that holds the URL, as a mounted secret does
    ///
    /// White space around the URL is ignored. Not together with --database-url.
    #[arg(long, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// PEM file with the CA certificates that the server's certificate is judged by; default: the
    /// system's
    ///
    /// It counts with sslmode=verify-ca and sslmode=verify-full in the URL.
    #[arg(long, value_name = "FILE")]
    pub database_tls_ca: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Whether a database is named at all.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.database_url.is_some() || self.database_url_file.is_some()
    }

    pub(super) fn check(&self, origins: &Origins) -> Result<(), Refused> {
        if self.database_url.is_some() && self.database_url_file.is_some() {
            return Err(exclusive(origins, "database-url", "database-url-file"));
        }
        Ok(())
    }

    pub(super) fn check_configured(&self, origins: &Origins) -> Result<(), Refused> {
        if self.is_configured() {
            return self.check(origins);
        }
        Err(Refused::new(
            "no database is configured: give `--database-url` or `--database-url-file`, or set \
             `PORTCULLIS_DATABASE_URL` or `PORTCULLIS_DATABASE_URL_FILE`",
        ))
    }
}

/// Which matrix.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Feature matrix")]
pub struct MatrixArgs {
    /// A feature matrix in YAML that replaces the built-in one
    ///
    /// `portcullis matrix` prints the built-in one, to start from. A file with any mistake in it is
    /// refused whole.
    #[arg(long, value_name = "FILE")]
    pub matrix: Option<PathBuf>,
}

/// Two settings that cannot be given together.
pub(super) fn exclusive(origins: &Origins, one: &str, other: &str) -> Refused {
    Refused::new(format!(
        "{} and {} exclude each other: give one of them",
        origins.name(one),
        origins.name(other)
    ))
}

/// A certificate and its key, of which each needs the other; with each, whether it is given.
pub(super) fn pair(
    origins: &Origins,
    one: (&str, bool),
    other: (&str, bool),
) -> Result<(), Refused> {
    let (given, missing) = match (one, other) {
        ((one, true), (other, false)) => (one, other),
        ((one, false), (other, true)) => (other, one),
        ((_, true), (_, true)) | ((_, false), (_, false)) => return Ok(()),
    };
    Err(Refused::new(format!(
        "{} is given, and `--{missing}` is not: a certificate and its key go together",
        origins.name(given)
    )))
}
