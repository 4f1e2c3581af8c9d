//! What to try on the demo data: questions whose answers differ, ready to paste.

use std::fmt::Write as _;
use std::net::SocketAddr;

const SERVICE: &str = "portcullis.v1.AuthorizationService";

/// What to expect, the method, the request.
const QUESTIONS: [(&str, &str, &str); 6] = [
    (
        "allow, PARTNER_SETTING: its partner northwind shows prices to everyone",
        "CheckFeature",
        r#"{"account_id": "northwind-games", "feature": "pricing.view"}"#,
    ),
    (
        "deny, ACCOUNT_SETTING: but not to this account",
        "CheckFeature",
        r#"{"account_id": "northwind-retail", "feature": "pricing.view"}"#,
    ),
    (
        "deny, REQUIRED_FEATURE: it is on, but company_profile.view, which it requires, is off",
        "CheckFeature",
        r#"{"account_id": "quillfeather-rail", "feature": "company_profile.edit"}"#,
    ),
    (
        "one location in Silverwater, with its prices",
        "FilterCatalog",
        r#"{"account_id": "northwind-games", "stored": {"metros": ["Silverwater"]}}"#,
    ),
    (
        "the same location, and no price in it: pricesRedacted",
        "FilterCatalog",
        r#"{"account_id": "northwind-retail", "stored": {"metros": ["Silverwater"]}}"#,
    ),
    (
        "no location, hiddenCount 143: it may order, but its partner has enabled no market yet",
        "FilterCatalog",
        r#"{"account_id": "saltmarsh-farms"}"#,
    ),
];

/// What to expect, and a command of this program.
const COMMANDS: [(&str, &str); 3] = [
    (
        "the first again, by this program; exit code 0 is allow, 1 deny, 2 no answer",
        "check northwind-games pricing.view",
    ),
    (
        "why the second is denied, and since when",
        "explain northwind-retail pricing.view",
    ),
    (
        "what hiding all prices would do to northwind's accounts, and the command that does it",
        "policy preview northwind pricing.view=off",
    ),
];

/// The lines to paste, for a service at `address`.
pub(super) fn lines(address: SocketAddr, reflection: bool) -> String {
    let schema = if reflection {
        ""
    } else {
        " -import-path proto -proto portcullis/v1/authorization_service.proto"
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (expected, method, request) in QUESTIONS {
        let _ = writeln!(
            text,
            "\n# {expected}\ngrpcurl -plaintext{schema} -d '{request}' {address} {SERVICE}/{method}"
        );
    }
    let endpoint = endpoint(address);
    for (expected, command) in COMMANDS {
        let _ = writeln!(text, "\n# {expected}\nportcullis {command}{endpoint}");
    }
    text
}

/// The flag that finds `address`, where the default does not.
fn endpoint(address: SocketAddr) -> String {
    if address == SocketAddr::from(([127, 0, 0, 1], 50051)) {
        String::new()
    } else {
        format!(" --endpoint {address}")
    }
}
