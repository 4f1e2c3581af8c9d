//! One value set, beside a database, and the one place where it is seen.

use serde_json::{Value, json};

use super::helm::{VERSIONS, at_once, helms, render};

/// What is set, the kind of an object, where in it, and what is there.
type Case = (&'static str, &'static str, &'static str, Value);

/// Renders each case, by every Helm.
fn check(cases: &[Case]) {
    for helm in helms() {
        at_once(cases.to_vec(), |(set, kind, place, want)| {
            let mut more = vec!["--set", "database.existingSecret=db"];
            more.extend(set.split(' ').flat_map(|it| ["--set", it]));
            let release = render(&helm, "gate", VERSIONS[1], &more);
            let object = release.of_kind(kind).next();
            let object = object.unwrap_or_else(|| panic!("{set}: no {kind}"));
            let found = object.pointer(place).cloned().unwrap_or_default();
            assert_eq!(found, want, "{set}: {kind} {place}");
        });
    }
}

const DEPLOYMENT: &str = "Deployment";

#[test]
fn a_value_alone_is_enough() {
    let key = "/spec/template/spec/volumes/0/secret/items/0/key";
    check(&[
        (
            "replicaCount=3",
            "PodDisruptionBudget",
            "/spec/maxUnavailable",
            json!(1),
        ),
        (
            "podDisruptionBudget.minAvailable=1",
            "PodDisruptionBudget",
            "/spec/minAvailable",
            json!(1),
        ),
        (
            "podDisruptionBudget.minAvailable=1",
            "PodDisruptionBudget",
            "/spec/maxUnavailable",
            Value::Null,
        ),
        (
            "updateStrategy.type=Recreate",
            DEPLOYMENT,
            "/spec/strategy",
            json!({"type": "Recreate"}),
        ),
        ("database.existingSecretKey=dsn", "Job", key, json!("dsn")),
        (
            "database.existingSecretKey=dsn migration.existingSecretKey=owner",
            "Job",
            key,
            json!("owner"),
        ),
        (
            "database.existingSecretKey=dsn migration.existingSecret=own",
            "Job",
            key,
            json!("url"),
        ),
        (
            "migration.existingSecret=own migration.existingSecretKey=owner",
            "Job",
            key,
            json!("owner"),
        ),
        // A pod whose Secret lacks the authority would wait for ever.
        (
            "tls.existingSecret=server",
            "Pod",
            "/spec/volumes/0/secret/optional",
            json!(true),
        ),
        // The sum of nothing.
        (
            "store=postgres",
            DEPLOYMENT,
            "/spec/template/metadata/annotations/checksum~1matrix",
            json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ),
    ]);
}

#[test]
fn pods_are_made_as_the_values_say() {
    check(&[
        (
            "image.registry=registry.example:5000 image.tag=v1",
            DEPLOYMENT,
            "/spec/template/spec/containers/0/image",
            json!("registry.example:5000/portcullis:v1"),
        ),
        (
            "serviceAccount.automount=true",
            DEPLOYMENT,
            "/spec/template/spec/automountServiceAccountToken",
            json!(true),
        ),
        (
            "minReadySeconds=7",
            DEPLOYMENT,
            "/spec/minReadySeconds",
            json!(7),
        ),
        (
            "deploymentAnnotations.owner=portal",
            DEPLOYMENT,
            "/metadata/annotations",
            json!({"owner": "portal"}),
        ),
        (
            "dnsConfig.nameservers[0]=10.0.0.10",
            DEPLOYMENT,
            "/spec/template/spec/dnsConfig",
            json!({"nameservers": ["10.0.0.10"]}),
        ),
        (
            "extraEnvFrom[0].secretRef.name=more",
            DEPLOYMENT,
            "/spec/template/spec/containers/0/envFrom",
            json!([{"secretRef": {"name": "more"}}]),
        ),
        (
            "topologySpreadConstraints[0].maxSkew=1 topologySpreadConstraints[0].topologyKey=rack \
             topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
            DEPLOYMENT,
            "/spec/template/spec/topologySpreadConstraints/0/labelSelector",
            json!({"matchLabels": {
                "app.kubernetes.io/name": "portcullis",
                "app.kubernetes.io/instance": "gate",
                "app.kubernetes.io/component": "server",
            }}),
        ),
    ]);
}

#[test]
fn what_others_look_for_is_where_they_look() {
    check(&[
        (
            "serviceMonitor.enabled=true serviceMonitor.namespace=monitoring",
            "ServiceMonitor",
            "/metadata/namespace",
            json!("monitoring"),
        ),
        (
            "serviceMonitor.enabled=true serviceMonitor.namespace=monitoring",
            "ServiceMonitor",
            "/spec/namespaceSelector/matchNames",
            json!([super::helm::NAMESPACE]),
        ),
        (
            "dashboard.enabled=true dashboard.namespace=monitoring",
            "ConfigMap",
            "/metadata/namespace",
            json!("monitoring"),
        ),
        (
            "prometheusRule.enabled=true prometheusRule.runbookBaseUrl=https://git.example/main/",
            "PrometheusRule",
            "/spec/groups/1/rules/0/annotations/runbook_url",
            json!("https://git.example/main/docs/runbook.md#portcullisfeedlagging"),
        ),
        (
            "prometheusRule.enabled=true prometheusRule.runbookBaseUrl=https://git.example/main/",
            "PrometheusRule",
            "/spec/groups/1/rules/0/annotations/runbook",
            json!("docs/runbook.md#portcullisfeedlagging"),
        ),
    ]);
}
