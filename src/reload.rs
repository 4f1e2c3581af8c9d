//! Files that are read again when they change, so that certificates, roles and keys are replaced
//! without a restart.
//!
//! Files are read and compared, once a second: they are a few KiB, and no change of a file escapes
//! that, neither one through a symbolic link, as Kubernetes makes them, nor one within the
//! resolution of a timestamp. What does not read as it should is refused whole, and what worked
//! before goes on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

type Build<T> = dyn Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync;

/// What was made of files, in its present form.
pub struct Reloaded<T> {
    /// What it is, in the words of a log line: `the callers file`.
    what: &'static str,
    files: Vec<PathBuf>,
    build: Box<Build<T>>,
    current: ArcSwap<T>,
    generation: watch::Sender<u64>,
    failures: AtomicU64,
}

impl<T> Reloaded<T> {
    /// Reads `files` and makes something of their contents, in the same order. `what` they are is
    /// said in log lines and errors.
    ///
    /// # Errors
    /// Where a file cannot be read, or what is in them does not do.
    pub fn load(
        what: &'static str,
        files: Vec<PathBuf>,
        build: impl Fn(&[Vec<u8>]) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<(Arc<Self>, Watch<T>)> {
        let contents = read(&files)?;
        let current = build(&contents).with_context(|| names(&files))?;
        let reloaded = Arc::new(Self {
            what,
            files,
            build: Box::new(build),
            current: ArcSwap::from_pointee(current),
            generation: watch::Sender::new(0),
            failures: AtomicU64::new(0),
        });
        let watch = Watch {
            reloaded: Arc::clone(&reloaded),
            seen: Ok(contents),
        };
        Ok((reloaded, watch))
    }

    /// It as it is now.
    pub fn current(&self) -> Guard<Arc<T>> {
        self.current.load()
    }

    /// How often it was replaced: a number that changes when it does, and can be waited for.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// How often files were there that could not replace it.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded")
            .field("what", &self.what)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The one who looks whether files have changed.
pub struct Watch<T> {
    reloaded: Arc<Reloaded<T>>,
    /// What was there at the last look, whether it did or not.
    seen: Result<Vec<Vec<u8>>, String>,
}

/// Without what is in the files: some are secret.
impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("reloaded", &self.reloaded)
            .finish_non_exhaustive()
    }
}

impl<T> Watch<T> {
    /// Looks from time to time, for ever.
    pub async fn keep_fresh(mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    /// Looks once.
    pub fn look(&mut self) {
        let Reloaded { what, files, .. } = &*self.reloaded;
        let there = read(files).map_err(|error| format!("{error:#}"));
        if there == self.seen {
            return;
        }
        let made = match &there {
            Ok(contents) => (self.reloaded.build)(contents)
                .with_context(|| names(files))
                .map_err(|error| format!("{error:#}")),
            Err(error) => Err(error.clone()),
        };
        self.seen = there;
        match made {
            Ok(made) => {
                self.reloaded.current.store(Arc::new(made));
                self.reloaded.generation.send_modify(|number| *number += 1);
                tracing::info!(what, "read again");
            }
            Err(error) => {
                let failures = self.reloaded.failures.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::error!(
                    what,
                    error,
                    failures,
                    "cannot be read again: what was there before goes on"
                );
            }
        }
    }
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |file: &PathBuf| {
        std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))
    };
    files.iter().map(read).collect()
}

fn names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|file| format!("`{}`", file.display()))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn number(contents: &[Vec<u8>]) -> anyhow::Result<u64> {
        let text = contents.concat();
        Ok(std::str::from_utf8(&text)?.trim().parse()?)
    }

    #[test]
    fn what_does_not_read_leaves_what_was_there_and_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        fs::write(&file, "1").unwrap();
        let (reloaded, mut watch) = Reloaded::load("a number", vec![file.clone()], number).unwrap();
        let state = || {
            (
                **reloaded.current(),
                *reloaded.generation().borrow(),
                reloaded.failures(),
            )
        };
        watch.look();
        assert_eq!(state(), (1, 0, 0));
        for (content, want) in [
            (Some("2"), (2, 1, 0)),
            (Some("two"), (2, 1, 1)),
            (Some("two"), (2, 1, 1)),
            (None, (2, 1, 2)),
            (None, (2, 1, 2)),
            (Some("3"), (3, 2, 2)),
        ] {
            match content {
                Some(content) => fs::write(&file, content).unwrap(),
                None => drop(fs::remove_file(&file)),
            }
            watch.look();
            assert_eq!(state(), want, "{content:?}");
        }
    }

    #[test]
    fn it_does_not_begin_without_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let error = |file: &PathBuf| {
            let error = Reloaded::load("a number", vec![file.clone()], number)
                .map(drop)
                .unwrap_err();
            format!("{error:#}")
        };
        assert!(error(&file).starts_with("cannot read `"));
        fs::write(&file, "one").unwrap();
        assert!(error(&file).ends_with("number`: invalid digit found in string"));
    }
}
