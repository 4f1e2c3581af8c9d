//! A page of metrics, read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::support::probe::ask;

/// What a page says.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
    /// Of each metric its type.
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
}

/// A line of it.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Page {
    /// The page of the server whose probes are there.
    pub(crate) async fn of(http: SocketAddr) -> Self {
        let (status, head, text) = ask(http, "GET", "/metrics").await;
        assert_eq!(status, 200, "{text}");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        let typed = |line: &str| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some((name.to_owned(), kind.to_owned()))
        };
        let types = text.lines().filter_map(typed).collect();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(Sample::read).collect();
        Self {
            text,
            types,
            samples,
        }
    }

    /// The sum of a metric's samples that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self.samples.iter().filter(|sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|it| it == value)
            };
            sample.name == name && labels.iter().all(has)
        });
        let first = found.next();
        let first = first.unwrap_or_else(|| panic!("no {name} {labels:?}"));
        first.value + found.map(|sample| sample.value).sum::<f64>()
    }

    /// The labels of a metric; those of its buckets apart.
    pub(crate) fn labels(&self, name: &str) -> BTreeSet<String> {
        let of_metric = |sample: &&Sample| {
            sample.name == name || sample.name.strip_suffix("_count") == Some(name)
        };
        let samples = self.samples.iter().filter(of_metric);
        samples
            .flat_map(|sample| sample.labels.keys().cloned())
            .collect()
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (what, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match what.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (what, ""),
        };
        let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
        let labels = pairs.map(|pair| {
            let (label, value) = pair.split_once("=\"").unwrap();
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value: value.parse().unwrap(),
        }
    }
}
