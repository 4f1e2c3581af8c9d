//! The migration: it runs before everything else, so that it can lean on nothing of the release.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::helm::{release, releases};
use super::objects::{is_hook, title};

#[test]
fn a_database_is_migrated_before_each_install_and_upgrade() {
    for release in releases() {
        let jobs = release.all::<Job>();
        let memory = release.values["store"] == "memory";
        let off = release.values["migration"]["enabled"] == false;
        assert_eq!(jobs.is_empty(), memory || off, "{}", release.what);
        for job in jobs {
            let annotations = job.metadata.annotations.unwrap();
            assert_eq!(annotations["helm.sh/hook"], "pre-install,pre-upgrade");
            // One that is there already would be in the way of the next: a Job cannot be changed.
            let policy = &annotations["helm.sh/hook-delete-policy"];
            assert_eq!(policy, "before-hook-creation,hook-succeeded");
            let spec = job.spec.unwrap();
            let deadline = spec.active_deadline_seconds.unwrap();
            assert!(spec.backoff_limit.is_some() && spec.ttl_seconds_after_finished.is_some());
            // Helm waits for five minutes, unless it is told otherwise.
            assert!(deadline < 300, "{}: {deadline} s", release.what);
            let pod = spec.template.spec.unwrap();
            assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
            let args = pod.containers[0].args.as_ref().unwrap();
            assert_eq!(args[0], "migrate");
            let time = args
                .iter()
                .find_map(|it| it.strip_prefix("--migrate-timeout="))
                .unwrap();
            let time = humantime::parse_duration(time).unwrap().as_secs();
            assert!(deadline > time.try_into().unwrap(), "{}", release.what);
        }
    }
}

#[test]
fn the_migration_depends_on_nothing_that_the_release_makes() {
    for release in releases() {
        let made: Vec<_> = release
            .objects
            .iter()
            .filter(|it| !is_hook(it))
            .map(title)
            .collect();
        for pod in release.pods() {
            if !pod.owner.starts_with("Job/") {
                continue;
            }
            assert_eq!(pod.spec.service_account_name, None, "{}", release.what);
            for volume in pod.spec.volumes.iter().flatten() {
                assert!(volume.projected.is_none(), "{}", release.what);
                let secret = volume
                    .secret
                    .iter()
                    .map(|it| ("Secret", it.secret_name.clone().unwrap()));
                let map = volume
                    .config_map
                    .iter()
                    .map(|it| ("ConfigMap", it.name.clone()));
                for (kind, name) in secret.chain(map) {
                    assert!(
                        !made.contains(&format!("{kind}/{name}")),
                        "{} {name}",
                        release.what
                    );
                }
            }
            for env in pod.container().env.iter().flatten() {
                assert!(env.value_from.is_none(), "{}", release.what);
            }
        }
    }
}

#[test]
fn the_migrator_has_a_secret_of_its_own_or_the_servers() {
    for (file, want) in [
        ("defaults", ("portcullis-database", "url")),
        ("external-secret", ("portcullis-migrator", "dsn")),
        ("everything", ("portcullis-migrator", "migrator-dsn")),
    ] {
        let pods = release(file).pods();
        let job = pods
            .iter()
            .find(|pod| pod.owner.starts_with("Job/"))
            .unwrap();
        let volume = job.spec.volumes.as_ref().unwrap();
        let secret = volume.iter().find_map(|it| it.secret.as_ref()).unwrap();
        let item = &secret.items.as_ref().unwrap()[0];
        let name = secret.secret_name.as_deref().unwrap();
        assert_eq!((name, item.key.as_str()), want, "{file}");
        assert_eq!(item.path, "url");
    }
}

#[test]
fn where_what_goes_out_is_restricted_the_migration_is_let_out_in_time() {
    let release = release("everything");
    let hooks: Vec<_> = release
        .of_kind("NetworkPolicy")
        .filter(|it| is_hook(it))
        .collect();
    assert_eq!(hooks.len(), 1);
    let weight = |object: &serde_json::Value| -> i32 {
        let weight = &object["metadata"]["annotations"]["helm.sh/hook-weight"];
        weight.as_str().unwrap().parse().unwrap()
    };
    let job = release.of_kind("Job").next().unwrap();
    assert!(weight(hooks[0]) < weight(job));
    let ports = |policy: &NetworkPolicy| {
        let egress = policy.spec.as_ref().unwrap().egress.clone().unwrap();
        let ports = egress
            .into_iter()
            .flat_map(|rule| rule.ports.unwrap_or_default());
        ports
            .map(|port| serde_json::to_value(port.port).unwrap())
            .collect::<Vec<_>>()
    };
    for policy in release.all::<NetworkPolicy>() {
        let ports = ports(&policy);
        for port in [53, 5432, 6432] {
            assert!(ports.contains(&port.into()), "{ports:?}");
        }
    }
}
