//! What the alerts and the dashboard ask Prometheus for, and which metrics they name there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::promql::{Selector, selectors};

/// The files of the chart that have queries in them.
pub const ALERTS: &str = "helm/portcullis/files/alerts.yaml";
/// The same.
pub const DASHBOARD: &str = "helm/portcullis/files/dashboard.json";

/// Series that Prometheus makes itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// A file of the repository.
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules, as Prometheus reads them.
#[derive(Debug, Deserialize)]
pub struct Rules {
    pub groups: Vec<Group>,
}

/// Rules that are judged one after the other.
#[derive(Debug, Deserialize)]
pub struct Group {
    pub name: String,
    pub rules: Vec<Rule>,
}

/// An alert, or a query whose answer is recorded.
#[derive(Debug, Deserialize)]
pub struct Rule {
    pub alert: Option<String>,
    pub record: Option<String>,
    pub expr: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rules {
    /// Those that ship with the chart.
    pub fn shipped() -> Self {
        serde_saphyr::from_str(&read(ALERTS)).unwrap()
    }

    /// Every rule.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// Every alert with its name.
    pub fn alerts(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.all()
            .filter_map(|rule| Some((rule.alert.as_deref()?, rule)))
    }
}

/// A query, and where it is.
#[derive(Debug)]
pub struct Query {
    pub place: String,
    pub expr: String,
}

/// The queries of all rules.
pub fn of_rules() -> Vec<Query> {
    let rules = Rules::shipped();
    let queries = rules.all().map(|rule| Query {
        place: format!(
            "{ALERTS}: {}",
            rule.alert.as_ref().or(rule.record.as_ref()).unwrap()
        ),
        expr: rule.expr.clone(),
    });
    queries.collect()
}

/// The queries of the dashboard: of its panels, its variables and its annotations. What Grafana
/// puts in for a variable stands there already.
pub fn of_dashboard() -> Vec<Query> {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut queries = Vec::new();
    let mut push = |place: &str, expr: &str| {
        queries.push(Query {
            place: format!("{DASHBOARD}: {place}"),
            expr: chosen(expr),
        });
    };
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            push(
                panel["title"].as_str().unwrap(),
                target["expr"].as_str().unwrap(),
            );
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            let values = variable["query"]["query"].as_str().unwrap();
            let inner = values
                .strip_prefix("label_values(")
                .and_then(|rest| rest.rsplit_once(','));
            push(variable["name"].as_str().unwrap(), inner.unwrap().0);
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        if let Some(expr) = annotation["expr"].as_str() {
            push(annotation["name"].as_str().unwrap(), expr);
        }
    }
    queries
}

/// A query as Prometheus gets it from Grafana, whatever was chosen there.
fn chosen(expr: &str) -> String {
    expr.replace("$__rate_interval", "5m")
        .replace("$namespace", "portal")
        .replace("$job", "portcullis")
        .replace("$instance", ".*")
}

/// Every query, with what it selects that is neither recorded by a rule nor made by Prometheus.
pub fn selected() -> Vec<(Query, Vec<Selector>)> {
    let rules = Rules::shipped();
    let recorded: BTreeSet<_> = rules
        .all()
        .filter_map(|rule| rule.record.as_deref())
        .collect();
    let queries = of_rules().into_iter().chain(of_dashboard());
    let selected = queries.map(|query| {
        let mut named =
            selectors(&query.expr).unwrap_or_else(|error| panic!("{}: {error}", query.place));
        named.retain(|selector| {
            !recorded.contains(selector.metric.as_str())
                && !OF_PROMETHEUS.contains(&selector.metric.as_str())
        });
        (query, named)
    });
    selected.collect()
}

/// Each name of a metric that alerts and dashboard rely on, as it stands at the beginning of a line
/// of `/metrics` (of a histogram with `_bucket`, `_sum` or `_count`), with the places that name it.
pub fn metrics() -> BTreeMap<String, Vec<String>> {
    let mut metrics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (query, named) in selected() {
        for selector in named {
            let places = metrics.entry(selector.metric).or_default();
            if !places.contains(&query.place) {
                places.push(query.place.clone());
            }
        }
    }
    metrics
}
