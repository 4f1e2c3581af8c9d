//! What alerts and dashboard ask for is exposed, by that name and with those labels.

use std::collections::{BTreeMap, BTreeSet};

use super::queries::{metrics, selected};
use super::tables::{names, rows};

/// Labels that scraping adds.
const OF_THE_TARGET: [&str; 3] = ["namespace", "job", "instance"];

/// The names of all series with their labels: a histogram has three.
///
/// They are those of the table in `docs/operations.md`, which another test compares with a running
/// server.
fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let mut exposed = BTreeMap::new();
    for row in rows(&["metric", "type", "labels"]) {
        let [metric, kind, labels] = row.try_into().unwrap();
        let name = names(&metric).remove(0);
        let mut labels: BTreeSet<_> = names(&labels).into_iter().collect();
        labels.extend(OF_THE_TARGET.map(str::to_owned));
        let mut series = |name: String, labels| {
            assert!(exposed.insert(name, labels).is_none(), "{metric}");
        };
        match &*kind {
            "counter" | "gauge" => series(name, labels),
            "histogram" => {
                series(format!("{name}_sum"), labels.clone());
                series(format!("{name}_count"), labels.clone());
                labels.insert("le".to_owned());
                series(format!("{name}_bucket"), labels);
            }
            other => panic!("{metric}: {other}"),
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
                    labels.contains(label),
                    "{}: {} has no {label}",
                    query.place,
                    selector.metric
                );
            }
        }
    }
}
