//! What promtool thinks of the rules, their cases and the dashboard's queries.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::queries::{ALERTS, of_dashboard};

/// Runs promtool, which has to be content.
fn promtool(arguments: &[&str], files: &[&Path]) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "which promtool to run is told to the tests in their environment"
    )]
    let program =
        std::env::var("PORTCULLIS_TEST_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let output = Command::new(&program)
        .args(arguments)
        .args(files)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run `{program}`: {error}; install it with `make tools`")
        });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[test]
fn the_rules_are_rules_and_none_is_there_twice() {
    let said = promtool(
        &["check", "rules", "--lint=all", "--lint-fatal"],
        &[Path::new(ALERTS)],
    );
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn each_case_of_a_rule_is_judged_as_it_should_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring/rules");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let files: Vec<_> = files.iter().map(AsRef::as_ref).collect();
    let said = promtool(&["test", "rules"], &files);
    assert_eq!(said.matches("SUCCESS").count(), files.len(), "{said}");
}

/// Each as a rule, which promtool can read: whatever Grafana puts in for a variable.
#[test]
fn every_query_of_the_dashboard_parses() {
    let queries = of_dashboard();
    assert!(queries.len() > 40, "{queries:?}");
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(number, query)| {
            json!({
                "record": format!("dashboard:query{number}:last"),
                "expr": query.expr,
                "labels": { "place": query.place },
            })
        })
        .collect();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dashboard.yaml");
    // JSON is YAML.
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    let said = promtool(&["check", "rules"], &[&file]);
    let found = format!("{} rules found", queries.len());
    assert!(said.contains(&found), "{said}");
}
