//! The progress of an import, on standard error and at a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::ImportProgress;

const TICK: Duration = Duration::from_millis(100);

/// A line that shows how far an import is, until it is dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A line; nothing is drawn where standard error is no terminal.
    pub(super) fn start() -> Self {
        let bar = ProgressBar::no_length();
        bar.set_style(spinner());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows `progress`.
    pub(super) fn show(&self, progress: ImportProgress) {
        match progress {
            ImportProgress::Reading => self.0.set_message("reading what is there"),
            ImportProgress::Planning => self.0.set_message("comparing"),
            ImportProgress::Writing { done, of } => {
                if self.0.length().is_none() {
                    self.0.set_style(bar());
                    self.0.set_message("writing");
                }
                self.0.set_length(of.try_into().unwrap_or(u64::MAX));
                self.0.set_position(done.try_into().unwrap_or(u64::MAX));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn spinner() -> ProgressStyle {
    styled("{spinner} {msg} {elapsed}")
}

fn bar() -> ProgressStyle {
    styled("{msg} {wide_bar} {human_pos}/{human_len} {elapsed}")
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
