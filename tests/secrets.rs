//! The password of the database is in nothing that the program says: not in its log at its most
//! talkative, nor in an error, a probe's answer, its help or what it says of a wrong setting.

#![cfg(test)]

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::task::block_in_place;
use tonic::{Code, Status};

use support::policies::{policies, update};
use support::process::Process;
use support::replicas::FEATURE;
use support::requests::{batch, catalog, check, list, stored};
use support::secrets::Listener;
use support::{Authentication, Cluster, Options, probe, within};

const PASSWORD: &str = "Kq5#vN8/wz@R2%tY";
const ENCODED: &str = "Kq5%23vN8%2Fwz%40R2%25tY";
const WRONG: &str = "mJ4$hX7bQ9!cL3gD";
/// One that needs no encoding, so that it stays whole wherever it is put.
const PLAIN: &str = "pW6sZ1nHk8yFd0uV";

/// What a command says, with these variables.
fn said(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env_clear();
    let output = command
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), said)
}

/// Connection strings with the password in them, malformed in every way that comes to mind.
fn malformed() -> Vec<String> {
    let mut urls: Vec<String> = [
        "{}",
        " {} ",
        "{}@host",
        "postgres:{}",
        "postgres:/{}",
        "postgres//u:{}@host/db",
        "postgress://u:{}@host/db",
        "http://u:{}@host/db",
        "postgres://u:{}@host:port/db",
        "postgres://u:{}@host:99999/db",
        "postgres://u:{}@[::1/db",
        "postgres://u:{}@",
        "postgres://u:{}",
        "postgres://{}/db?x",
        "postgres://u:a@b:{}@host/db",
        "postgres://u:{}%@host/db",
        "postgres://u:{}%zz@host/db",
        "postgres://u:{}%ff@host/db",
        "postgres://u:{}@host/db?sslmode={}",
        "postgres://u:{}@host/db?{}=x",
        "postgres://u:p@host/db?password={}&nonsense=1",
        "postgres://u:p@host/db?sslpassword={}",
        "postgres://u:p@host/db?hostaddr={}",
        "postgres://u:p@host/db?port={}",
        "postgres://u:p@host/db?sslmode=verify-ca&sslrootcert=/none/{}",
        "postgres://u:p@host/db#{}",
        "host=h password={} {}",
        "host=h password='{}",
        "host=h password='{}'{}",
        "host=h password={}\\",
        "host=h pasword={}",
        "host=h port={}",
        "password={}",
        "user=u password={}",
        "host=h\npassword = {}\nnonsense",
        "'postgres://u:{}@host/db'",
        "\"postgres://u:{}@host/db\"",
        "DATABASE_URL=postgres://u:{}@host/db",
        "psql postgres://u:{}@host/db",
        "jdbc:postgresql://host/db?user=u&password={}",
    ]
    .map(|shape| shape.replace("{}", PLAIN))
    .to_vec();
    urls.push(format!("postgres://u:{PASSWORD}@host/db"));
    urls
}

#[test]
fn a_malformed_connection_string_is_refused_without_its_password() {
    let mut listener = Listener::of(&[PASSWORD, PLAIN]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let urls = malformed();
    for (index, url) in urls.iter().enumerate() {
        std::fs::write(&file, url).unwrap();
        let by_flag = format!("--database-url={url}");
        let by_file = format!("--database-url-file={}", file.display());
        let variable = [("PORTCULLIS_DATABASE_URL", url.as_str())];
        // Each in one of the ways in which it may be given.
        let (arguments, variables) = match index % 3 {
            0 => (vec!["migrate", &by_flag], &[][..]),
            1 => (vec!["migrate", &by_file], &[][..]),
            _ => (vec!["migrate"], &variable[..]),
        };
        let (code, said) = said(&arguments, variables);
        assert_eq!(code, Some(2), "{url}: {}", String::from_utf8_lossy(&said));
        listener.hear(url, said);
    }
    println!(
        "{} malformed connection strings, {} bytes said",
        urls.len(),
        listener.finish()
    );
}

#[test]
fn a_password_in_the_wrong_setting_is_not_repeated() {
    let mut listener = Listener::of(&[PLAIN]);
    let url = format!("postgres://u:{PLAIN}@host/db");
    for flag in [
        "--data",
        "--matrix",
        "--listen",
        "--pool-size",
        "--stale-after",
        "--nonsense",
    ] {
        listener.hear(flag, said(&["serve", &format!("{flag}={url}")], &[]).1);
    }
    for command in [
        "serve",
        "migrate",
        "import",
        "export",
        "matrix",
        "healthcheck",
        "check",
        "nonsense",
    ] {
        // Help would tell a variable's value, unless it is told not to.
        let secret = [
            ("PORTCULLIS_DATABASE_URL", url.as_str()),
            ("PORTCULLIS_DATABSE_URL", &url),
        ];
        listener.hear(command, said(&[command, "--help"], &secret).1);
        listener.hear(command, said(&[command, &url, &url, &url], &secret).1);
    }
    println!("wrong settings and help: {} bytes said", listener.finish());
}

/// Listens to what one call is told where it fails.
fn hear_error<T>(listener: &mut Listener, what: &str, answer: Result<T, Status>) -> Code {
    match answer {
        Ok(_) => Code::Ok,
        Err(status) => {
            listener.hear(what, format!("{status:?} {}", status.message()));
            listener.hear(what, status.details());
            status.code()
        }
    }
}

/// One call of each kind, and the probes; how the first ended.
async fn ask_everything(listener: &mut Listener, when: &str, process: &Process) -> Code {
    let mut client = process.client().await;
    let first = client.check_feature(check("cold-1", FEATURE)).await;
    let first = hear_error(listener, when, first);
    let answer = client
        .batch_check_features(batch([("cold-2", FEATURE)]))
        .await;
    hear_error(listener, when, answer);
    hear_error(listener, when, client.list_features(list("cold-3")).await);
    hear_error(
        listener,
        when,
        client.filter_catalog(catalog("cold-4")).await,
    );
    let page = portcullis::proto::v1::StoredCatalog {
        page_token: "nonsense".to_owned(),
        ..Default::default()
    };
    hear_error(
        listener,
        when,
        client.filter_catalog(stored("cold-5", page)).await,
    );
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", process.grpc));
    let mut policies = policies(channel.unwrap().connect().await.unwrap());
    let on = portcullis::proto::v1::Setting::On;
    let answer = policies
        .update_partner_policy(update("partner-0", [(FEATURE, on)]))
        .await;
    hear_error(listener, when, answer);
    for path in ["/readyz", "/livez", "/metrics", "/nonsense"] {
        let (_, head, body) = probe::ask(process.http, "GET", path).await;
        listener.hear(when, head);
        listener.hear(when, body);
    }
    first
}

async fn until_logged(process: &Process, message: &str) {
    let logged = async {
        while !process.log().contains(message) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(message, logged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_at_its_most_talkative_tells_no_password() {
    let cluster = Cluster::start_with(&Options {
        authentication: Authentication::Password,
        ..Options::default()
    });
    let database = cluster.database("secrets");
    database.sql(&format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'"));
    let at = |password: &str| {
        let (port, name) = (cluster.port(), database.name());
        format!("postgres://postgres:{password}@127.0.0.1:{port}/{name}")
    };
    let (right, wrong) = (at(ENCODED), at(WRONG));
    let migrated = block_in_place(|| said(&["migrate"], &[("PORTCULLIS_DATABASE_URL", &right)]));
    assert_eq!(
        migrated.0,
        Some(0),
        "{}",
        String::from_utf8_lossy(&migrated.1)
    );
    let mut listener = Listener::of(&[PASSWORD, WRONG]);
    listener.hear("migrate", migrated.1);
    let talkative = ["--log=trace", "--store-timeout=2s"];
    let variables = [("RUST_BACKTRACE", "full")];
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];

    let process = Process::serve_at(&wrong, &talkative, &variables, folders[0].path());
    let refused = async {
        while !probe::ask(process.http, "GET", "/readyz")
            .await
            .2
            .contains("password")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the refusal", refused).await;
    let code = ask_everything(&mut listener, "a wrong password", &process).await;
    assert_eq!(code, Code::Unavailable);
    listener.hear("the log with a wrong password", process.log());
    for command in ["migrate", "export"] {
        let (code, said) =
            block_in_place(|| said(&[command], &[("PORTCULLIS_DATABASE_URL", &wrong)]));
        assert_eq!(code, Some(2));
        listener.hear(command, said);
    }
    drop(process);

    let process = Process::serve_at(&right, &talkative, &variables, folders[1].path());
    probe::until_ready(process.http).await;
    let code = ask_everything(&mut listener, "in health", &process).await;
    assert_eq!(code, Code::NotFound);
    block_in_place(|| cluster.stop());
    let code = ask_everything(&mut listener, "in an outage", &process).await;
    assert_eq!(code, Code::NotFound, "it was cached before");
    until_logged(&process, "cannot follow the store's changes").await;
    block_in_place(|| cluster.start_again());
    until_logged(&process, "the store answers again").await;
    ask_everything(&mut listener, "after its return", &process).await;
    let log = process.log();
    assert!(log.contains("TRACE"), "{log}");
    listener.hear("the log", log);
    println!(
        "a talkative server and its errors: {} bytes said",
        listener.finish()
    );
}
