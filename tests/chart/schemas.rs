//! Every object, by the schemas of Kubernetes and of the operators, with nothing fetched: see tools/chart-schemas.py.

use std::fs;

use super::helm::{Tool, VERSIONS, folder, releases, text};

/// Whether kubeconform finds nothing, and what it says.
fn conforms(documents: &str, version: &str) -> (bool, String) {
    let schemas = folder().join("schemas");
    let schemas = schemas.to_str().unwrap();
    let kind = "{{ .ResourceKind }}{{ .KindSuffix }}.json";
    let core = format!("{schemas}/{{{{ .NormalizedKubernetesVersion }}}}/{kind}");
    let custom = format!("{schemas}/crds/{kind}");
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(file.path(), documents).unwrap();
    let output = Tool::named("PORTCULLIS_TEST_KUBECONFORM", "kubeconform").run(&[
        "-strict",
        "-summary",
        "-kubernetes-version",
        version,
        "-schema-location",
        &core,
        "-schema-location",
        &custom,
        file.path().to_str().unwrap(),
    ]);
    (output.status.success(), text(&output.stdout).to_owned())
}

#[test]
fn every_object_is_what_its_schema_says() {
    for version in VERSIONS {
        let of_version = || releases().iter().filter(|it| it.what.ends_with(version));
        let count: usize = of_version().map(|it| it.objects.len()).sum();
        let documents: Vec<_> = of_version().map(|it| it.text.as_str()).collect();
        let (is_good, said) = conforms(&documents.join("\n"), version);
        assert!(is_good, "{version}: {said}");
        let want = format!("Valid: {count}, Invalid: 0, Errors: 0, Skipped: 0");
        assert!(said.contains(&want), "{version}: {said}");
    }
}

#[test]
fn what_a_schema_does_not_know_is_seen() {
    let everything = &super::helm::release("everything").text;
    for (sound, wrong) in [
        ("revisionHistoryLimit: 5", "revisionHistoryLimits: 5"),
        ("revisionHistoryLimit: 5", "revisionHistoryLimit: five"),
        (
            "jobLabel: app.kubernetes.io/instance",
            "jobLabels: app.kubernetes.io/instance",
        ),
        ("renewBefore: 720h", "renewsBefore: 720h"),
        ("minReplicas: 2", "minReplica: 2"),
    ] {
        assert!(everything.contains(sound), "{sound}");
        let (is_good, said) = conforms(&everything.replace(sound, wrong), VERSIONS[1]);
        assert!(!is_good, "{wrong}: {said}");
    }
}
