//! Commands that ask a service.

use portcullis::domain::FeatureMatrix;

use super::support::server::{Server, config, memory};
use super::{Run, run};

/// The same while this thread's runtime has a server to run.
async fn ask(server: &Server, line: &str) -> Run {
    let line = format!("{line} --endpoint {}", server.grpc);
    let ask = move || run(&line.split(' ').collect::<Vec<_>>(), &[]);
    tokio::task::spawn_blocking(ask).await.unwrap()
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
async fn health_is_asked_over_grpc_where_a_service_is_named() {
    let server = Server::demo().await;
    for (line, check) in [
        (
            "healthcheck",
            "check   NOT_FOUND (ACCOUNT_UNKNOWN): there is no account `healthcheck`\n",
        ),
        (
            "healthcheck --account northwind-games",
            "check   allow  northwind-games  services.order  PLATFORM_RULE\n",
        ),
    ] {
        let run = ask(&server, line).await;
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{line}");
        assert_eq!(run.out, format!("health  SERVING\n{check}"));
    }
    server.begin_drain();
    let run = ask(&server, "healthcheck").await;
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
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
