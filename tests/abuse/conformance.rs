//! What h2spec says of the server: `make h2spec`.

use std::collections::BTreeSet;
use std::process::Command;

use tempfile::TempDir;

use super::beside::Attacked;

/// The cases that fail, each with the reason why that is no matter of safety.
const KNOWN: &str = include_str!("h2spec.txt");

/// A case that fails fails in each of so many runs.
const RUNS: usize = 3;

/// The program, which `tools/prepare.sh` makes ready.
fn program() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration that could be an argument"
    )]
    std::env::var("PORTCULLIS_TEST_H2SPEC").unwrap_or_else(|_| "h2spec".to_owned())
}

/// The cases that are known to fail: the part of a line before the first colon.
fn known() -> BTreeSet<String> {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#'));
    let cases = lines.map(|line| line.split_once(": ").unwrap().0.to_owned());
    cases.collect()
}

/// The cases of a report, each by its section and its number there, with whether it failed.
fn cases(report: &str) -> Vec<(String, bool)> {
    let mut cases = Vec::new();
    let mut number = 0;
    for line in report.lines().map(str::trim) {
        if line.starts_with("<testsuite ") {
            number = 0;
        } else if let Some(case) = line.strip_prefix("<testcase package=\"") {
            number += 1;
            let section = case.split('"').next().unwrap();
            cases.push((format!("{section}/{number}"), false));
        } else if line.starts_with("<error") || line.starts_with("<failure") {
            cases.last_mut().unwrap().1 = true;
        }
    }
    cases
}

/// Runs all cases. Gives how many there are, those that failed, and what was said.
async fn run(port: u16) -> (usize, BTreeSet<String>, String) {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.xml");
    let mut command = Command::new(program());
    command
        .args(["--strict", "--timeout", "1", "--port", &port.to_string()])
        .arg("--junit-report")
        .arg(&report);
    let ran = tokio::task::spawn_blocking(move || command.output());
    let ran = ran.await.unwrap().unwrap_or_else(|error| {
        panic!("h2spec ({error}): `make tools` builds it, `make test` says where it is")
    });
    let cases = cases(&std::fs::read_to_string(&report).unwrap());
    let count = cases.len();
    let failed = cases.into_iter().filter(|case| case.1).map(|case| case.0);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    (count, failed.collect(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn h2spec_finds_nothing_that_is_not_known() {
    let mut attacked = Attacked::start(&[]).await;
    let known = known();
    let port = attacked.server.grpc.port();
    let (count, mut failed, mut said) = run(port).await;
    assert!(count > 140, "{said}");
    // It waits a second for an answer, and on a busy machine once in a while in vain.
    for _ in 1..RUNS {
        if failed.is_subset(&known) {
            break;
        }
        let again;
        (_, again, said) = run(port).await;
        failed.retain(|case| known.contains(case) || again.contains(case));
    }
    println!("h2spec: {} of {count} cases fail: {failed:?}", failed.len());
    for passed in known.difference(&failed) {
        println!("{passed} passes, and need not be in the list any more");
    }
    let new: Vec<_> = failed.difference(&known).collect();
    assert!(new.is_empty(), "{new:?} fail: {said}");
    println!("{}", attacked.survived().await);
}
