//! The *restricted* Pod Security standard, written out, and every pod held to it.

use k8s_openapi::api::core::v1::{Capabilities, Container, PodSpec, SecurityContext, Volume};

use super::helm::releases;

/// What a pod does that the standard does not allow.
fn violations(pod: &PodSpec) -> Vec<String> {
    let mut found = Vec::new();
    for (name, used) in [
        ("hostNetwork", pod.host_network),
        ("hostPID", pod.host_pid),
        ("hostIPC", pod.host_ipc),
    ] {
        if used == Some(true) {
            found.push(name.to_owned());
        }
    }
    for volume in pod.volumes.iter().flatten() {
        if !may_be_mounted(volume) {
            found.push(format!("volume {}", volume.name));
        }
    }
    let context = pod.security_context.clone().unwrap_or_default();
    if context.sysctls.is_some() {
        found.push("sysctls".to_owned());
    }
    if context.se_linux_options.is_some() || context.windows_options.is_some() {
        found.push("options of the pod".to_owned());
    }
    if context.run_as_user == Some(0) {
        found.push("runAsUser of the pod".to_owned());
    }
    assert!(pod.ephemeral_containers.is_none());
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    for container in containers {
        let own = container.security_context.clone().unwrap_or_default();
        if own.run_as_non_root.or(context.run_as_non_root) != Some(true) {
            found.push(format!("{}: runAsNonRoot", container.name));
        }
        let seccomp = own
            .seccomp_profile
            .clone()
            .or(context.seccomp_profile.clone());
        let seccomp = seccomp.map(|profile| profile.type_);
        if !matches!(seccomp.as_deref(), Some("RuntimeDefault" | "Localhost")) {
            found.push(format!("{}: seccompProfile", container.name));
        }
        let profile = own
            .app_armor_profile
            .clone()
            .or(context.app_armor_profile.clone());
        if profile.is_some_and(|profile| profile.type_ == "Unconfined") {
            found.push(format!("{}: appArmorProfile", container.name));
        }
        found.extend(of_container(container, &own));
    }
    found
}

fn may_be_mounted(volume: &Volume) -> bool {
    // Of its sources a volume has one. Those that are not named here are not allowed.
    volume.config_map.is_some()
        || volume.csi.is_some()
        || volume.downward_api.is_some()
        || volume.empty_dir.is_some()
        || volume.ephemeral.is_some()
        || volume.persistent_volume_claim.is_some()
        || volume.projected.is_some()
        || volume.secret.is_some()
}

fn of_container(container: &Container, own: &SecurityContext) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: &str| found.push(format!("{}: {what}", container.name));
    if own.privileged == Some(true) {
        say("privileged");
    }
    if own.allow_privilege_escalation != Some(false) {
        say("allowPrivilegeEscalation");
    }
    if own.run_as_user == Some(0) {
        say("runAsUser");
    }
    if own
        .proc_mount
        .as_deref()
        .is_some_and(|mount| mount != "Default")
    {
        say("procMount");
    }
    if own.se_linux_options.is_some() || own.windows_options.is_some() {
        say("options");
    }
    let Capabilities { add, drop } = own.capabilities.clone().unwrap_or_default();
    if !drop.iter().flatten().any(|it| it == "ALL") {
        say("capabilities.drop");
    }
    if add.iter().flatten().any(|it| it != "NET_BIND_SERVICE") {
        say("capabilities.add");
    }
    let ports = container.ports.iter().flatten();
    if ports.clone().any(|port| port.host_port.unwrap_or(0) != 0) {
        say("hostPort");
    }
    found
}

#[test]
fn every_pod_meets_the_restricted_standard() {
    for release in releases() {
        for pod in release.pods() {
            let found = violations(&pod.spec);
            assert!(
                found.is_empty(),
                "{} {}: {found:?}",
                release.what,
                pod.owner
            );
        }
    }
}

#[test]
fn no_pod_can_write_to_its_image_or_hides_a_token() {
    for release in releases() {
        for pod in release.pods() {
            let what = format!("{} {}", release.what, pod.owner);
            let context = pod.container().security_context.clone().unwrap();
            assert_eq!(context.read_only_root_filesystem, Some(true), "{what}");
            assert_eq!(
                pod.spec.automount_service_account_token,
                Some(false),
                "{what}"
            );
            assert_eq!(pod.spec.enable_service_links, Some(false), "{what}");
            let resources = pod.container().resources.clone().unwrap_or_default();
            let limits = resources.limits.unwrap_or_default();
            assert!(!limits.contains_key("cpu"), "{what}");
        }
    }
}

/// A change of a pod, and what it violates.
type Case = (fn(&mut PodSpec), &'static str);

#[test]
fn what_the_standard_forbids_is_seen() {
    let context = |pod: &mut PodSpec| pod.containers[0].security_context.clone().unwrap();
    let sound = super::helm::release("everything").server().spec;
    assert_eq!(violations(&sound), Vec::<String>::new());
    let cases: [Case; 9] = [
        (|pod| pod.host_network = Some(true), "hostNetwork"),
        (
            |pod| pod.security_context = None,
            "portcullis: runAsNonRoot",
        ),
        (
            |pod| pod.security_context = None,
            "portcullis: seccompProfile",
        ),
        (
            |pod| pod.containers[0].security_context = None,
            "portcullis: allowPrivilegeEscalation",
        ),
        (
            |pod| pod.containers[0].security_context = None,
            "portcullis: capabilities.drop",
        ),
        (
            |pod| {
                let own = pod.containers[0].security_context.as_mut().unwrap();
                own.capabilities.as_mut().unwrap().add = Some(vec!["SYS_TIME".to_owned()]);
            },
            "portcullis: capabilities.add",
        ),
        (
            |pod| {
                let own = pod.containers[0].security_context.as_mut().unwrap();
                own.run_as_user = Some(0);
            },
            "portcullis: runAsUser",
        ),
        (
            |pod| pod.containers[0].ports.as_mut().unwrap()[0].host_port = Some(80),
            "portcullis: hostPort",
        ),
        (
            |pod| {
                pod.volumes.as_mut().unwrap()[0] = Volume {
                    name: "node".to_owned(),
                    host_path: Some(k8s_openapi::api::core::v1::HostPathVolumeSource::default()),
                    ..Volume::default()
                };
            },
            "volume node",
        ),
    ];
    for (change, want) in cases {
        let mut pod = sound.clone();
        assert_eq!(context(&mut pod).privileged, None);
        change(&mut pod);
        let found = violations(&pod);
        assert!(found.iter().any(|it| it == want), "{want}: {found:?}");
    }
}
