//! `serve` from start to end.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::{command, run};

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
    assert!(
        block.contains("\n  callers  anyone who can connect\n"),
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
    for (begins, code, part) in [
        (
            "portcullis explain ",
            1,
            "switched it off for this account alone",
        ),
        (
            "portcullis policy preview ",
            0,
            "portcullis policy set northwind pricing.view=off",
        ),
    ] {
        let mut told = lines.by_ref().map(Result::unwrap);
        let line = told.find(|line| line.starts_with("portcullis ")).unwrap();
        assert!(line.starts_with(begins), "{line}");
        let tried = run(&line.split(' ').skip(1).collect::<Vec<_>>(), &[]);
        assert_eq!(tried.code, code, "{}", tried.err);
        assert!(tried.out.contains(part), "{}", tried.out);
    }
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
