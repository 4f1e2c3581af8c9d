//! Whether what refers to each other fits: selectors and labels, ports and their names.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::helm::{release, releases};
use super::objects::{Labels, PodOf, Release, selects};

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

/// The ports of addresses that the values name, where what goes out is restricted.
#[test]
fn what_is_asked_by_its_address_is_let_out_to() {
    let ports = |file: &str| -> Vec<IntOrString> {
        let policies = release(file).all::<NetworkPolicy>();
        let specs = policies.into_iter().map(|policy| policy.spec.unwrap());
        let of_server = specs.filter(|spec| spec.ingress.is_some());
        of_server
            .flat_map(|spec| spec.egress.unwrap())
            .flat_map(|rule| rule.ports.unwrap_or_default())
            .map(|port| port.port.unwrap())
            .collect()
    };
    let elsewhere = ports("jwt-elsewhere");
    assert!(elsewhere.contains(&IntOrString::Int(8443)), "{elsewhere:?}");
    assert!(
        elsewhere.contains(&IntOrString::Int(14317)),
        "{elsewhere:?}"
    );
    let everything = ports("everything");
    assert!(
        everything.contains(&IntOrString::Int(6443)),
        "{everything:?}"
    );
    assert!(
        everything.contains(&IntOrString::Int(4317)),
        "{everything:?}"
    );
    assert!(!everything.contains(&IntOrString::Int(8443)));
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
