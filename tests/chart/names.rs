//! Names of objects: those that the API server would refuse, and those that are there twice.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::{VERSIONS, at_once, helms, release, releases, render, value_file};
use super::objects::{Release, title};

/// What Kubernetes demands of the names of all objects here. Those of services may not begin with a digit either.
fn check_names(release: &Release) {
    for object in &release.objects {
        let what = format!("{} {}", release.what, title(object));
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(is_label(name), "{what}");
        assert!(
            name.starts_with(|first: char| first.is_ascii_lowercase()),
            "{what}"
        );
        assert_eq!(
            object["metadata"]["namespace"],
            super::helm::NAMESPACE,
            "{what}"
        );
        check_labels(object, &what);
    }
}

fn is_label(name: &str) -> bool {
    let inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Every label and every selector, wherever it is.
fn check_labels(value: &Value, what: &str) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                if matches!(key.as_str(), "labels" | "matchLabels" | "selector") {
                    for (label, value) in field.as_object().into_iter().flatten() {
                        let Value::String(value) = value else {
                            continue;
                        };
                        let is_end = |it: char| it.is_ascii_alphanumeric();
                        let is_good = value.len() <= 63
                            && value.chars().all(|it| is_end(it) || "-_.".contains(it))
                            && (value.is_empty()
                                || value.starts_with(is_end) && value.ends_with(is_end));
                        assert!(is_good, "{what}: {label}: {value}");
                    }
                }
                check_labels(field, what);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check_labels(item, what)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn no_two_objects_have_one_name() {
    for release in releases() {
        let titles: Vec<_> = release.objects.iter().map(title).collect();
        let unlike: BTreeSet<_> = titles.iter().collect();
        assert_eq!(unlike.len(), titles.len(), "{}: {titles:?}", release.what);
        check_names(release);
    }
}

#[test]
fn whatever_a_release_is_called_the_names_of_its_objects_are_good() {
    let longest = "a".repeat(53);
    let ends_badly = format!("{}-bb", "a".repeat(50));
    let names = [
        "p",
        "portcullis",
        "1a",
        "9",
        "eu.west-1.portal",
        "0.0",
        &longest,
        &ends_badly,
    ];
    let file = value_file("everything");
    for helm in helms() {
        at_once(names.to_vec(), |name| {
            let release = render(&helm, name, VERSIONS[1], &["--values", &file]);
            check_names(&release);
            let titles: BTreeSet<_> = release.objects.iter().map(title).collect();
            assert_eq!(titles.len(), release.objects.len(), "{name}");
        });
    }
}

#[test]
fn a_long_tag_and_long_names_are_cut_to_labels() {
    let tag = format!("image.tag={}-", "1".repeat(62));
    let name = format!("nameOverride={}", "b".repeat(53));
    let helm = &helms()[0];
    let file = value_file("everything");
    let release = render(
        helm,
        "gate",
        VERSIONS[1],
        &["--values", &file, "--set", &tag, "--set", &name],
    );
    check_names(&release);
}

#[test]
fn objects_of_others_are_made_only_where_they_are_asked_for() {
    let kinds = |file: &str| -> BTreeSet<String> {
        let objects = release(file).objects.iter();
        objects
            .map(|it| it["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let others = ["Certificate", "PrometheusRule", "ServiceMonitor"].map(str::to_owned);
    assert!(others.iter().all(|kind| !kinds("defaults").contains(kind)));
    assert!(others.iter().all(|kind| kinds("everything").contains(kind)));
    let want = ["Deployment", "Service"].map(str::to_owned);
    assert_eq!(kinds("bare"), BTreeSet::from(want));
}
