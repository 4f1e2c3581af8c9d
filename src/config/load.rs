//! Reads the files that settings name.

use std::path::Path;

use super::complaint::Refused;
use super::database::{DatabaseArgs, MatrixArgs};
use super::layers::Origins;
use super::text::{escaped, shown};
use crate::domain::FeatureMatrix;
use crate::store::postgres::{PostgresConfig, PostgresConfigError, PostgresLimits};

/// The matrix that the settings mean.
///
/// # Errors
/// [`Refused`] where the file cannot be read, or is no valid matrix: it names the file and the line.
pub fn matrix(args: &MatrixArgs, origins: &Origins) -> Result<FeatureMatrix, Refused> {
    let Some(file) = &args.matrix else {
        return FeatureMatrix::parse(FeatureMatrix::BUILT_IN)
            .map_err(|error| Refused::new(format!("the built-in matrix: {error}")));
    };
    let text = read(file, "matrix", origins)?;
    FeatureMatrix::parse(&text)
        .map_err(|error| Refused::new(format!("{}: {}", name(file), escaped(&error.to_string()))))
}

/// The text of the file that `--long` names.
///
/// # Errors
/// [`Refused`] where it cannot be read, or is not UTF-8.
pub fn read(file: &Path, long: &str, origins: &Origins) -> Result<String, Refused> {
    let read = std::fs::read_to_string(file);
    read.map_err(|error| unreadable(file, long, origins, &error))
}

/// Opens a file, so that one that is not there is told with the flag that names it.
///
/// # Errors
/// [`Refused`] where it cannot be opened.
pub fn check_file(file: &Path, long: &str, origins: &Origins) -> Result<(), Refused> {
    let opened = std::fs::File::open(file).map(drop);
    opened.map_err(|error| unreadable(file, long, origins, &error))
}

fn unreadable(file: &Path, long: &str, origins: &Origins, error: &std::io::Error) -> Refused {
    Refused::new(format!(
        "cannot read {} ({}): {}",
        shown(&file.to_string_lossy()),
        origins.name(long),
        plain(error)
    ))
}

/// How to reach the database, where one is configured.
///
/// # Errors
/// [`Refused`] where the URL or a file cannot be used. The message holds no part of the URL.
pub fn database(
    args: &DatabaseArgs,
    limits: PostgresLimits,
    origins: &Origins,
) -> Result<Option<PostgresConfig>, Refused> {
    let (url, long) = match (&args.database_url, &args.database_url_file) {
        (Some(url), _) => (url.reveal().to_owned(), "database-url"),
        (None, Some(file)) => (url_in(file, origins)?, "database-url-file"),
        (None, None) => return Ok(None),
    };
    PostgresConfig::parse(url.trim(), args.database_tls_ca.as_deref(), limits)
        .map(Some)
        .map_err(|error| {
            // Which setting it is about: the file, if one was named, and the URL otherwise.
            let at_fault = match (&error, &args.database_tls_ca) {
                (PostgresConfigError::Roots(_), Some(_)) => "database-tls-ca",
                (_, _) => long,
            };
            Refused::new(format!("{}: {error}", origins.name(at_fault)))
        })
}

fn url_in(file: &Path, origins: &Origins) -> Result<String, Refused> {
    if file.to_string_lossy().contains("://") {
        return Err(Refused::new(format!(
            "{} is a URL: a file that holds the URL is accepted",
            origins.name("database-url-file")
        )));
    }
    let url = read(file, "database-url-file", origins)?;
    if url.trim().is_empty() {
        return Err(Refused::new(format!(
            "{} ({}) is empty: a file that holds the URL is accepted",
            shown(&file.to_string_lossy()),
            origins.name("database-url-file")
        )));
    }
    Ok(url)
}

/// A file's name at the beginning of a message about a line of it.
#[must_use]
pub fn name(file: &Path) -> String {
    escaped(&file.to_string_lossy()).into_owned()
}

/// An error of the operating system without its number, in lower case.
#[must_use]
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
