//! The README, run: its lines against the program as it is, its commands and roles against Postgres.

#![cfg(test)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use portcullis::domain::{Audience, FeatureMatrix};
use portcullis::proto::v1;
use support::server::{Server, built_in_matrix};
use support::{Database, empty_database};

const README: &str = include_str!("../README.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// A shell that finds this build's program, and grpcurl.
fn shell(line: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", line])
        .env_clear()
        .env("PATH", path())
        .stdin(Stdio::null());
    command
}

fn path() -> &'static str {
    static PATH: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "tells where grpcurl is")]
        let [grpcurl, path] =
            ["PORTCULLIS_TEST_GRPCURL", "PATH"].map(|name| std::env::var(name).ok());
        let path = path.unwrap();
        let folder = tempfile::tempdir().unwrap().keep();
        symlink(PROGRAM, folder.join("portcullis")).unwrap();
        if let Some(grpcurl) = grpcurl {
            symlink(grpcurl, folder.join("grpcurl")).unwrap();
        }
        format!("{}:{path}", folder.display())
    });
    PATH.as_str()
}

/// Runs a line: what it prints, on either stream, and its exit code.
fn run(mut command: Command) -> (String, i32) {
    let output = command.output().unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (text, output.status.code().unwrap())
}

/// A running `portcullis serve`, on ports of its own.
struct Serving {
    child: Child,
    grpc: String,
    http: String,
    block: String,
}

impl Serving {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
            ])
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // What it is and what to try comes first; that it is ready, in its log.
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        while !log
            .next()
            .expect("it ended before it was ready")
            .unwrap()
            .ends_with(": ready")
        {}
        std::thread::spawn(move || log.for_each(drop));
        let mut block = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !block.contains("  matrix  ")
            || (variables.is_empty() && !block.contains("\nportcullis check "))
        {
            block.push_str(&lines.next().unwrap().unwrap());
            block.push('\n');
        }
        let after = |label: &str| {
            block
                .split(label)
                .nth(1)
                .unwrap()
                .split_whitespace()
                .next()
                .unwrap()
                .to_owned()
        };
        let (grpc, http) = (after("gRPC "), after("http://").replace("/livez,", ""));
        Self {
            child,
            grpc,
            http,
            block,
        }
    }

    /// Ends it as Kubernetes does, and says with which exit code it went.
    fn terminate(mut self) -> Option<i32> {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(kill.success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn the_readmes_lines_answer_as_they_are_printed_there() {
    let serving = Serving::start(&[]);
    let mut lines = 0;
    for block in blocks("console") {
        for part in block.strip_prefix("$ ").unwrap().split("\n$ ") {
            let (line, want) = part.split_once('\n').unwrap_or((part, ""));
            let mut command = shell(&line.replace("127.0.0.1:50051", &serving.grpc));
            command.env("PORTCULLIS_ENDPOINT", &serving.grpc);
            let (printed, _) = run(command);
            // What is printed names this service, where the README's is at the default address.
            let printed = printed.replace(&format!(" --endpoint {}", serving.grpc), "");
            // Tables are padded to the width of their columns.
            let trimmed = |text: &str| {
                text.lines()
                    .map(str::trim_end)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert_eq!(
                trimmed(printed.trim_end()),
                trimmed(want.trim_end()),
                "{line}"
            );
            lines += 1;
        }
    }
    assert_eq!(lines, 10, "the README shows it working in so many lines");
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn the_lines_that_serve_prints_answer_as_it_says() {
    let serving = Serving::start(&[]);
    let mut tried = 0;
    let mut expected = "";
    for line in serving.block.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            expected = comment;
        }
        if !line.starts_with("grpcurl ") && !line.starts_with("portcullis check ") {
            continue;
        }
        let (printed, code) = run(shell(line));
        assert_eq!(code, 0, "{line}: {printed}");
        let wants: Vec<String> = match expected.split_once(": ") {
            _ if expected.starts_with("allow, ") || expected.starts_with("deny, ") => {
                let (effect, reason) = expected
                    .split(':')
                    .next()
                    .unwrap()
                    .split_once(", ")
                    .unwrap();
                vec![
                    format!("EFFECT_{}", effect.to_uppercase()),
                    format!("REASON_{reason}"),
                ]
            }
            Some((_, "pricesRedacted")) => vec!["\"pricesRedacted\": true".to_owned()],
            _ if expected.contains("hiddenCount 143") => vec!["\"hiddenCount\": 143".to_owned()],
            _ if expected.contains("with its prices") => vec!["currencyCode".to_owned()],
            _ => vec!["allow  northwind-games".to_owned()],
        };
        for want in wants {
            assert!(
                printed.contains(&want),
                "{line}\nshould say {want}: {printed}"
            );
        }
        tried += 1;
    }
    assert_eq!(tried, 7);
}

/// The README's statements for roles: those that an owner of the server runs, and those for after
/// the first migration.
fn roles() -> (String, String) {
    let sql = blocks("sql").concat().replace('…', "secret");
    let (before, after) = sql.split_once("-- then").unwrap();
    (
        before.to_owned(),
        after.split_once('\n').unwrap().1.to_owned(),
    )
}

fn url(database: &Database, role: &str) -> String {
    database
        .url()
        .replace("postgres@", &format!("portcullis_{role}:secret@"))
}

/// One of the README's commands, as the role that it needs.
fn step(database: &Database, role: &str, line: &str) -> (String, i32) {
    let mut command = shell(line);
    command
        .env("PORTCULLIS_DATABASE_URL", url(database, role))
        .env("PORTCULLIS_STORE_TIMEOUT", "30s");
    run(command)
}

#[test]
fn the_readmes_commands_and_roles_are_enough_for_postgres() {
    let database = empty_database("readme");
    let commands = *blocks("sh")
        .iter()
        .find(|block| block.contains("portcullis migrate"))
        .unwrap();
    for line in [
        "portcullis migrate",
        "portcullis import demo/demo.yaml",
        "portcullis serve",
        "portcullis export > backup.yaml",
    ] {
        assert!(commands.contains(line), "the README does not say `{line}`");
    }
    let (before, after) = roles();
    database.sql(&before);

    let (printed, code) = step(&database, "migrator", "portcullis migrate");
    assert_eq!(code, 0, "{printed}");
    let as_migrator = format!("SET ROLE portcullis_migrator; {after}");
    database.sql(&as_migrator);
    let (printed, code) = step(&database, "migrator", "portcullis migrate");
    assert_eq!(code, 0, "again: {printed}");

    let (printed, code) = step(&database, "writer", "portcullis import demo/demo.yaml");
    assert!(code == 0 && printed.contains("revision 1"), "{printed}");
    let (printed, code) = step(&database, "writer", "portcullis import demo/demo.yaml");
    assert!(
        code == 0 && printed.contains("nothing changed") && printed.contains("revision 1"),
        "{printed}"
    );
    let (printed, code) = step(
        &database,
        "reader",
        "portcullis import demo/demo.yaml --comment 'may not'",
    );
    assert!(
        code == 0 && printed.contains("nothing changed"),
        "reading is enough to see that: {printed}"
    );

    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.yaml").display().to_string();
    let (printed, code) = step(
        &database,
        "reader",
        &format!("portcullis export > {backup}"),
    );
    assert_eq!((printed.as_str(), code), ("", 0));
    let (printed, code) = step(
        &database,
        "writer",
        &format!("portcullis import --replace {backup}"),
    );
    assert!(
        code == 0 && printed.contains("nothing changed"),
        "{printed}"
    );

    let reader = url(&database, "reader");
    let serving = Serving::start(&[
        ("PORTCULLIS_DATABASE_URL", &reader),
        ("PORTCULLIS_STORE_TIMEOUT", "30s"),
    ]);
    assert!(
        !serving.block.contains("DEMO") && !serving.block.contains("secret"),
        "{}",
        serving.block
    );
    let mut check = shell("portcullis check northwind-retail pricing.view");
    check.env("PORTCULLIS_ENDPOINT", &serving.grpc);
    let (printed, code) = run(check);
    assert_eq!(code, 1);
    assert_eq!(
        printed,
        "deny  northwind-retail  pricing.view  ACCOUNT_SETTING  (revision 1)\n"
    );
    let (printed, code) = run(shell(&format!(
        "portcullis healthcheck --http-listen {}",
        serving.http
    )));
    assert_eq!(code, 0, "{printed}");
    assert_eq!(serving.terminate(), Some(0));

    let changed = folder.path().join("changed.yaml");
    std::fs::write(
        &changed,
        "accounts: [{ id: acme, kind: direct, display_name: Acme }]",
    )
    .unwrap();
    let line = format!("portcullis import {}", changed.display());
    let (printed, code) = step(&database, "reader", &line);
    assert!(
        code == 2 && printed.starts_with("error: "),
        "a reader wrote: {printed}"
    );
    let (printed, code) = step(&database, "writer", &line);
    assert!(code == 0 && printed.contains("revision 2"), "{printed}");
}

/// The cells of the rows of a table whose first cell is a name in backticks.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .collect()
}

fn name(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap()
}

#[test]
fn the_readmes_rules_are_the_built_in_matrix() {
    let matrix: FeatureMatrix = built_in_matrix();
    let section = README
        .split("## The rules")
        .nth(1)
        .unwrap()
        .split("An answer carries")
        .next()
        .unwrap();
    let written: Vec<_> = rows(section)
        .iter()
        .map(|row| {
            let requires = row[0]
                .split_once("(requires ")
                .map(|(_, key)| vec![name(key).to_owned()]);
            (
                name(&row[0]).to_owned(),
                requires.unwrap_or_default(),
                row[1..].to_vec(),
            )
        })
        .collect();
    let built_in: Vec<_> = matrix
        .features()
        .map(|(_, row)| {
            let requires: Vec<_> = row.requires.iter().map(ToString::to_string).collect();
            let rules: Vec<_> = Audience::ALL
                .map(|audience| row.rules.of(audience).as_str().to_owned())
                .to_vec();
            (row.key.to_string(), requires, rules)
        })
        .collect();
    assert_eq!(written, built_in);
}

#[tokio::test]
async fn what_the_demo_says_of_its_accounts_is_so() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let table = rows(include_str!("../demo/README.md"));
    let accounts: Vec<_> = table.iter().filter(|row| row.len() == 7).collect();
    assert_eq!(accounts.len(), 16);
    for row in accounts {
        let account_id = name(&row[0]).to_owned();
        let request = v1::ListFeaturesRequest {
            account_id: account_id.clone(),
            consistency: None,
        };
        let listed = client.list_features(request).await.unwrap().into_inner();
        let pricing = listed
            .decisions
            .iter()
            .find(|decision| decision.feature == "pricing.view")
            .unwrap();
        let word = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap().to_owned();
        let got = format!(
            "{}, {}",
            word(pricing.effect().as_str_name(), "EFFECT_").to_lowercase(),
            word(pricing.reason().as_str_name(), "REASON_")
        );
        assert_eq!(got, row[5], "{account_id}");
        let kind = word(
            listed.account.as_ref().unwrap().kind().as_str_name(),
            "ACCOUNT_KIND_",
        )
        .to_lowercase();
        assert_eq!(kind, row[1], "{account_id}");
        let request = v1::FilterCatalogRequest {
            account_id: account_id.clone(),
            ..Default::default()
        };
        let visible = client
            .filter_catalog(request)
            .await
            .unwrap()
            .into_inner()
            .locations
            .len();
        assert_eq!(visible.to_string(), row[6], "{account_id}");
    }
}
