//! The program as a person runs it: the real binary, in an environment of its own.

#![cfg(test)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use portcullis::domain::FeatureMatrix;
use support::server::{Server, config, memory};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");
const COMMANDS: [&str; 9] = [
    "serve",
    "migrate",
    "import",
    "export",
    "check",
    "features",
    "catalog",
    "matrix",
    "healthcheck",
];

/// What a run printed, and its exit code.
#[derive(Debug)]
struct Run {
    out: String,
    err: String,
    code: i32,
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let output = command(arguments, variables).output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// The same while this thread's runtime has a server to run.
async fn ask(server: &Server, line: &str) -> Run {
    let line = format!("{line} --endpoint {}", server.grpc);
    let ask = move || run(&line.split(' ').collect::<Vec<_>>(), &[]);
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[test]
fn help_lists_every_command_and_every_flags_variable() {
    let help = run(&["--help"], &[]);
    assert_eq!(help.code, 0);
    for name in COMMANDS {
        assert!(help.out.contains(&format!("\n  {name} ")), "{name}");
        let own = run(&[name, "--help"], &[]);
        assert_eq!((own.code, own.err.as_str()), (0, ""), "{name}");
        let flags = own.out.lines().filter_map(|line| {
            let flag = line.strip_prefix("      --")?;
            Some(flag.split([' ', '[', ',']).next()?.to_owned())
        });
        let unwrapped = own.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut count = 0;
        for flag in flags.filter(|flag| flag != "help") {
            let variable = flag.replace('-', "_").to_ascii_uppercase();
            let shown = format!("[env: PORTCULLIS_{variable}]");
            assert!(unwrapped.contains(&shown), "{name}: {shown}");
            count += 1;
        }
        assert!(count > 0, "{name}");
    }
    for words in ["Examples:", "Exit codes:", "PORTCULLIS_MAX_STALE"] {
        assert!(help.out.contains(words), "{words}");
    }
}

#[test]
fn the_program_alone_prints_its_help() {
    let alone = run(&[], &[]);
    assert_eq!((alone.code, alone.err.as_str()), (2, ""));
    assert!(alone.out.contains("Commands:"), "{}", alone.out);
    let version = run(&["--version"], &[]);
    let want = format!("portcullis {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.out), (0, want));
}

#[test]
fn a_wrong_command_line_is_told_in_one_line() {
    for (line, want) in [
        (
            "frobnicate",
            "there is no command `frobnicate` (see `portcullis --help`)",
        ),
        (
            "chek acme",
            "there is no command `chek`; did you mean `check`? (see `portcullis --help`)",
        ),
        (
            "serve --lisen 1",
            "unexpected argument `--lisen`; did you mean `--listen`? (see `portcullis serve --help`)",
        ),
        (
            "serve now",
            "unexpected argument `now` (see `portcullis serve --help`)",
        ),
        (
            "check acme",
            "missing: `FEATURE` (see `portcullis check --help`)",
        ),
        ("import", "missing: `FILE` (see `portcullis import --help`)"),
        (
            "serve --log off --log off",
            "`--log` is given more than once (see `portcullis serve --help`)",
        ),
        (
            "serve --pool-size",
            "`--pool-size` is empty: a value is needed",
        ),
    ] {
        let run = run(&line.split(' ').collect::<Vec<_>>(), &[]);
        assert_eq!((run.code, run.err), (2, format!("error: {want}\n")));
        assert_eq!(run.out, "");
    }
}

/// One wrong value of each kind of setting, as a flag and as a variable.
#[test]
fn a_wrong_value_is_told_with_its_flag_or_variable_and_what_is_accepted() {
    let time = "a time with its unit is accepted, from `1ms` to `24h`: `5s`, `300ms`, `5m`";
    let address =
        "an IP address with a port is accepted: `127.0.0.1:50051`, `0.0.0.0:50051`, `[::]:50051`";
    let switch = "`true` or `false` is accepted";
    for (command, flag, value, accepted) in [
        ("serve", "stale-after", "5", time),
        ("serve", "max-stale", "0s", time),
        ("serve", "store-timeout", "200 parsecs", time),
        ("serve", "request-timeout", "-1s", time),
        (
            "serve",
            "shutdown-grace",
            "20",
            "a time with its unit is accepted, from `0s` to `24h`: `20s`, `300ms`, `5m`",
        ),
        ("serve", "listen", "localhost:50051", address),
        ("serve", "http-listen", ":9090", address),
        ("healthcheck", "http-listen", "9090", address),
        (
            "serve",
            "pool-size",
            "0",
            "a whole number from `1` to `1000` is accepted",
        ),
        (
            "serve",
            "max-cached-accounts",
            "1e6",
            "a whole number from `1` to `1000000000` is accepted",
        ),
        ("serve", "reflection", "yes", switch),
        ("serve", "allow-anonymous", "1", switch),
        ("serve", "log-format", "xml", "`text` or `json` is accepted"),
        (
            "serve",
            "log",
            "inof",
            "a level (`off`, `error`, `warn`, `info`, `debug`, `trace`) is",
        ),
        ("export", "format", "xml", "`yaml` or `json` is accepted"),
        ("matrix", "format", "json", "`yaml` or `table` is accepted"),
        ("check a b", "json", "on", switch),
        (
            "check a b",
            "at-least-revision",
            "latest",
            "a revision is accepted, a whole number such as `42`",
        ),
        (
            "check a b",
            "endpoint",
            "portal",
            "`host:port` or `http://host:port` is accepted, such as `127.0.0.1:50051`",
        ),
        (
            "features a",
            "endpoint",
            "https://portal:443",
            "TLS is not offered yet, it comes with the authentication of callers",
        ),
        (
            "catalog a",
            "page-size",
            "10001",
            "a whole number from `1` to `10000` is accepted",
        ),
    ] {
        let words: Vec<_> = command.split(' ').collect();
        let variable = format!("PORTCULLIS_{}", flag.replace('-', "_").to_ascii_uppercase());
        let given = format!("--{flag}={value}");
        let by_flag = run(&[&words[..], &[&given]].concat(), &[]);
        let by_variable = run(&words, &[(&variable, value)]);
        for (run, name) in [
            (by_flag, format!("--{flag}")),
            (by_variable, variable.clone()),
        ] {
            let want = format!("error: `{name}` is `{value}`: {accepted}");
            assert!(run.err.starts_with(&want), "{want}\n{}", run.err);
            assert_eq!((run.code, run.err.lines().count()), (2, 1), "{}", run.err);
        }
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let url = "postgres://localhost/portcullis";
    for (line, variables, want) in [
        (
            "serve --max-stale 1s",
            &[][..],
            "`--stale-after` is `5s`, more than `--max-stale` (`1s`)",
        ),
        (
            "serve",
            &[("PORTCULLIS_POLL_INTERVAL", "6s")],
            "`PORTCULLIS_POLL_INTERVAL` is `6s`, more than `--stale-after` (`5s`)",
        ),
        (
            "serve --data demo.yaml",
            &[("PORTCULLIS_DATABASE_URL", url)],
            "`--data` and `PORTCULLIS_DATABASE_URL` exclude each other",
        ),
        (
            "serve --data demo.yaml --database-url-file url",
            &[],
            "`--data` and `--database-url-file` exclude each other",
        ),
        (
            "migrate --database-url-file url",
            &[("PORTCULLIS_DATABASE_URL", url)],
            "`PORTCULLIS_DATABASE_URL` and `--database-url-file` exclude each other",
        ),
        (
            "check a b --at-least-revision 3 --fully-consistent",
            &[],
            "`--at-least-revision` and `--fully-consistent` exclude each other",
        ),
        (
            "serve --listen 127.0.0.1:9090",
            &[],
            "`--listen` and `--http-listen` are both `127.0.0.1:9090`",
        ),
        (
            "serve --listen [::]:50051",
            &[],
            "`--listen` is `[::]:50051`, which other machines may reach, and callers are not authenticated yet",
        ),
        (
            "serve",
            &[("PORTCULLIS_LISTEN", "10.0.0.1:50051")],
            "`PORTCULLIS_LISTEN` is `10.0.0.1:50051`, which other machines may reach",
        ),
        (
            "migrate",
            &[],
            "no database is configured: give `--database-url`",
        ),
        ("import data.yaml", &[], "no database is configured"),
        ("export", &[], "no database is configured"),
        (
            "export",
            &[("PORTCULLIS_DATABASE_URL", "")],
            "`PORTCULLIS_DATABASE_URL` is empty",
        ),
        (
            "healthcheck --http-listen 127.0.0.1:0",
            &[],
            "`--http-listen` is `127.0.0.1:0`: the port",
        ),
    ] {
        let run = run(&line.split(' ').collect::<Vec<_>>(), variables);
        assert!(
            run.err.starts_with(&format!("error: {want}")),
            "{line}: {}",
            run.err
        );
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{line}");
    }
}

#[test]
fn a_secret_is_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "postgres//portcullis:hunter2@[db/portcullis\n").unwrap();
    let file = file.to_str().unwrap();
    let malformed = "postgres://portcullis:hunter2@[db:x/portcullis";
    let url = "postgres://portcullis:hunter2@db/portcullis?sslmode=hunter2";
    let mut runs = Vec::new();
    for command in ["serve", "migrate", "export"] {
        for url in [malformed, url, "hunter2"] {
            runs.push(run(&[command, "--database-url", url], &[]));
            runs.push(run(&[command], &[("PORTCULLIS_DATABASE_URL", url)]));
        }
        runs.push(run(&[command, "--database-url-file", file], &[]));
        // In the wrong place.
        runs.push(run(&[command, "--database-url-file", url], &[]));
        runs.push(run(&[command], &[("PORTCULLIS_DATABASE_URL_FILE", url)]));
        runs.push(run(&[command, url], &[]));
        runs.push(run(&[command, "--databse-url", url], &[]));
    }
    runs.push(run(&["serve", "--data", url], &[]));
    runs.push(run(
        &["matrix", "--matrix", url],
        &[("PORTCULLIS_DATABSE_URL", url)],
    ));
    runs.push(run(&["check", "a", "b", "--endpoint", url], &[]));
    for run in runs {
        let text = format!("{}{}", run.out, run.err);
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(run.code, 2, "{text}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_with_the_nearest_setting() {
    let variables = [
        ("PORTCULLIS_MAX_STAL", "5m"),
        ("PORTCULLIS_MAX_STALE", "5m"),
        ("HOME", "/"),
    ];
    let run = run(&["matrix"], &variables);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.err,
        "warning: the variable `PORTCULLIS_MAX_STAL` is no setting and is ignored; the nearest \
         setting is `PORTCULLIS_MAX_STALE`\n"
    );
}

#[test]
fn the_matrix_is_printed_and_is_read_again() {
    let printed = run(&["matrix"], &[]);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.yaml");
    std::fs::write(&file, &printed.out).unwrap();
    let file = file.to_str().unwrap();
    let again = run(&["matrix"], &[("PORTCULLIS_MATRIX", file)]);
    assert_eq!((again.code, again.out), (0, printed.out));
    let table = run(&["matrix", "--format", "table"], &[]);
    assert!(table.out.contains("\npricing.view"), "{}", table.out);
}

#[test]
fn a_matrix_error_names_file_line_feature_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.yaml");
    let wrong = FeatureMatrix::BUILT_IN.replacen("direct: allow", "direct: maybe", 1);
    std::fs::write(&file, wrong).unwrap();
    let file = file.to_str().unwrap();
    for command in ["matrix", "serve"] {
        let run = run(&[command, "--matrix", file], &[]);
        assert_eq!((run.code, run.out.as_str()), (2, ""));
        assert!(
            run.err.starts_with(&format!("error: {file}: line ")),
            "{}",
            run.err
        );
        for part in [
            "feature `billing_markets.view`",
            "`direct`",
            "`maybe`",
            "`allow` or `deny`",
        ] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
    }
    let missing = run(&["matrix", "--matrix", "/no/such/file"], &[]);
    assert_eq!(
        missing.err,
        "error: cannot read `/no/such/file` (`--matrix`): no such file or directory\n"
    );
}

#[test]
fn nobody_at_the_other_end_is_an_error_with_advice() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    for (line, part) in [
        (
            "healthcheck --http-listen",
            "`--http-listen` or `PORTCULLIS_HTTP_LISTEN`",
        ),
        (
            "check acme pricing.view --endpoint",
            "`--endpoint` or `PORTCULLIS_ENDPOINT`",
        ),
    ] {
        let line = format!("{line} {address}");
        let run = run(&line.split(' ').collect::<Vec<_>>(), &[]);
        assert_eq!((run.code, run.out.as_str()), (2, ""));
        for part in [part, &address, "connection refused"] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
    }
}

#[tokio::test]
async fn check_prints_the_decision_and_exits_by_it() {
    let server = Server::demo().await;
    for (line, code, out) in [
        (
            "check northwind-games pricing.view",
            0,
            "allow  northwind-games  pricing.view  PARTNER_SETTING  (revision 1)\n",
        ),
        (
            "check northwind-retail pricing.view --fully-consistent",
            1,
            "deny  northwind-retail  pricing.view  ACCOUNT_SETTING  (revision 1)\n",
        ),
    ] {
        let run = ask(&server, line).await;
        assert_eq!(
            (run.code, run.out.as_str(), run.err.as_str()),
            (code, out, "")
        );
    }
    for (line, want) in [
        ("check nobody pricing.view", "NOT_FOUND (ACCOUNT_UNKNOWN): "),
        (
            "check acme prices.see",
            "INVALID_ARGUMENT (FEATURE_UNKNOWN): ",
        ),
        (
            "check a/b pricing.view",
            "INVALID_ARGUMENT (INVALID_REQUEST): `account_id` ",
        ),
        (
            "check acme pricing.view --at-least-revision 9",
            "FAILED_PRECONDITION (REVISION_UNKNOWN): ",
        ),
    ] {
        let run = ask(&server, line).await;
        let want = format!("error: `{}` answered {want}", server.grpc);
        assert!(run.err.starts_with(&want), "{}", run.err);
        assert_eq!(
            (run.code, run.err.lines().count(), run.out.as_str()),
            (2, 1, "")
        );
    }
}

#[tokio::test]
async fn json_is_the_answer_by_the_names_of_the_api() {
    let server = Server::demo().await;
    let check = ask(&server, "check northwind-retail pricing.view --json").await;
    assert_eq!(check.code, 1);
    let want = serde_json::json!({
        "effect": "EFFECT_DENY", "reason": "REASON_ACCOUNT_SETTING", "revision": "1", "stale": false,
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&check.out).unwrap(),
        want
    );

    let paged = ask(&server, "catalog northwind-games --json --page-size 2").await;
    let whole = ask(&server, "catalog northwind-games --json").await;
    let catalog: serde_json::Value = serde_json::from_str(&paged.out).unwrap();
    assert_eq!(paged.out, whole.out);
    assert_eq!(catalog["locations"].as_array().unwrap().len(), 13);
    assert_eq!(catalog["hiddenCount"], 130);
    assert_eq!(catalog["pricesRedacted"], false);
    assert_eq!(catalog["nextPageToken"], "");
}

#[tokio::test]
async fn features_lists_the_account_and_every_decision() {
    let server = Server::demo().await;
    let run = ask(&server, "features northwind-retail").await;
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for line in [
        "kind             managed",
        "partner          northwind",
        "support          partner",
        "billing account  northwind",
        "pricing.view                       deny    ACCOUNT_SETTING",
    ] {
        assert!(
            run.out.lines().any(|found| found == line),
            "{line}\n{}",
            run.out
        );
    }
}

#[tokio::test]
async fn catalog_prints_what_the_account_may_see() {
    let server = Server::demo().await;
    for (line, parts) in [
        (
            "catalog northwind-games --metros Silverwater",
            &[
                "monthly",
                "1200 AUD",
                "1 location visible, 0 hidden, prices shown (revision 1)",
            ][..],
        ),
        (
            "catalog northwind-retail --markets AU --metros Silverwater,Auckland",
            &[
                "1 location visible, 0 hidden, prices redacted",
                "pricing.view    deny   ACCOUNT_SETTING",
            ],
        ),
        (
            "catalog saltmarsh-farms",
            &[
                "0 locations visible, 143 hidden",
                "services.order  allow  PLATFORM_RULE",
            ],
        ),
        (
            "catalog acme --limit 2 --page-size 1",
            &["2 locations visible", "there are more"],
        ),
    ] {
        let run = ask(&server, line).await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{line}");
        for part in parts {
            assert!(run.out.contains(part), "{line}: {part}\n{}", run.out);
        }
        assert_eq!(run.out.contains("AUD"), line.contains("games"), "{line}");
    }
    let ids = ask(&server, "catalog northwind-games --ids --page-size 5").await;
    assert_eq!(ids.out.lines().count(), 13);
    assert!(
        ids.err.starts_with("13 locations visible, 130 hidden"),
        "{}",
        ids.err
    );
    let unknown = ask(&server, "catalog acme --markets XX").await;
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.err.contains("NOT_FOUND (MARKET_UNKNOWN): "),
        "{}",
        unknown.err
    );
}

#[tokio::test]
async fn a_catalogue_of_an_account_that_may_not_order_exits_with_1() {
    let (before, after) = FeatureMatrix::BUILT_IN
        .split_once("feature: services.order")
        .unwrap();
    let after = after.replacen("direct: allow", "direct: deny", 1);
    let matrix = format!("{before}feature: services.order{after}");
    let mut config = config(memory(portcullis::datafile::DEMO));
    config.matrix = FeatureMatrix::parse(&matrix).unwrap();
    let server = Server::start(config).await;
    let run = ask(&server, "catalog acme").await;
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(
        run.out.contains("services.order  deny   PLATFORM_RULE"),
        "{}",
        run.out
    );
}

#[test]
fn serve_without_a_store_says_that_it_is_demo_data_and_what_to_try() {
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    let mut serving = command(
        &arguments,
        &[("PORTCULLIS_LISTN", "x"), ("PORTCULLIS_LOG_FORMAT", "json")],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let mut block = String::new();
    while !block.contains("\nportcullis check ") {
        block.push_str(&lines.next().unwrap().unwrap());
        block.push('\n');
    }
    let address = |label: &str| {
        let line = block
            .lines()
            .find(|line| line.trim_start().starts_with(label));
        line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
    };
    let grpc = address("gRPC");
    let http = address("probes")
        .replace("http://", "")
        .replace("/livez,", "");
    assert!(
        block.contains("DEMO DATA, in memory: gone at exit"),
        "{block}"
    );
    let pasted = block
        .lines()
        .filter(|line| line.starts_with("grpcurl -plaintext -d '{"));
    assert_eq!(pasted.filter(|line| line.contains(&grpc)).count(), 6);

    let mut told = BufReader::new(serving.stderr.take().unwrap()).lines();
    let mut log = Vec::<serde_json::Value>::new();
    while log.last().is_none_or(|line| line["message"] != "ready") {
        log.push(serde_json::from_str(&told.next().unwrap().unwrap()).unwrap());
    }
    let warning = &log[0]["message"];
    assert!(
        warning.as_str().unwrap().contains("`PORTCULLIS_LISTEN`"),
        "{warning}"
    );

    let last = block.lines().last().unwrap();
    let checked = run(&last.split(' ').skip(1).collect::<Vec<_>>(), &[]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    let healthy = run(&["healthcheck", "--http-listen", &http], &[]);
    assert_eq!(
        (healthy.code, healthy.out.as_str()),
        (0, "ready\n"),
        "{}",
        healthy.err
    );

    let kill = format!("kill -TERM {}", serving.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(serving.wait().unwrap().code(), Some(0));
    let last = told.map(Result::unwrap).last().unwrap();
    assert!(last.contains("drained: every call was finished"), "{last}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut matrix = command(&["matrix"], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(matrix.stdout.take());
    let ended = matrix.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}
