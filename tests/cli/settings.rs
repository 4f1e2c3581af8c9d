//! Help, and what is said of settings that are not accepted.

use super::run;

const COMMANDS: [&str; 10] = [
    "serve",
    "migrate",
    "import",
    "export",
    "check",
    "features",
    "catalog",
    "explain",
    "matrix",
    "healthcheck",
];

/// Commands that have others below them.
const GROUPS: [(&str, &[&str]); 2] = [
    ("policy", &["show", "set", "preview", "history"]),
    ("account", &["show", "put", "delete", "list"]),
];

#[test]
fn help_lists_every_command_and_every_flags_variable() {
    let help = run(&["--help"], &[]);
    assert_eq!(help.code, 0);
    let mut commands: Vec<_> = COMMANDS.map(|name| vec![name]).into();
    for name in COMMANDS {
        assert!(help.out.contains(&format!("\n  {name} ")), "{name}");
    }
    for (group, names) in GROUPS {
        assert!(help.out.contains(&format!("\n  {group} ")), "{group}");
        for of_group in [run(&[group, "--help"], &[]), run(&[group], &[])] {
            for name in names {
                let line = format!("\n  {name} ");
                assert!(of_group.out.contains(&line), "{group} {name}");
            }
        }
        commands.extend(names.iter().map(|name| vec![group, name]));
    }
    for command in commands {
        let name = command.join(" ");
        let own = run(&[command.as_slice(), &["--help"]].concat(), &[]);
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
            "policy sho northwind",
            "there is no command `sho`; did you mean `show`? (see `portcullis policy --help`)",
        ),
        (
            "policy history",
            "missing: `PARTNER` (see `portcullis policy history --help`)",
        ),
        (
            "policy set northwind pricing.view",
            "`FEATURE=SETTING` is `pricing.view`: a feature with `=on`, `=off` or `=unset` is \
             accepted: `pricing.view=on`",
        ),
        (
            "policy set northwind",
            "nothing to change: give settings such as `pricing.view=on`, `--enable-market` or \
             `--disable-market`",
        ),
        (
            "policy preview northwind a.b=on a.b=off",
            "`a.b` is set more than once",
        ),
        (
            "policy set northwind --enable-market AU,NZ --disable-market NZ",
            "`NZ` is in `--enable-market` and in `--disable-market`",
        ),
        (
            "policy set northwind --account x --enable-market AU",
            "`--enable-market` and `--account` do not go together: markets are enabled for all \
             accounts of a partner",
        ),
        (
            "account put x",
            "missing: `--kind` (see `portcullis account put --help`)",
        ),
        (
            "account put x --kind managed --partner northwind",
            "`--kind` is `managed`: `--support` is needed",
        ),
        (
            "account put x --kind direct --partner northwind",
            "`--partner` is for managed accounts alone, by `--kind`",
        ),
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
            "decision-log",
            "some",
            "`off`, `denials`, `sampled` or `all` is accepted",
        ),
        (
            "serve",
            "decision-log-sample",
            "1%",
            "a share from `0.0001` to `1` is accepted",
        ),
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
            "`host:port`, `http://host:port` or `https://host:port` is accepted, such as",
        ),
        (
            "features a",
            "endpoint",
            "https://portal",
            "`host:port`, `http://host:port` or `https://host:port` is accepted, such as",
        ),
        (
            "catalog a",
            "page-size",
            "10001",
            "a whole number from `1` to `10000` is accepted",
        ),
    ] {
        is_refused(command, flag, value, accepted);
    }
}

#[test]
fn so_is_one_of_who_may_call_and_of_how_much_is_let_in() {
    for (command, flag, value, accepted) in [
        (
            "serve",
            "auth",
            "tls",
            "`none`, `mtls`, `jwt` or `mtls,jwt` is accepted",
        ),
        (
            "serve",
            "trust-domain",
            "Portal",
            "a trust domain has 1 to 255 lower-case letters",
        ),
        (
            "serve",
            "jwt-jwks",
            "http://issuer/keys",
            "a file or an `https://` URL is accepted",
        ),
        (
            "serve",
            "jwt-issuer",
            "an issuer",
            "text of 1 to 2048 bytes without spaces is accepted",
        ),
        (
            "serve",
            "max-header-list",
            "1024",
            "a whole number from `4096` to `1048576` is accepted",
        ),
        (
            "serve",
            "workers",
            "0",
            "a whole number from `1` to `1024` is accepted",
        ),
        (
            "serve",
            "keepalive",
            "10ms",
            "a time with its unit is accepted, from `100ms` to `1h`: ",
        ),
        (
            "serve",
            "max-connection-age",
            "2days",
            "a time with its unit is accepted, from `1s` to `24h`: ",
        ),
    ] {
        is_refused(command, flag, value, accepted);
    }
}

/// As a flag, and as a variable.
fn is_refused(command: &str, flag: &str, value: &str, accepted: &str) {
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
            "`--listen` is `[::]:50051`, which other machines may reach, and callers do not prove who they are",
        ),
        (
            "serve",
            &[("PORTCULLIS_LISTEN", "10.0.0.1:50051")],
            "`PORTCULLIS_LISTEN` is `10.0.0.1:50051`, which other machines may reach",
        ),
        (
            "serve --auth mtls",
            &[("PORTCULLIS_CALLERS", "callers.yaml")],
            "`--auth` is `mtls`: `--tls-cert`, `--tls-key` and `--tls-client-ca` are needed too",
        ),
        (
            "serve",
            &[("PORTCULLIS_JWT_ISSUER", "https://issuer")],
            "`PORTCULLIS_JWT_ISSUER` is for tokens, and `--auth` is `none`: give `jwt` there too",
        ),
        (
            "check a b --endpoint portal:1",
            &[("PORTCULLIS_TOKEN_FILE", "token")],
            "`PORTCULLIS_TOKEN_FILE` would be sent to `portal:1` without TLS",
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
    // A token where its file belongs.
    let token = "eyJhbGciOiJFUzI1NiJ9.hunter2.c2ln";
    for line in ["check a b", "account list"] {
        let words: Vec<_> = line.split(' ').collect();
        runs.push(run(&[&words[..], &["--token-file", token]].concat(), &[]));
        runs.push(run(&words, &[("PORTCULLIS_TOKEN_FILE", token)]));
    }
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
