//! What the chart refuses before anything is applied. The cases are in `tests/chart/refused.yaml`.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::helm::{VERSIONS, at_once, chart, folder, helms, template, text};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is wrong.
    name: String,
    /// The values with it.
    values: Value,
    /// What is said about it: the value's path, or what is accepted.
    says: Vec<String>,
    /// Whether the schema says it, or a line of the chart's own.
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Schema,
    Rule,
}

fn cases() -> Vec<Case> {
    serde_saphyr::from_str(&fs::read_to_string(folder().join("refused.yaml")).unwrap()).unwrap()
}

#[test]
fn bad_values_are_refused_with_a_word_that_helps() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
    for helm in helms() {
        let wrong = at_once(cases.clone(), |case| {
            let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
            fs::write(file.path(), case.values.to_string()).unwrap();
            let values = ["--values", file.path().to_str().unwrap()];
            let output = template(&helm, "gate", VERSIONS[1], &values);
            let said = text(&output.stderr);
            if output.status.success() {
                return Some(format!("{}: accepted", case.name));
            }
            let by = if said.contains("values don't meet the specifications of the schema") {
                By::Schema
            } else {
                By::Rule
            };
            let is_said = case.says.iter().all(|want| said.contains(want));
            // A rule speaks in one line, which Helm puts its own words before.
            let lines = said
                .lines()
                .filter(|line| line.contains("execution error at"));
            let is_one = by == By::Schema || lines.count() == 1;
            let is_good = is_said && by == case.by && is_one;
            (!is_good).then(|| format!("{} ({by:?}): {said}", case.name))
        });
        let wrong: Vec<_> = wrong.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn a_kubernetes_that_is_too_old_is_refused() {
    for helm in helms() {
        let more = ["--set", "store=memory"];
        let output = template(&helm, "gate", "1.27.16", &more);
        let said = text(&output.stderr);
        assert!(!output.status.success(), "1.27.16 is taken");
        assert!(said.contains(">=1.28.0-0"), "{said}");
        // A seller's version of the oldest is one of it.
        let output = template(&helm, "gate", "1.28.0-gke.100", &more);
        assert!(output.status.success(), "{output:?}");
    }
}

/// A rule without a case would be one that nobody has seen work.
#[test]
fn every_rule_of_the_chart_has_a_case() {
    let rules = fs::read_to_string(format!("{}/templates/_validate.tpl", chart())).unwrap();
    let cases: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.by == By::Rule)
        .collect();
    let mut count = 0;
    for line in rules.lines().filter(|line| line.contains("{{- fail ")) {
        let (_, words) = line.split_once('"').unwrap();
        let words = words.rsplit_once('"').unwrap().0;
        let is_known = cases.iter().any(|case| words.contains(&case.says[0]));
        assert!(is_known, "no case says anything of `{words}`");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

/// Each group of values refuses what it does not know; only what is Kubernetes's own is left to it.
#[test]
fn every_group_of_values_is_closed() {
    let schema = fs::read_to_string(format!("{}/values.schema.json", chart())).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut open = Vec::new();
    walk(&schema, &super::helm::default_values(), "", &mut open);
    let want = [
        "affinity",
        "autoscaling.behavior",
        "podSecurityContext",
        "securityContext",
    ];
    assert_eq!(open, want);
}

/// The objects among the default values that the schema does not close.
fn walk(schema: &Value, values: &Value, path: &str, open: &mut Vec<String>) {
    let closed =
        |it: &Value| it["additionalProperties"] == false || it["additionalProperties"].is_object();
    // Or one of several, such as null.
    let several = schema["anyOf"].as_array();
    let is_closed = closed(schema) || several.is_some_and(|several| several.iter().any(closed));
    if schema.get("$ref").is_some() {
        return;
    }
    if !is_closed {
        open.push(path.to_owned());
        return;
    }
    for (key, value) in values.as_object().unwrap() {
        if value.is_object() {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            walk(&schema["properties"][key], value, &path, open);
        }
    }
}
