//! `import FILE`: puts a data file into the database.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::progress::Progress;
use super::{Verdict, output, words};
use crate::config::text::{escaped, shown};
use crate::config::{ImportArgs, Origins, load};
use crate::datafile;
use crate::domain::FeatureMatrix;
use crate::store::postgres::{PostgresLimits, PostgresStore};
use crate::store::{Counts, Import, ImportError, ImportMode, ImportOutcome, Store, plan};

pub(super) async fn run(
    args: &ImportArgs,
    origins: &Origins,
    user: Option<&str>,
) -> anyhow::Result<Verdict> {
    let limits = PostgresLimits {
        import_timeout: args.import_timeout,
        catalog_timeout: args.import_timeout,
        ..PostgresLimits::default()
    };
    let config = load::database(&args.database, limits, origins)?;
    let config = config.context("no database is configured")?;
    let matrix = load::matrix(&args.matrix, origins)?;
    let file = name(&args.file);
    let (mut import, warnings) = parse(&text(&args.file)?, &file, &matrix)?;
    warnings.iter().for_each(|line| output::warn(line));
    import.mode = if args.replace {
        ImportMode::Replace
    } else {
        ImportMode::Merge
    };
    import.actor = args
        .actor
        .clone()
        .or_else(|| user.map(|user| user.chars().take(256).collect()))
        .unwrap_or_else(|| "import".to_owned());
    import.comment = args.comment.clone().unwrap_or_default();

    let store = PostgresStore::new(config)?;
    let summary = if args.dry_run {
        would_change(&store, &import, &file).await?
    } else {
        changed(&write(&store, &import, &file).await?)
    };
    output::print(&summary)?;
    Ok(Verdict::Yes)
}

/// Reads a data file; every problem is a line of the error. Warnings are lines too.
pub(super) fn parse(
    text: &str,
    file: &str,
    matrix: &FeatureMatrix,
) -> anyhow::Result<(Import, Vec<String>)> {
    let (import, warnings) = datafile::parse(text, matrix).map_err(|error| {
        let problems = error.problems().iter();
        let mut lines: Vec<_> = problems
            .map(|problem| format!("{file}: {problem}"))
            .collect();
        if error.has_more() {
            lines.push(format!(
                "{file}: there is more; only the first problems are told"
            ));
        }
        anyhow!(lines.join("\n"))
    })?;
    let told = |warning: &datafile::Warning| {
        format!(
            "{file}: line {}: {}: {}",
            warning.line, warning.field, warning.message
        )
    };
    Ok((import, warnings.iter().map(told).collect()))
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn name(file: &Path) -> String {
    if is_standard_input(file) {
        return "standard input".to_owned();
    }
    load::name(file)
}

fn text(file: &Path) -> anyhow::Result<String> {
    let text = if is_standard_input(file) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        let file = shown(&file.to_string_lossy());
        anyhow!("cannot read {file}: {}", load::plain(&error))
    })
}

async fn write(
    store: &PostgresStore,
    import: &Import,
    file: &str,
) -> anyhow::Result<ImportOutcome> {
    let progress = Progress::start();
    let outcome = store.import(import, &|step| progress.show(step)).await;
    outcome.map_err(|error| match error {
        ImportError::Invalid(problem) => anyhow!("{file}: {problem}"),
        ImportError::Store(error) => {
            anyhow::Error::new(error).context("cannot import, and nothing was written")
        }
        error @ ImportError::OutcomeUnknown(_) => anyhow::Error::new(error),
    })
}

async fn would_change(
    store: &PostgresStore,
    import: &Import,
    file: &str,
) -> anyhow::Result<String> {
    let current = store.export().await.context("cannot read the store")?;
    let delta = plan(&current, import).map_err(|problem| anyhow!("{file}: {problem}"))?;
    let counts = delta.counts();
    if counts.total() == 0 {
        return Ok("nothing would change\n".to_owned());
    }
    Ok(format!("would change {}\n", list(&counts)))
}

fn changed(outcome: &ImportOutcome) -> String {
    let revision = outcome.revision;
    if outcome.changed.total() == 0 {
        return format!("nothing changed, revision {revision}\n");
    }
    format!("changed {}, revision {revision}\n", list(&outcome.changed))
}

fn list(counts: &Counts) -> String {
    let parts = [
        (counts.markets, "billing market", "billing markets"),
        (counts.locations, "location", "locations"),
        (counts.accounts, "account", "accounts"),
        (counts.policies, "policy", "policies"),
        (
            counts.account_settings,
            "account's settings",
            "accounts' settings",
        ),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| words::count(number, one, many))
        .collect();
    escaped(&parts.join(", ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;

    #[test]
    fn a_summary_counts_what_changed() {
        let outcome = |changed| ImportOutcome {
            revision: Revision(7),
            changed,
        };
        let counts = Counts {
            locations: 143,
            policies: 1,
            ..Counts::default()
        };
        assert_eq!(
            changed(&outcome(counts)),
            "changed 143 locations, 1 policy, revision 7\n"
        );
        assert_eq!(
            changed(&outcome(Counts::default())),
            "nothing changed, revision 7\n"
        );
    }
}
