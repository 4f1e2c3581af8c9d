//! Several migrate one database at once, while it is served.

use std::process::{Command, Output, Stdio};

use super::beside_others;
use super::support::process::Process;
use super::support::replicas::{FEATURE, Setup, fill};
use super::support::requests::check;
use super::support::{self, Database, probe};

const MIGRATORS: usize = 4;

/// Runs the program's `migrate` several times at once.
async fn migrate_at_once(database: &Database) -> Vec<Output> {
    let migrate = || {
        let url = database.url().to_owned();
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
            let command = command.arg("migrate").env_clear();
            let command = command.env("PORTCULLIS_DATABASE_URL", url);
            command.stdin(Stdio::null()).output().unwrap()
        })
    };
    let migrators: Vec<_> = std::iter::repeat_with(migrate).take(MIGRATORS).collect();
    let mut outputs = Vec::new();
    for migrator in migrators {
        outputs.push(migrator.await.unwrap());
    }
    outputs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrators_at_once_all_succeed_and_a_server_goes_on() {
    let _beside = beside_others().await;
    let database = support::empty_database("migrators");
    for output in migrate_at_once(&database).await {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    let versions = "SELECT count(*) = count(DISTINCT version) FROM schema_migration";
    assert_eq!(database.sql(versions), "t");

    let setup = Setup::default();
    fill(&database, &setup).await;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--store-timeout=5s"];
    let process = Process::serve(&database, &flags, &[], folder.path());
    probe::until_ready(process.http).await;
    let mut client = process.client().await;
    let migrating = tokio::spawn(async move { migrate_at_once(&database).await });
    let mut checks = 0;
    while !migrating.is_finished() {
        // Cold or cached, whichever it is by now.
        let account = format!("cold-{}", checks % setup.cold);
        client
            .check_feature(check(&account, FEATURE))
            .await
            .unwrap();
        checks += 1;
    }
    for output in migrating.await.unwrap() {
        assert!(output.status.success());
    }
    println!(
        "{MIGRATORS} migrators at once, twice: all exit 0; {checks} checks meanwhile, 0 failed"
    );
    assert!(checks > 0);
}
