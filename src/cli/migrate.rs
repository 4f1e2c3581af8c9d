//! `migrate`: brings the schema up to date.

use anyhow::Context as _;

use super::{Verdict, output};
use crate::config::{MigrateArgs, Origins, load};
use crate::store::postgres::{PostgresLimits, migrate};

pub(super) async fn run(args: &MigrateArgs, origins: &Origins) -> anyhow::Result<Verdict> {
    let limits = PostgresLimits {
        import_timeout: args.migrate_timeout,
        ..PostgresLimits::default()
    };
    let config = load::database(&args.database, limits, origins)?;
    let config = config.context("no database is configured")?;
    let migrated = migrate(&config).await.context("cannot migrate")?;
    let line = match migrated.from {
        Some(from) if from == migrated.to => {
            format!("the schema is up to date, version {from}\n")
        }
        Some(from) => format!("the schema went from version {from} to {}\n", migrated.to),
        None => format!("the schema was created, version {}\n", migrated.to),
    };
    output::print(&line)?;
    Ok(Verdict::Yes)
}
