//! grpcurl itself, which knows of this service what reflection tells it and nothing else.

use std::net::SocketAddr;
use std::process::Output;

use crate::support::server::Server;
use crate::support::within;

#[expect(
    clippy::disallowed_methods,
    reason = "which grpcurl to run is told to the tests in their environment"
)]
fn program() -> String {
    std::env::var("PORTCULLIS_TEST_GRPCURL").unwrap_or_else(|_| "grpcurl".to_owned())
}

async fn grpcurl(arguments: &[&str]) -> Output {
    let program = program();
    let mut command = std::process::Command::new(&program);
    command.args(arguments);
    let running = tokio::task::spawn_blocking(move || command.output());
    match within("grpcurl", running).await.unwrap() {
        Ok(output) => output,
        Err(error) => panic!("cannot run `{program}`: {error}; install it with `make tools`"),
    }
}

async fn asked(server: SocketAddr, options: &[&str], words: &[&str]) -> Output {
    let server = server.to_string();
    let mut arguments = vec!["-plaintext", "-max-time", "30"];
    arguments.extend(options);
    arguments.push(&server);
    arguments.extend(words);
    grpcurl(&arguments).await
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn grpcurl_needs_no_files() {
    let server = Server::demo().await;
    let grpc = server.grpc;

    let listed = asked(grpc, &[], &["list"]).await;
    assert!(listed.status.success(), "{listed:?}");
    let services: Vec<_> = text(&listed.stdout).lines().collect();
    let want = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "portcullis.v1.AuthorizationService",
        "portcullis.v1.PolicyService",
    ];
    let named = |service: &&str| services.contains(service);
    assert!(want.iter().all(named), "{services:?}");

    let service = "portcullis.v1.AuthorizationService";
    let described = asked(grpc, &[], &["describe", service]).await;
    let described = text(&described.stdout);
    for part in [
        "rpc CheckFeature",
        "rpc FilterCatalog",
        "// May this account use this feature?",
        "ACCOUNT_UNKNOWN: there is no such account.",
    ] {
        assert!(described.contains(part), "no `{part}` in\n{described}");
    }
    for (symbol, comment) in [
        ("portcullis.v1.Location", "// A place where"),
        ("google.type.Money", "//"),
        ("google.rpc.Status", "//"),
    ] {
        let described = asked(grpc, &[], &["describe", symbol]).await;
        let described = text(&described.stdout);
        assert!(described.contains(comment), "{symbol}:\n{described}");
    }

    let method = "portcullis.v1.AuthorizationService/CheckFeature";
    let request = r#"{"account_id": "northwind-retail", "feature": "pricing.view"}"#;
    let checked = asked(grpc, &["-d", request], &[method]).await;
    assert!(checked.status.success(), "{checked:?}");
    let answer: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    let want = serde_json::json!({
        "effect": "EFFECT_DENY", "reason": "REASON_ACCOUNT_SETTING", "revision": "1",
    });
    assert_eq!(answer, want);

    let request = r#"{"account_id": "no such id"}"#;
    let refused = asked(grpc, &["-d", request], &[method]).await;
    assert!(!refused.status.success());
    let printed = text(&refused.stderr);
    for part in [
        "Code: InvalidArgument",
        r#""@type": "type.googleapis.com/google.rpc.ErrorInfo""#,
        r#""reason": "INVALID_REQUEST""#,
        r#""domain": "portcullis""#,
        r#""@type": "type.googleapis.com/google.rpc.BadRequest""#,
        r#""field": "account_id""#,
        r#""field": "feature""#,
    ] {
        assert!(printed.contains(part), "no `{part}` in\n{printed}");
    }

    // An error within an answer is a message in JSON, with its details decoded.
    let method = "portcullis.v1.AuthorizationService/BatchCheckFeatures";
    let request = r#"{"checks": [{"account_id": "nobody", "feature": "pricing.view"}]}"#;
    let batch = asked(grpc, &["-d", request], &[method]).await;
    let answer: serde_json::Value = serde_json::from_slice(&batch.stdout).unwrap();
    let info = &answer["results"][0]["error"]["details"][0];
    let want = serde_json::json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCOUNT_UNKNOWN", "domain": "portcullis",
    });
    assert_eq!(*info, want);
}

#[tokio::test]
async fn policies_are_looked_after_with_grpcurl() {
    let server = Server::demo().await;
    let grpc = server.grpc;
    let service = "portcullis.v1.PolicyService";
    let call = async |method: &str, request: &str| {
        let method = format!("{service}/{method}");
        asked(grpc, &["-d", request], &[&method]).await
    };
    let json = |output: &Output| -> serde_json::Value {
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let update = r#"{"partner_id": "northwind", "settings": {"pricing.view": "SETTING_OFF"},
        "enable_markets": ["GB"],
        "context": {"actor": "kim", "comment": "spring", "expected_revision": "1"}}"#;
    let updated = json(&call("UpdatePartnerPolicy", update).await);
    assert_eq!(updated["revision"], "2");
    assert_eq!(updated["policy"]["settings"]["pricing.view"], "SETTING_OFF");
    let history = r#"{"partner_id": "northwind", "after_revision": "1"}"#;
    let history = json(&call("ListPolicyChanges", history).await);
    let change = &history["changes"][0];
    assert_eq!(change["before"]["settings"]["pricing.view"], "on");
    assert_eq!(change["subject"]["partnerId"], "northwind");
    assert_eq!(change["comment"], "spring");

    // An error of what is worked off aside is an error too.
    let malformed = r#"{"locations": [{"id": "a", "offers": [{"product": "P",
        "price": {"monthly": {"units": "1"}}}]}]}"#;
    for (method, request, parts) in [
        (
            "PutLocations",
            malformed,
            [
                "Code: InvalidArgument",
                r#""field": "locations[0].offers[0].price.monthly""#,
            ],
        ),
        (
            "UpdatePartnerPolicy",
            update,
            ["Code: Aborted", r#""reason": "REVISION_MISMATCH""#],
        ),
        (
            "DeleteBillingMarkets",
            r#"{"codes": ["AU"]}"#,
            ["Code: FailedPrecondition", r#""reason": "MARKET_IN_USE""#],
        ),
    ] {
        let refused = call(method, request).await;
        let printed = text(&refused.stderr);
        for part in parts {
            assert!(printed.contains(part), "no `{part}` in\n{printed}");
        }
    }
}

#[tokio::test]
async fn the_examples_of_the_reference_can_be_pasted() {
    let server = Server::demo().await;
    let service = "portcullis.v1.PolicyService";
    let described = asked(server.grpc, &[], &["describe", service]).await;
    let (mut example, mut pasted) = (None, 0);
    for line in text(&described.stdout).lines().map(str::trim) {
        if let Some(found) = line.strip_prefix("// Example: `") {
            example = Some(found.strip_suffix('`').unwrap());
        } else if let Some(method) = line.strip_prefix("rpc ") {
            let name = method.split(' ').next().unwrap();
            let Some(request) = example.take() else {
                continue;
            };
            let method = format!("{service}/{name}");
            let answer = asked(server.grpc, &["-d", request], &[&method]).await;
            // What one of them does may be in the way of another: that is no mistake in it.
            let printed = text(&answer.stderr);
            let of_the_world = [
                "Code: NotFound",
                "Code: FailedPrecondition",
                "Code: Aborted",
            ];
            let fits =
                answer.status.success() || of_the_world.iter().any(|code| printed.contains(code));
            assert!(fits, "{name} {request}\n{printed}");
            pasted += 1;
        }
    }
    assert_eq!(pasted, 14);
}
