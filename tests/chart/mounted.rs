//! What pods are given: volumes, tokens, and who they are.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount, Volume};
use serde_json::Value;

use super::helm::{release, releases};
use super::objects::{Release, is_hook, title};

/// A name of a Secret or a ConfigMap that a pod needs.
fn sources(volume: &Volume) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(secret) = &volume.secret {
        found.push(("Secret", secret.secret_name.clone().unwrap()));
    }
    if let Some(map) = &volume.config_map {
        found.push(("ConfigMap", map.name.clone()));
    }
    for source in volume
        .projected
        .iter()
        .flat_map(|it| it.sources.iter().flatten())
    {
        if let Some(map) = &source.config_map {
            found.push(("ConfigMap", map.name.clone()));
        }
        if let Some(secret) = &source.secret {
            found.push(("Secret", secret.name.clone()));
        }
    }
    found
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(it) => it == text,
        Value::Array(items) => items.iter().any(|it| holds(it, text)),
        Value::Object(items) => items.values().any(|it| holds(it, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What the release makes: its objects, and the Secret of its certificate.
fn made(release: &Release) -> BTreeSet<String> {
    let mut made: BTreeSet<_> = release
        .objects
        .iter()
        .filter(|it| !is_hook(it))
        .map(title)
        .collect();
    for certificate in release.of_kind("Certificate") {
        made.insert(format!(
            "Secret/{}",
            certificate["spec"]["secretName"].as_str().unwrap()
        ));
    }
    made
}

#[test]
fn what_is_mounted_is_made_by_the_release_or_named_in_the_values() {
    for release in releases() {
        let made = made(release);
        for pod in release.pods() {
            for volume in pod.spec.volumes.iter().flatten() {
                for (kind, name) in sources(volume) {
                    let known = made.contains(&format!("{kind}/{name}"))
                        || name == "kube-root-ca.crt"
                        || holds(&release.values, &name);
                    assert!(known, "{} {}: {kind}/{name}", release.what, pod.owner);
                }
            }
            let account = pod.spec.service_account_name.as_ref();
            if let Some(account) = account {
                let known = made.contains(&format!("ServiceAccount/{account}"))
                    || holds(&release.values, account);
                assert!(known, "{} {}: {account}", release.what, pod.owner);
            }
        }
    }
}

#[test]
fn every_volume_is_mounted_and_whole() {
    for release in releases() {
        for pod in release.pods() {
            let what = format!("{} {}", release.what, pod.owner);
            let volumes = pod.spec.volumes.iter().flatten().map(|volume| &volume.name);
            let volumes: BTreeSet<_> = volumes.collect();
            let mounts = pod.container().volume_mounts.iter().flatten();
            let mounted: BTreeSet<_> = mounts.clone().map(|mount| &mount.name).collect();
            assert_eq!(volumes, mounted, "{what}");
            for mount in mounts {
                // What is mounted by a path within it is never updated.
                assert!(
                    mount.sub_path.is_none() && mount.sub_path_expr.is_none(),
                    "{what}"
                );
            }
            for volume in pod.spec.volumes.iter().flatten() {
                if let Some(secret) = &volume.secret {
                    assert_eq!(secret.default_mode, Some(0o440), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_token_is_there_for_those_who_need_one() {
    for (file, server, test) in [
        ("defaults", false, false),
        ("memory", false, false),
        ("mtls", false, false),
        ("jwt", true, true),
        ("jwt-mesh", false, false),
        ("jwt-elsewhere", false, false),
        ("everything", true, true),
    ] {
        let release = release(file);
        for pod in release.pods() {
            let volumes = pod.spec.volumes.iter().flatten();
            let mut projected = volumes
                .filter_map(|it| it.projected.as_ref())
                .flat_map(|it| it.sources.iter().flatten());
            let has = projected.any(|it| it.service_account_token.is_some());
            let want = match pod.owner.split('/').next().unwrap() {
                "Deployment" => server,
                "Pod" => test,
                _ => false,
            };
            assert_eq!(has, want, "{file} {}", pod.owner);
        }
    }
}

#[test]
fn who_tests_the_release_has_a_role_and_is_who_it_says() {
    for (file, want) in [
        ("jwt", true),
        ("everything", true),
        ("mtls", false),
        ("jwt-elsewhere", false),
    ] {
        let release = release(file);
        let callers = release
            .all::<ConfigMap>()
            .into_iter()
            .find_map(|map| map.data?.remove("callers.yaml"));
        let callers: Value = serde_saphyr::from_str(&callers.unwrap()).unwrap();
        let account = release
            .pods()
            .into_iter()
            .find(|pod| pod.owner.starts_with("Pod/"));
        let account = account.unwrap().spec.service_account_name;
        assert_eq!(account.is_some(), want, "{file}");
        let is_named = callers.to_string().contains("gate-portcullis-test");
        assert_eq!(is_named, want, "{file}");
        let Some(account) = account else { continue };
        let id = format!("system:serviceaccount:{}:{account}", super::helm::NAMESPACE);
        let lines = callers["callers"].as_array().unwrap();
        let line = lines.iter().find(|line| line["id"] == id.as_str()).unwrap();
        assert_eq!(line["roles"], serde_json::json!(["check"]));
        let accounts = release.all::<ServiceAccount>();
        assert!(
            accounts
                .iter()
                .any(|it| it.metadata.name.as_deref() == Some(&account)),
            "{file}"
        );
    }
}

#[test]
fn pods_are_replaced_when_the_matrix_changes_and_not_when_callers_do() {
    let annotation = |more: &[&str]| {
        let helm = &super::helm::helms()[0];
        let file = super::helm::value_file("everything");
        let mut all = vec!["--values", &file];
        all.extend(more);
        let release = super::helm::render(helm, "gate", "1.37.0", &all);
        serde_json::to_string(&release.deployment().spec.unwrap().template).unwrap()
    };
    let before = annotation(&[]);
    assert!(before.contains("checksum/matrix"));
    assert_eq!(before, annotation(&["--set", "callers[0].id=another"]));
    let content = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/domain/matrix.yaml"
    ))
    .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let set = format!("matrix.content={}", file.path().display());
    assert_ne!(before, annotation(&["--set-file", &set]));
}

/// What is in braces in an alert or a panel is for Prometheus and Grafana, and Helm has such braces too.
#[test]
fn alerts_and_dashboard_are_what_is_in_their_files() {
    let release = release("everything");
    let file = |name: &str| {
        std::fs::read_to_string(format!("{}/files/{name}", super::helm::chart())).unwrap()
    };
    let rule = release.of_kind("PrometheusRule").next().unwrap();
    let alerts: Value = serde_saphyr::from_str(&file("alerts.yaml")).unwrap();
    assert_eq!(rule["spec"], alerts);
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let maps = release.all::<ConfigMap>();
    let map = maps.iter().find(|map| {
        let labels = map.metadata.labels.as_ref().unwrap();
        labels.get("grafana_dashboard").map(String::as_str) == Some("1")
    });
    let data = map.unwrap().data.as_ref().unwrap();
    let shown: Value = serde_json::from_str(&data["portcullis.json"]).unwrap();
    assert_eq!(shown, dashboard);
}
