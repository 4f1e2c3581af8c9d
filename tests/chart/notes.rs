//! What is said after an install.

use std::fs;
use std::process::Command;

use super::helm::{NAMESPACE, at_once, chart, helms, text, value_file, value_files};
use super::objects::Release;

/// A ConfigMap in place of NOTES.txt, which Helm renders only where there is a cluster.
const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: notes }
data: { notes: {{ include "portcullis.notes" . | toJson }} }
"#;

#[test]
fn the_notes_give_the_next_command_and_warn() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("portcullis");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(chart())
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());
    let said = fs::read_to_string(copy.join("templates/NOTES.txt")).unwrap();
    assert_eq!(said.trim(), r#"{{ include "portcullis.notes" . }}"#);
    fs::write(copy.join("templates/notes.yaml"), TEMPLATE).unwrap();
    let copy = copy.to_str().unwrap();

    for helm in helms() {
        at_once(value_files(), |file| {
            let values = value_file(&file);
            let arguments = [
                "template",
                "gate",
                copy,
                "--namespace",
                NAMESPACE,
                "--values",
                &values,
            ];
            let output =
                helm.run(&[&arguments[..], &["--show-only", "templates/notes.yaml"]].concat());
            assert!(output.status.success(), "{file}: {output:?}");
            let release = Release::parse(file.clone(), text(&output.stdout));
            let notes = release.objects[0]["data"]["notes"].as_str().unwrap();
            check(&file, notes);
        });
    }
}

fn check(file: &str, notes: &str) {
    let says = |words: &str| notes.contains(words);
    let is_one_of = |files: &[&str]| files.contains(&file);
    assert!(
        says("kubectl -n authorization rollout status deployment/gate"),
        "{notes}"
    );
    assert!(says("CheckFeature") && says(":9090/metrics"), "{notes}");
    assert_eq!(
        says("helm -n authorization test gate --logs"),
        file != "bare",
        "{notes}"
    );

    let has_tls = is_one_of(&["everything", "mtls", "jwt", "jwt-elsewhere", "cert-manager"]);
    assert_eq!(says("grpcurl -plaintext"), !has_tls, "{notes}");
    assert_eq!(
        says("-authority gate-portcullis.authorization.svc"),
        has_tls,
        "{notes}"
    );
    let has_tokens = has_tls && file != "mtls" || file == "jwt-mesh";
    assert_eq!(
        says(r#"-H "authorization: Bearer $(cat token)""#),
        has_tokens,
        "{notes}"
    );
    assert_eq!(
        says("-cert client.crt -key client.key"),
        file == "mtls",
        "{notes}"
    );

    assert_eq!(
        says("create token SERVICEACCOUNT --audience portcullis > token"),
        is_one_of(&["jwt", "everything", "cert-manager"]),
        "{notes}"
    );
    assert_eq!(
        says("its check is answered UNAUTHENTICATED"),
        is_one_of(&["jwt-elsewhere", "jwt-mesh"]),
        "{notes}"
    );
    assert_eq!(
        says("delete pod -l app.kubernetes.io/component=test,app.kubernetes.io/instance=gate"),
        file != "bare",
        "{notes}"
    );

    let is_open = !has_tls && file != "jwt-mesh";
    assert_eq!(
        says("WARNING: auth.mode is none. Whoever can connect may do everything"),
        is_open,
        "{notes}"
    );
    assert_eq!(
        says("networkPolicy.enabled is false too"),
        file == "bare",
        "{notes}"
    );
    assert_eq!(
        says("WARNING: auth.jwt.allowPlaintext is true"),
        file == "jwt-mesh",
        "{notes}"
    );
    assert_eq!(
        says("It serves from memory"),
        is_one_of(&["memory", "data-file", "jwt-elsewhere"]),
        "{notes}"
    );
}
