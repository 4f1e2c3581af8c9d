//! The dashboard that ships is the one of its source, and Grafana can show it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::queries::{DASHBOARD, of_dashboard, read};
use super::render::{Source, render};

/// Where this is set, the dashboard is written and not compared: `make dashboard`.
const WRITE: &str = "PORTCULLIS_TEST_WRITE_DASHBOARD";

fn shipped() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

#[test]
fn the_dashboard_is_the_one_of_its_source() {
    let source: Source = serde_saphyr::from_str(&read("monitoring/dashboard.yaml")).unwrap();
    let mut rendered = serde_json::to_string_pretty(&render(&source)).unwrap();
    rendered.push('\n');
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no configuration that could be an argument"
    )]
    let write = std::env::var_os(WRITE).is_some();
    if write {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(DASHBOARD);
        fs::write(place, &rendered).unwrap();
    }
    assert!(
        rendered == read(DASHBOARD),
        "{DASHBOARD} is not what monitoring/dashboard.yaml says: `make dashboard` writes it"
    );
}

#[test]
fn panels_have_numbers_of_their_own_and_places_of_their_own() {
    let dashboard = shipped();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let number = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        let (x, y, width, height) = (number("x"), number("y"), number("w"), number("h"));
        assert!(width > 0 && height > 0 && x + width <= 24, "{title}");
        for column in x..x + width {
            for line in y..y + height {
                assert!(taken.insert((column, line)), "{title} lies on another");
            }
        }
    }
    // And no line has a gap.
    let lines = taken.iter().map(|(_, line)| line + 1).max().unwrap();
    assert_eq!(taken.len() as u64, lines * 24);
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let dashboard = shipped();
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "{title} is there twice");
        if panel["type"] == "row" {
            continue;
        }
        let about = panel["description"].as_str().unwrap();
        assert!(about.len() > 30 && about.ends_with('.'), "{title}");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap();
        assert!(!unit.is_empty(), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in targets {
            // Series of one panel that cannot be told apart say nothing.
            let several = targets.len() > 1 && panel["type"] == "timeseries";
            assert!(!several || target["legendFormat"] != "__auto", "{title}");
        }
    }
}

#[test]
fn every_query_is_about_the_replicas_that_were_chosen() {
    let dashboard = shipped();
    for panel in panels(&dashboard) {
        for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
            let expr = target["expr"].as_str().unwrap();
            assert!(expr.contains("namespace=\"$namespace\""), "{expr}");
            assert!(!expr.contains("$replicas"), "{expr}");
        }
    }
}

/// Rules may be left out of a cluster that has the dashboard.
#[test]
fn the_dashboard_needs_no_recorded_series() {
    for query in of_dashboard() {
        for selector in super::promql::selectors(&query.expr).unwrap() {
            assert!(!selector.metric.contains(':'), "{}", query.place);
        }
    }
}

#[test]
fn what_can_be_chosen_is_the_source_of_data_and_the_replicas() {
    let dashboard = shipped();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "namespace", "job", "instance"]);
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38);
    assert_eq!(dashboard["id"], Value::Null);
}
