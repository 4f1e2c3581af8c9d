//! The schema: its migrations, and whether the one that is there is one that this program reads.
//!
//! Programs of two versions run beside each other while one replaces the other, so a schema is
//! changed in two steps, expand and contract: a migration says which is the oldest program
//! version that still works after it, and only one that takes something away raises that.

use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::config::PostgresConfig;
use super::connect::Session;
use super::load::within;
use super::{failure, row};
use crate::store::{SchemaFigures, StoreError};

struct Migration {
    version: u32,
    name: &'static str,
    /// The oldest program, by the schema version that it wants, that works with this schema.
    compatible_from: u32,
    sql: &'static str,
}

/// In order, without a gap, from 1.
const MIGRATIONS: [Migration; 2] = [
    Migration {
        version: 1,
        name: "policies",
        compatible_from: 1,
        sql: include_str!("migrations/0001_policies.sql"),
    },
    Migration {
        version: 2,
        name: "writes",
        compatible_from: 1,
        sql: include_str!("migrations/0002_writes.sql"),
    },
];

/// The schema version that this program wants.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a handful; TryFrom is not const"
)]
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The present schema: its version, and the oldest program that works with it.
pub(super) const FOUND: &str = "(SELECT max(version) FROM schema_migration), \
     (SELECT max(compatible_from) FROM schema_migration)";

/// How long a migration waits for a table. While it waits, it makes every later reader of that
/// table wait too; better to fail and be run again.
const TABLE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The key of the advisory lock that migrators take turns by: `portcull` in ASCII.
const MIGRATOR_LOCK: i64 = 0x706f_7274_6375_6c6c;

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema version that was there; none where there was no schema.
    pub from: Option<u32>,
    /// The schema version that is there now.
    pub to: u32,
}

/// What is recorded of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    version: u32,
    compatible_from: u32,
}

/// Makes the schema that this program wants, or leaves a newer one that it can read. Of two
/// migrators at once one waits for the other.
///
/// # Errors
/// [`StoreError::Schema`] where the schema is newer and this program cannot read it; others where
/// the store failed. Each migration is made whole or not at all.
pub async fn migrate(config: &PostgresConfig) -> Result<Migrated, StoreError> {
    within(config.limits.import_timeout, async {
        let mut session = Session::open(&config.connector).await?;
        let before = step(session.client()).await?;
        let mut now = before;
        while now.is_none_or(|found| found.version < VERSION) {
            now = step(session.client()).await?;
        }
        session.end();
        fits(now)?;
        Ok(Migrated {
            from: before.map(|found| found.version),
            to: now.map_or(0, |found| found.version),
        })
    })
    .await
}

/// Applies the next migration, if there is one, in a transaction of its own. Answers what was
/// there before it.
async fn step(client: &Client) -> Result<Option<Found>, StoreError> {
    let run = async |sql: &str| {
        let done = client.batch_execute(sql).await;
        done.map_err(|error| failure::statement("migrating", error))
    };
    // The lock first, and with all the time there is: the other migrator may have much to do.
    // It goes with the transaction, so that it works through a transaction pooler too.
    run(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;
        SELECT pg_advisory_xact_lock({MIGRATOR_LOCK});
        SET LOCAL lock_timeout = {};
        CREATE TABLE IF NOT EXISTS schema_migration (
            version         integer     NOT NULL CONSTRAINT schema_migration_pkey PRIMARY KEY,
            name            text        NOT NULL,
            compatible_from integer     NOT NULL,
            applied_at      timestamptz NOT NULL DEFAULT now()
        )",
        TABLE_LOCK_TIMEOUT.as_millis()
    ))
    .await?;
    let found = found(client).await?;
    let version = found.map_or(0, |found| found.version);
    if let Some(next) = MIGRATIONS.iter().find(|next| next.version > version) {
        run(next.sql).await?;
        run(&format!(
            "INSERT INTO schema_migration (version, name, compatible_from) \
             VALUES ({}, '{}', {})",
            next.version, next.name, next.compatible_from
        ))
        .await?;
    }
    run("COMMIT").await?;
    Ok(found)
}

async fn found(client: &Client) -> Result<Option<Found>, StoreError> {
    let none: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[];
    let row = client
        .query_typed_one(&format!("SELECT {FOUND}"), none)
        .await
        .map_err(|error| failure::statement("reading the schema version", error))?;
    read(&row, 0)
}

/// [`FOUND`], from `first` on.
fn read(row: &Row, first: usize) -> Result<Option<Found>, StoreError> {
    let number = |index| -> Result<Option<u32>, StoreError> {
        let number: Option<i32> = row::column(row, index)?;
        Ok(number.map(|number| u32::try_from(number).unwrap_or(0)))
    };
    let found = number(first)?.zip(number(first + 1)?);
    Ok(found.map(|(version, compatible_from)| Found {
        version,
        compatible_from,
    }))
}

/// Whether this program can work with the schema in [`FOUND`], which `row` has from `first` on.
pub(super) fn check(row: &Row, first: usize) -> Result<(), StoreError> {
    fits(read(row, first)?)
}

/// What operators are told where there is no schema at all.
pub(super) const MISSING: SchemaFigures = SchemaFigures {
    found: 0,
    wanted: VERSION,
    fits: false,
};

/// The same for operators.
pub(super) fn figures(row: &Row, first: usize) -> Result<SchemaFigures, StoreError> {
    let found = read(row, first)?;
    Ok(SchemaFigures {
        found: found.map_or(0, |found| found.version),
        wanted: VERSION,
        fits: fits(found).is_ok(),
    })
}

fn fits(found: Option<Found>) -> Result<(), StoreError> {
    let Some(found) = found else {
        return Err(StoreError::Schema(failure::missing_schema()));
    };
    if found.version < VERSION {
        return Err(StoreError::Schema(format!(
            "version {} is there and {VERSION} is needed; run `portcullis migrate`",
            found.version
        )));
    }
    if found.compatible_from > VERSION {
        return Err(StoreError::Schema(format!(
            "version {} is there, which needs a program for version {} or later, and this one is \
             for {VERSION}; run a newer program, whose `portcullis migrate` made it",
            found.version, found.compatible_from
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version);
            assert!(migration.compatible_from <= version);
        }
    }

    #[test]
    fn a_newer_schema_fits_as_long_as_it_says_so() {
        let found = |version, compatible_from| {
            fits(Some(Found {
                version,
                compatible_from,
            }))
        };
        assert!(found(VERSION, 1).is_ok());
        assert!(found(VERSION + 3, VERSION).is_ok());
        assert!(found(VERSION + 3, VERSION + 1).is_err());
        assert!(found(VERSION - 1, 0).is_err());
        assert!(fits(None).is_err());
    }
}
