//! The program itself, started with what the chart passes to it: the arguments, and the files that are mounted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Volume};

use super::helm::{release, value_files};
use super::objects::{PodOf, Release};
use super::support::authority::{Authority, Identity, Name};
use super::support::process::Process;
use super::support::{empty_database, probe};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

/// What is in Secrets and ConfigMaps that are not the release's.
struct Given {
    authority: Authority,
    server: Identity,
    client: Identity,
    database: String,
}

impl Given {
    fn new(database: &str) -> Self {
        let authority = Authority::new("chart");
        let server = authority.server(&["localhost"]);
        let client = authority.client(&[Name::Uri("spiffe://portal.example/ns/web/sa/api")]);
        Self {
            authority,
            server,
            client,
            database: database.to_owned(),
        }
    }

    /// What a file of that name holds, in a volume of that name.
    fn file(&self, volume: &str, name: &str) -> String {
        let identity = if volume == "client" {
            &self.client
        } else {
            &self.server
        };
        match name {
            "url" => self.database.clone(),
            "tls.crt" => identity.cert.clone(),
            "tls.key" => identity.key.clone(),
            "ca.crt" => self.authority.pem().to_owned(),
            "jwks.json" => KEYS.clone(),
            "callers.yaml" => "callers:\n  - { id: somebody, roles: [check] }\n".to_owned(),
            "matrix.yaml" => MATRIX.to_owned(),
            "data.yaml" => DATA.to_owned(),
            "token" => "a.b.c".to_owned(),
            other => panic!("what is in `{other}`?"),
        }
    }
}

const MATRIX: &str = include_str!("../../src/domain/matrix.yaml");

const DATA: &str = include_str!("../../demo/demo.yaml");

/// A JWK Set with one key.
static KEYS: LazyLock<String> = LazyLock::new(|| {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7_u8; 32]);
    format!(
        r#"{{"keys": [{{"kty": "OKP", "crv": "Ed25519", "kid": "1", "alg": "EdDSA", "x": "{key}"}}]}}"#
    )
});

/// Writes what a volume holds into a folder.
fn lay(volume: &Volume, release: &Release, given: &Given, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let write = |path: &str, text: &str| fs::write(folder.join(path), text).unwrap();
    let of_map = |name: &str, items: &[KeyToPath]| {
        let maps = release.all::<ConfigMap>();
        let own = maps
            .into_iter()
            .find(|map| map.metadata.name.as_deref() == Some(name));
        for item in items {
            match &own {
                Some(map) => write(&item.path, &map.data.as_ref().unwrap()[&item.key]),
                None => write(&item.path, &given.file(&volume.name, &item.path)),
            }
        }
    };
    if let Some(secret) = &volume.secret {
        for item in secret.items.iter().flatten() {
            write(&item.path, &given.file(&volume.name, &item.path));
        }
    }
    if let Some(map) = &volume.config_map {
        of_map(&map.name, map.items.as_deref().unwrap());
    }
    for source in volume
        .projected
        .iter()
        .flat_map(|it| it.sources.iter().flatten())
    {
        if let Some(token) = &source.service_account_token {
            write(&token.path, &given.file(&volume.name, "token"));
        }
        if let Some(map) = &source.config_map {
            of_map(&map.name, map.items.as_deref().unwrap());
        }
    }
}

/// The arguments of a pod, with each path that is mounted replaced by that of a folder with the same files.
fn arguments(pod: &PodOf, release: &Release, given: &Given, root: &Path) -> Vec<String> {
    let mut places = Vec::new();
    for volume in pod.spec.volumes.iter().flatten() {
        let folder = root.join(&volume.name);
        lay(volume, release, given, &folder);
        let mounts = pod.container().volume_mounts.iter().flatten();
        for mount in mounts.filter(|mount| mount.name == volume.name) {
            let place = format!("={}/", folder.display());
            places.push((format!("={}/", mount.mount_path), place));
        }
    }
    let placed = |arg: &String| {
        let place = places.iter().find(|(from, _)| arg.contains(from));
        let arg = place.map_or_else(|| arg.clone(), |(from, to)| arg.replace(from, to));
        let is_left = arg.contains("=/etc/") || arg.contains("=/var/");
        assert!(!is_left, "{}: `{arg}` is mounted nowhere", release.what);
        arg
    };
    pod.args().iter().map(placed).collect()
}

fn run(args: &[String]) {
    let output = Command::new(PROGRAM)
        .args(args)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn folder_of(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// The migration, and then the server until it is ready, with what a release passes to them.
async fn starts(file: &str) {
    let release = release(file);
    let root = tempfile::tempdir().unwrap();
    let database = empty_database(&format!("chart_{}", file.replace('-', "_")));
    let given = Given::new(database.url());

    let pods = release.pods();
    match pods.iter().find(|pod| pod.owner.starts_with("Job/")) {
        Some(job) => run(&arguments(
            job,
            release,
            &given,
            &folder_of(root.path(), "job"),
        )),
        None => run(&[
            "migrate".to_owned(),
            format!("--database-url={}", database.url()),
        ]),
    }

    let server = release.server();
    let args = arguments(&server, release, &given, &folder_of(root.path(), "server"));
    assert_eq!(args[0], "serve");
    // The ports of a pod are its own; here they are whichever are free.
    let flags: Vec<_> = args[1..]
        .iter()
        .filter(|arg| !arg.contains("listen="))
        .map(String::as_str)
        .collect();
    assert_eq!(args.len(), flags.len() + 3, "{args:?}");
    let env = server.container().env.iter().flatten();
    let env: Vec<_> = env
        .filter_map(|env| Some((env.name.as_str(), env.value.as_deref()?)))
        .collect();
    let process = Process::start(&flags, &env, root.path());
    probe::until_ready(process.http).await;
    let log = process.log();
    assert!(!log.contains("unknown"), "{file}: {log}");
    if let Some(test) = pods.iter().find(|pod| pod.owner.starts_with("Pod/")) {
        let args = arguments(test, release, &given, &folder_of(root.path(), "test"));
        asks(file, args, process.grpc.port());
    }
}

/// What `helm test` does, and what it is told.
fn asks(file: &str, mut args: Vec<String>, port: u16) {
    let endpoint = &mut args[1];
    let (scheme, _) = endpoint.split_once("://").unwrap();
    *endpoint = format!("{scheme}://localhost:{port}");
    let output = Command::new(PROGRAM)
        .args(&args)
        .env_clear()
        .output()
        .unwrap();
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let (code, want) = match file {
        "memory" | "data-file" => (0, "check   allow  northwind-games"),
        // Its authority is one of the image's, and here there is none.
        "jwt-elsewhere" => (2, "no TLS"),
        // What is in place of a token is none.
        "jwt" | "everything" | "cert-manager" => (2, "UNAUTHENTICATED"),
        // Without TLS no token is sent.
        "jwt-mesh" => (0, "check   UNAUTHENTICATED"),
        _ => (0, "check   NOT_FOUND"),
    };
    assert_eq!(output.status.code(), Some(code), "{file}: {said}");
    assert!(said.contains(want), "{file}: {said}");
    assert!(
        code != 0 || said.contains("health  SERVING"),
        "{file}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_accepts_what_the_chart_passes_to_it() {
    let mut running = tokio::task::JoinSet::new();
    for file in value_files() {
        running.spawn(async move { starts(&file).await });
        if running.len() == 3 {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// So that the test above means something.
#[test]
fn the_program_refuses_what_the_chart_does_not_pass() {
    let release = release("memory");
    let server = release.server();
    let mut args = server.args().to_vec();
    args.retain(|arg| arg != "--allow-anonymous");
    let output = Command::new(PROGRAM)
        .args(&args)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("--allow-anonymous"),
        "{said}"
    );
}
