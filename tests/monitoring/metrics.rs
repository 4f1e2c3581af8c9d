//! What alerts and dashboard ask for is exposed, by that name and with those labels.

use std::collections::{BTreeMap, BTreeSet};

use super::queries::{metrics, selected};

/// The metrics of the server, each with its type and its labels.
const EXPOSED: &str = include_str!("exposed.txt");

/// Labels that scraping adds.
const OF_THE_TARGET: [&str; 3] = ["namespace", "job", "instance"];

/// The names of all series with their labels: a histogram has three.
fn exposed() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut exposed = BTreeMap::new();
    for line in EXPOSED.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        let mut labels: BTreeSet<_> = words.collect();
        labels.extend(OF_THE_TARGET);
        let mut series = |name: String, labels| {
            assert!(exposed.insert(name, labels).is_none(), "{line}");
        };
        match kind {
            "counter" | "gauge" => series(name.to_owned(), labels),
            "histogram" => {
                series(format!("{name}_sum"), labels.clone());
                series(format!("{name}_count"), labels.clone());
                labels.insert("le");
                series(format!("{name}_bucket"), labels);
            }
            other => panic!("{line}: {other}"),
        }
    }
    exposed
}

#[test]
fn every_metric_that_is_asked_for_is_exposed() {
    let exposed = exposed();
    let used = metrics();
    assert!(used.len() > 40, "{used:?}");
    let unknown: Vec<_> = used
        .iter()
        .filter(|(name, _)| !exposed.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_label_that_chooses_series_is_a_label_of_theirs() {
    let exposed = exposed();
    for (query, selectors) in selected() {
        for selector in selectors {
            let labels = &exposed[&selector.metric];
            for label in &selector.labels {
                assert!(
                    labels.contains(label.as_str()),
                    "{}: {} has no {label}",
                    query.place,
                    selector.metric
                );
            }
        }
    }
}
