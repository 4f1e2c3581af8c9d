//! Each alert says what it should say, has cases, and a section of the runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::queries::{Rules, read};

const RUNBOOK: &str = "docs/runbook.md";

/// A file of cases, as promtool reads it.
#[derive(Debug, Deserialize)]
struct Cases {
    rule_files: Vec<String>,
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    alert_rule_test: Vec<Moment>,
}

#[derive(Debug, Deserialize)]
struct Moment {
    alertname: String,
    exp_alerts: Vec<Expected>,
}

#[derive(Debug, Deserialize)]
struct Expected {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<String, String>,
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let mut fires = BTreeSet::new();
    let mut is_quiet = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring/rules");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let cases: Cases = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        // Of other rules a case would say nothing.
        assert_eq!(
            cases.rule_files,
            ["../../../helm/portcullis/files/alerts.yaml"],
            "{}",
            path.display()
        );
        for case in cases.tests {
            for moment in case.alert_rule_test {
                for expected in &moment.exp_alerts {
                    let place = format!("{}: {}", path.display(), case.name);
                    assert!(expected.exp_labels.contains_key("severity"), "{place}");
                    assert!(expected.exp_annotations.contains_key("summary"), "{place}");
                }
                if moment.exp_alerts.is_empty() {
                    is_quiet.insert(moment.alertname);
                } else {
                    fires.insert(moment.alertname);
                }
            }
        }
    }
    let rules = Rules::shipped();
    let alerts: BTreeSet<_> = rules.alerts().map(|(name, _)| name.to_owned()).collect();
    assert!(alerts.len() > 25, "{alerts:?}");
    assert_eq!(fires, alerts);
    assert_eq!(is_quiet, alerts);
}

#[test]
fn every_alert_says_how_severe_it_is_what_callers_notice_and_what_to_do() {
    let rules = Rules::shipped();
    let mut names = BTreeSet::new();
    for (name, rule) in rules.alerts() {
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("Portcullis"), "{name}");
        let severity = rule.labels["severity"].as_str();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let kept: Vec<_> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(kept, ["description", "runbook", "summary"], "{name}");
        let (summary, description) = (
            &rule.annotations["summary"],
            &rule.annotations["description"],
        );
        // Whoever is called has to know which release it is about.
        for label in ["{{ $labels.job }}", "{{ $labels.namespace }}"] {
            assert!(summary.contains(label), "{name}: {summary}");
        }
        assert!(
            description.to_lowercase().contains("caller"),
            "{name}: {description}"
        );
        assert_eq!(
            rule.annotations["runbook"],
            format!("{RUNBOOK}#{}", name.to_lowercase())
        );
    }
}

/// The sections that are about an alert, with their text.
fn sections(runbook: &str) -> BTreeMap<&str, &str> {
    let sections = runbook.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        (
            heading,
            text.split("\n## ").next().unwrap_or_default().trim(),
        )
    });
    sections.collect()
}

#[test]
fn every_alert_has_a_section_of_the_runbook_and_every_section_an_alert() {
    let runbook = read(RUNBOOK);
    let rules = Rules::shipped();
    let alerts: BTreeSet<_> = rules.alerts().map(|(name, _)| name).collect();
    let sections = sections(&runbook);
    assert_eq!(
        sections.keys().copied().collect::<BTreeSet<_>>(),
        alerts,
        "headings of the third level are names of alerts"
    );
    for (name, text) in sections {
        for part in ["**Callers**", "**Look**", "**Do**", "**Do not**"] {
            assert!(text.contains(part), "{name} has no {part}");
        }
    }
}
