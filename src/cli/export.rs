//! `export`: everything that the database holds, as a data file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::{Verdict, output};
use crate::config::text::shown;
use crate::config::{ExportArgs, ExportFormat, Origins, load};
use crate::datafile::{self, Format};
use crate::store::Store;
use crate::store::postgres::{PostgresLimits, PostgresStore};

pub(super) async fn run(args: &ExportArgs, origins: &Origins) -> anyhow::Result<Verdict> {
    let limits = PostgresLimits {
        catalog_timeout: args.export_timeout,
        ..PostgresLimits::default()
    };
    let config = load::database(&args.database, limits, origins)?;
    let store = PostgresStore::new(config.context("no database is configured")?)?;
    let state = store.export().await.context("cannot export")?;
    let format = match args.format {
        ExportFormat::Yaml => Format::Yaml,
        ExportFormat::Json => Format::Json,
    };
    let text = datafile::render(&state, format);
    match &args.output {
        Some(file) => write(file, &text).map_err(|error| {
            let file = shown(&file.to_string_lossy());
            anyhow!("cannot write {file}: {}", load::plain(&error))
        })?,
        None => output::print(&text)?,
    }
    Ok(Verdict::Yes)
}

/// Writes the whole file or leaves the old one: into another file beside it, which then takes its
/// name. What is not a regular file, a pipe say, cannot be replaced and is written to.
fn write(file: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return fs::write(file, text);
    }
    let beside = beside(file)?;
    let written = File::create_new(&beside).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)
    });
    if written.is_err() {
        // What is left over is of no use; why it could not be written matters more.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let name = name.to_string_lossy();
    Ok(file.with_file_name(format!(".{name}.{}.tmp", std::process::id())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.yaml");
        fs::write(&file, "old and longer").unwrap();
        write(&file, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("no/data.yaml"), "new").is_err());
        assert!(write(folder.path(), "new").is_err());
    }
}
