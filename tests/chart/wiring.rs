//! Whether what refers to each other fits: selectors and labels, ports and their names, volumes and what is mounted.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount, Volume};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::helm::{release, releases};
use super::objects::{Labels, PodOf, Release, is_hook, selects, title};

fn port_names(pod: &PodOf) -> Vec<&str> {
    let ports = pod.container().ports.iter().flatten();
    ports.map(|port| port.name.as_deref().unwrap()).collect()
}

#[test]
fn services_send_calls_to_the_server_and_to_nothing_else() {
    for release in releases() {
        let server = release.server();
        let services = release.all::<Service>();
        assert_eq!(services.len(), 2, "{}", release.what);
        for service in &services {
            let spec = service.spec.as_ref().unwrap();
            let selector = spec.selector.as_ref().unwrap();
            for pod in release.pods() {
                let is_server = pod.owner == server.owner;
                assert_eq!(
                    selects(selector, pod.labels()),
                    is_server,
                    "{} {}",
                    release.what,
                    pod.owner
                );
            }
            for port in spec.ports.iter().flatten() {
                let Some(IntOrString::String(target)) = &port.target_port else {
                    panic!("{}: {port:?}", release.what);
                };
                assert!(
                    port_names(&server).contains(&target.as_str()),
                    "{}",
                    release.what
                );
                assert_eq!(port.name.as_ref(), Some(target));
            }
        }
        let headless = services[1].spec.as_ref().unwrap();
        assert_eq!(
            headless.cluster_ip.as_deref(),
            Some("None"),
            "{}",
            release.what
        );
        assert_ne!(headless.publish_not_ready_addresses, Some(true));
    }
}

#[test]
fn metrics_are_not_shown_to_the_outside() {
    let names = |release: &Release| -> Vec<String> {
        let ports = release
            .all::<Service>()
            .remove(0)
            .spec
            .unwrap()
            .ports
            .unwrap();
        ports.into_iter().map(|port| port.name.unwrap()).collect()
    };
    assert_eq!(names(release("defaults")), ["grpc", "http"]);
    assert_eq!(names(release("load-balancer")), ["grpc"]);
}

#[test]
fn what_speaks_http2_is_said_of_the_port() {
    for (file, want) in [
        ("memory", "kubernetes.io/h2c"),
        ("mtls", "https"),
        ("jwt-mesh", "grpc"),
    ] {
        for service in release(file).all::<Service>() {
            let ports = service.spec.unwrap().ports.unwrap();
            assert_eq!(ports[0].app_protocol.as_deref(), Some(want), "{file}");
        }
    }
}

#[test]
fn probes_ask_ports_that_the_server_listens_on() {
    for release in releases() {
        let server = release.server();
        let container = server.container();
        let probes = [
            (&container.startup_probe, "/livez"),
            (&container.liveness_probe, "/livez"),
            (&container.readiness_probe, "/readyz"),
        ];
        for (probe, path) in probes {
            let http = probe.clone().unwrap().http_get.unwrap();
            assert_eq!(http.path.as_deref(), Some(path));
            assert_eq!(
                http.port,
                IntOrString::String("http".to_owned()),
                "{}",
                release.what
            );
        }
        for (name, flag) in [("grpc", "--listen="), ("http", "--http-listen=")] {
            let port = container.ports.iter().flatten();
            let port = port.clone().find(|port| port.name.as_deref() == Some(name));
            let port = port.unwrap().container_port;
            let listens = server.args().iter().find_map(|arg| arg.strip_prefix(flag));
            assert!(
                listens.unwrap().ends_with(&format!(":{port}")),
                "{}",
                release.what
            );
        }
        assert!(
            container.lifecycle.is_none(),
            "the image has no shell to sleep in"
        );
    }
}

#[test]
fn a_selector_is_of_what_never_changes() {
    for release in releases() {
        let spec = release.deployment().spec.unwrap();
        let selector = spec.selector.match_labels.unwrap();
        let keys: Vec<_> = selector.keys().map(String::as_str).collect();
        let want = ["component", "instance", "name"].map(|it| format!("app.kubernetes.io/{it}"));
        assert_eq!(keys, want, "{}", release.what);
        assert!(selects(&selector, release.server().labels()));
        assert!(spec.selector.match_expressions.is_none());
    }
}

#[test]
fn budgets_autoscalers_and_policies_are_about_the_server() {
    let mut seen = BTreeSet::new();
    for release in releases() {
        let server = release.server();
        let others: Vec<_> = release
            .pods()
            .into_iter()
            .filter(|pod| pod.owner != server.owner)
            .collect();
        let is_of_server = |selector: &Labels| {
            selects(selector, server.labels())
                && !others.iter().any(|pod| selects(selector, pod.labels()))
        };
        for budget in release.all::<PodDisruptionBudget>() {
            seen.insert("budget");
            let spec = budget.spec.unwrap();
            assert!(
                is_of_server(&spec.selector.unwrap().match_labels.unwrap()),
                "{}",
                release.what
            );
            assert_eq!(
                spec.unhealthy_pod_eviction_policy.as_deref(),
                Some("AlwaysAllow")
            );
            assert!(
                spec.max_unavailable.is_some() != spec.min_available.is_some(),
                "{}",
                release.what
            );
        }
        let scalers = release.all::<HorizontalPodAutoscaler>();
        let replicas = release.deployment().spec.unwrap().replicas;
        assert_eq!(scalers.is_empty(), replicas.is_some(), "{}", release.what);
        for scaler in scalers {
            seen.insert("autoscaler");
            let target = scaler.spec.unwrap().scale_target_ref;
            let target = format!("{}/{}", target.kind, target.name);
            assert_eq!(target, server.owner);
        }
        for policy in release.all::<NetworkPolicy>() {
            let spec = policy.spec.unwrap();
            let selector = spec.pod_selector.unwrap().match_labels.unwrap();
            if spec.ingress.is_none() {
                seen.insert("policy of the migration");
                assert!(
                    others.iter().any(|pod| selects(&selector, pod.labels())),
                    "{}",
                    release.what
                );
                continue;
            }
            seen.insert("policy");
            assert!(is_of_server(&selector), "{}", release.what);
            for rule in spec.ingress.unwrap() {
                assert!(
                    !rule.from.unwrap().is_empty(),
                    "{}: who is let in?",
                    release.what
                );
                for port in rule.ports.unwrap() {
                    let Some(IntOrString::String(name)) = port.port else {
                        panic!("{}", release.what);
                    };
                    assert!(port_names(&server).contains(&name.as_str()));
                }
            }
        }
        for monitor in release.of_kind("ServiceMonitor") {
            seen.insert("monitor");
            let selector: Labels =
                serde_json::from_value(monitor["spec"]["selector"]["matchLabels"].clone()).unwrap();
            let services = release.all::<Service>();
            let chosen: Vec<_> = services
                .iter()
                .filter(|service| selects(&selector, service.metadata.labels.as_ref().unwrap()))
                .collect();
            assert_eq!(
                chosen.len(),
                1,
                "each pod would be read twice: {}",
                release.what
            );
            let ports = chosen[0].spec.as_ref().unwrap().ports.as_ref().unwrap();
            let port = monitor["spec"]["endpoints"][0]["port"].as_str();
            assert!(
                ports.iter().any(|it| it.name.as_deref() == port),
                "{}",
                release.what
            );
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

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
        ("jwt-elsewhere", false, true),
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
    for (file, want) in [("jwt", true), ("everything", true), ("mtls", false)] {
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

#[test]
fn a_pod_has_the_time_to_drain() {
    for release in releases() {
        let server = release.server();
        let seconds = |flag: &str| {
            let value = server
                .args()
                .iter()
                .find_map(|arg| arg.strip_prefix(flag))
                .unwrap();
            humantime::parse_duration(value).unwrap().as_secs_f64()
        };
        let drain = seconds("--shutdown-delay=") + seconds("--shutdown-grace=");
        let has = server.spec.termination_grace_period_seconds.unwrap();
        assert!(
            has as f64 > drain,
            "{}: {has} s for {drain} s",
            release.what
        );
    }
}
