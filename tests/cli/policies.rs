//! Commands that look after policies and accounts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::gated::GatedServer;
use super::support::server::Server;
use super::{Run, run};

/// A run with words that may hold spaces, by a user called kim.
async fn say(endpoint: impl ToString, words: &[&str]) -> Run {
    let endpoint = endpoint.to_string();
    let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    let ask = move || {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        run(
            &words,
            &[("PORTCULLIS_ENDPOINT", &endpoint), ("USER", "kim")],
        )
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

async fn ask(server: &Server, line: &str) -> Run {
    say(server.grpc, &line.split(' ').collect::<Vec<_>>()).await
}

/// What a command prints that does as it is asked.
async fn printed(server: &Server, line: &str) -> String {
    let run = ask(server, line).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{line}");
    run.out
}

async fn printed_json(server: &Server, line: &str) -> Value {
    serde_json::from_str(&printed(server, &format!("{line} --json")).await).unwrap()
}

async fn refused(server: &Server, line: &str) -> String {
    let run = ask(server, line).await;
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{line}");
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    run.err
}

#[tokio::test]
async fn a_policy_is_shown_and_changed() {
    let server = Server::world().await;
    let shown = "partner   p\nmarkets   AU\nrevision  1\n\n\
                 feature       setting\npricing.view  on\n";
    assert_eq!(printed(&server, "policy show p").await, shown);
    let empty = "partner   q\nmarkets   none enabled\nrevision  0 (never changed)\n\nno settings\n";
    assert_eq!(printed(&server, "policy show q").await, empty);

    let line = "policy set p pricing.view=unset dashboard.view=off --enable-market GB,NZ \
                --disable-market AU --expect-revision 1";
    let after = "partner   p\nmarkets   NZ, UK\nrevision  2\n\n\
                 feature         setting\ndashboard.view  off\n";
    assert_eq!(printed(&server, line).await, after);
    assert_eq!(printed(&server, "policy show p").await, after);
    assert!(
        refused(&server, line)
            .await
            .contains("ABORTED (REVISION_MISMATCH): ")
    );
    for (line, part) in [
        ("policy show d", "NOT_FOUND (PARTNER_UNKNOWN): "),
        (
            "policy set p no.such=on",
            "INVALID_ARGUMENT (FEATURE_UNKNOWN): ",
        ),
        (
            "policy set p invoices.pay=on",
            "FAILED_PRECONDITION (FEATURE_NOT_CONFIGURABLE): ",
        ),
        (
            "policy set p --enable-market XX",
            "NOT_FOUND (MARKET_UNKNOWN): ",
        ),
        (
            "policy set p --enable-market au",
            "INVALID_ARGUMENT (INVALID_REQUEST): `enable_markets[0]` ",
        ),
    ] {
        let error = refused(&server, line).await;
        assert!(error.contains(part), "{line}: {error}");
    }
    let shown = printed_json(&server, "policy show p").await;
    let want = json!({ "policy": { "partnerId": "p", "billingMarkets": ["NZ", "UK"],
        "settings": { "dashboard.view": "SETTING_OFF" }, "revision": "2" } });
    assert_eq!(shown, want);
}

#[tokio::test]
async fn one_account_of_the_partner_is_set_and_no_other() {
    let server = Server::world().await;
    let line = "policy set p --account p-1 pricing.view=unset dashboard.view=on";
    let after = "account   p-1\nrevision  2\n\nfeature         setting\ndashboard.view  on\n";
    assert_eq!(printed(&server, line).await, after);
    for (line, want) in [
        (
            "policy set q --account p-1 dashboard.view=off",
            "error: account `p-1` is managed by `p`, not by `q`\n",
        ),
        (
            "policy set p --account d dashboard.view=off",
            "error: account `d` is not a managed account\n",
        ),
    ] {
        assert_eq!(refused(&server, line).await, want);
    }
}

#[tokio::test]
async fn a_preview_tells_what_would_change_and_the_command_that_does_it() {
    let server = Server::world().await;
    let line = "policy preview p pricing.view=unset --enable-market NZ --disable-market AU,UK";
    let want = format!(
        "\
account  feature       now                    then
p-2      pricing.view  allow PARTNER_SETTING  deny PLATFORM_DEFAULT

2 accounts affected, 1 decision changed
1 location gained, 2 lost
to make exactly this change, or none: portcullis policy set p pricing.view=unset \
--enable-market NZ --disable-market AU,UK --expect-revision 1 --endpoint {}
",
        server.grpc
    );
    let told = printed(&server, line).await;
    assert_eq!(told, want);
    assert_eq!(
        printed(&server, "policy show p").await.lines().nth(2),
        Some("revision  1")
    );

    // The command does what it says.
    let command = told.split("portcullis ").nth(1).unwrap().trim_end();
    assert!(printed(&server, command).await.contains("revision  2\n"));
    let nothing = printed(&server, line).await;
    assert!(
        nothing.starts_with("0 accounts affected, 0 decisions changed\n"),
        "{nothing}"
    );
    let stale = format!("{line} --expect-revision 1");
    assert!(refused(&server, &stale).await.contains("REVISION_MISMATCH"));
}

#[tokio::test]
async fn the_history_tells_who_changed_what_and_why() {
    let server = Server::world().await;
    let words = [
        "policy",
        "set",
        "p",
        "pricing.view=off",
        "--enable-market",
        "NZ",
        "--comment",
        "the offer is over",
    ];
    assert_eq!(say(server.grpc, &words).await.code, 0);
    printed(
        &server,
        "policy set p --account p-1 pricing.view=unset --actor sam",
    )
    .await;
    printed(
        &server,
        "account put p-3 --kind managed --partner p --support platform",
    )
    .await;
    printed(
        &server,
        "account put p-3 --kind managed --partner q --support platform",
    )
    .await;
    printed(&server, "account delete p-3").await;

    let history = printed(&server, "policy history p --after-revision 1").await;
    let rows: Vec<Vec<&str>> = history
        .lines()
        .skip(1)
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let want: [&[&str]; 4] = [
        &[
            "2",
            "kim",
            "policy of p",
            "billing_markets +NZ; pricing.view on → off",
            "the offer is over",
        ],
        &["3", "sam", "account p-1", "pricing.view off → unset"],
        &[
            "4",
            "kim",
            "account p-3",
            "created; kind managed; partner p; support platform",
        ],
        &["5", "kim", "account p-3", "partner p → q"],
    ];
    assert_eq!(rows.len(), want.len(), "{history}");
    for (mut row, want) in rows.into_iter().zip(want) {
        let when = row.remove(1);
        assert!(when.ends_with(" UTC") && when.starts_with("20"), "{when}");
        assert_eq!(row, want);
    }
    // It was another's by the time that it was deleted.
    let of_q = printed(&server, "policy history q --last 1").await;
    assert!(of_q.contains("deleted; kind managed; partner q"), "{of_q}");
    assert_eq!(of_q.lines().count(), 2, "{of_q}");
    assert_eq!(
        printed(&server, "policy history q --after-revision 6").await,
        "no changes\n"
    );
    let whole = printed_json(&server, "policy history p").await;
    assert_eq!(whole["changes"].as_array().unwrap().len(), 5);
    assert_eq!(whole["changes"][1]["caller"], "anonymous");
    assert_eq!(whole["nextPageToken"], "");
}

#[tokio::test]
async fn accounts_are_put_shown_listed_and_deleted() {
    let server = Server::world().await;
    let put = "account put new --kind managed --partner q --support partner --display-name New";
    assert_eq!(printed(&server, put).await, "put new (revision 2)\n");
    let want = "account   new\nname      New\nkind      managed\npartner   q\nsupport   partner\n\
                revision  2\n\nno settings\n";
    assert_eq!(printed(&server, "account show new").await, want);
    let again = format!("{put} --expect-revision 0");
    assert!(refused(&server, &again).await.contains("REVISION_MISMATCH"));
    let list = "\
account  kind     partner  support  name
new      managed  q        partner  New
q-1      managed  q        partner
";
    assert_eq!(printed(&server, "account list --partner q").await, list);
    let all = printed_json(&server, "account list").await;
    assert_eq!(all["accounts"].as_array().unwrap().len(), 7);
    let some = ask(&server, "account list --limit 2").await;
    assert_eq!(some.out.lines().count(), 3, "{}", some.out);
    assert_eq!(some.err, "there are more: raise --limit\n");
    assert_eq!(
        printed(&server, "account delete new").await,
        "deleted new (revision 3)\n"
    );
    for (line, part) in [
        ("account show new", "NOT_FOUND (ACCOUNT_UNKNOWN): "),
        ("account delete new", "NOT_FOUND (ACCOUNT_UNKNOWN): "),
        ("account delete q", "FAILED_PRECONDITION (ACCOUNT_IN_USE): "),
        ("account list --partner d", "NOT_FOUND (PARTNER_UNKNOWN): "),
    ] {
        assert!(refused(&server, line).await.contains(part), "{line}");
    }
    let partner = "account put r --kind partner";
    assert_eq!(printed(&server, partner).await, "put r (revision 4)\n");
    assert_eq!(
        printed(&server, "account list --partner r").await,
        "no accounts\n"
    );
}

#[tokio::test]
async fn explain_says_why_and_exits_by_the_decision() {
    let server = Server::world().await;
    let line = "policy set p company_profile.edit=on company_profile.view=off --actor sam";
    printed(&server, line).await;
    let denied = ask(&server, "explain p-1 company_profile.edit").await;
    assert_eq!((denied.code, denied.err.as_str()), (1, ""));
    let mut lines = denied.out.lines();
    let sentence = lines.next().unwrap();
    let begins = "`p-1` may not use `company_profile.edit`: it requires `company_profile.view`, \
                  which is denied because its partner `p` switched it off for all of its accounts \
                  (revision 2, ";
    assert!(sentence.starts_with(begins), "{sentence}");
    for line in [
        "company_profile.edit  partner decides, default off  -                on               \
         deny REQUIRED_FEATURE",
        "company_profile.view  partner decides, default off  -                off              \
         deny PARTNER_SETTING",
    ] {
        assert!(
            denied.out.lines().any(|found| found == line),
            "{}",
            denied.out
        );
    }
    let by =
        "company_profile.view=off for all of its partner's accounts, by sam in revision 2 at 20";
    assert!(denied.out.contains(by), "{}", denied.out);

    let allowed = ask(&server, "explain d pricing.view").await;
    assert_eq!((allowed.code, allowed.err.as_str()), (0, ""));
    let answer = ask(&server, "explain p-2 pricing.view --json").await;
    assert_eq!(answer.code, 0);
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(answer["partnerSetting"]["revision"], "1");
    assert!(
        refused(&server, "explain nobody pricing.view")
            .await
            .contains("ACCOUNT_UNKNOWN")
    );
}

#[tokio::test]
async fn a_change_whose_outcome_is_open_is_asked_for_once_more() {
    let server = GatedServer::start(Duration::from_secs(20), Duration::from_secs(5)).await;
    server.gate.cut.store(true, Ordering::SeqCst);
    let words = ["policy", "set", "northwind", "dashboard.view=on"];
    let run = say(server.grpc, &words).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("revision  2\n"), "{}", run.out);
    let warning = "warning: `";
    assert!(run.err.starts_with(warning), "{}", run.err);
    assert!(
        run.err.contains("UNKNOWN (OUTCOME_UNKNOWN): "),
        "{}",
        run.err
    );
    assert!(
        run.err
            .trim_end()
            .ends_with("; asking again with the same key"),
        "{}",
        run.err
    );
    // It was made once.
    let history = say(server.grpc, &["policy", "history", "northwind"]).await;
    assert_eq!(history.out.lines().count(), 3, "{}", history.out);
}

#[tokio::test]
async fn a_change_that_stays_open_is_told_with_its_key() {
    let server = GatedServer::start(Duration::from_secs(20), Duration::from_secs(5)).await;
    let hold = server.gate.hold.write().await;
    let words = [
        "policy",
        "set",
        "northwind",
        "dashboard.view=on",
        "--timeout",
        "300ms",
    ];
    let run = say(server.grpc, &words).await;
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    let last = run.err.lines().last().unwrap();
    assert!(
        last.starts_with("error: the change may have been made, or not; "),
        "{last}"
    );
    let key = last.split("--idempotency-key ").nth(1).unwrap();
    let key = key.split('`').next().unwrap();
    drop(hold);
    let again = [
        "policy",
        "set",
        "northwind",
        "dashboard.view=on",
        "--idempotency-key",
        key,
    ];
    let run = say(server.grpc, &again).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.contains("revision  2\n"), "{}", run.out);
    // A key is for one change.
    let another = [
        "policy",
        "set",
        "northwind",
        "dashboard.view=off",
        "--idempotency-key",
        key,
    ];
    let run = say(server.grpc, &another).await;
    assert!(run.err.contains("IDEMPOTENCY_KEY_REUSED"), "{}", run.err);
}
