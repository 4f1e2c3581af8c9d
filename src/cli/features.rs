//! `features ACCOUNT`: who the account is, and a decision for every feature.

use std::fmt::Write as _;

use super::client::Client;
use super::table::{render, table};
use super::{Verdict, json, output, words};
use crate::config::FeaturesArgs;
use crate::config::text::escaped;
use crate::proto::v1::ListFeaturesResponse;

pub(super) async fn run(args: &FeaturesArgs) -> anyhow::Result<Verdict> {
    let client = Client::connect(&args.client).await?;
    let answer = client.list_features(&args.account).await?;
    let text = if args.client.service.json {
        json::render("ListFeaturesResponse", &answer)?
    } else {
        human(&answer)?
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

fn human(answer: &ListFeaturesResponse) -> anyhow::Result<String> {
    let mut text = header(answer);
    let mut decisions = table(&["feature", "effect", "reason"]);
    for decision in &answer.decisions {
        let (effect, _) = words::effect(decision.effect)?;
        decisions.add_row([
            escaped(&decision.feature).into_owned(),
            effect.to_owned(),
            words::reason(decision.reason),
        ]);
    }
    text.push_str(&render(&decisions));
    Ok(text)
}

fn header(answer: &ListFeaturesResponse) -> String {
    let account = answer.account.clone().unwrap_or_default();
    let lines = [
        ("account", account.id),
        ("name", account.display_name),
        ("kind", words::kind(account.kind)),
        ("partner", account.partner_id),
        ("support", words::support(account.support_provider)),
        ("billing account", answer.billing_account_id.clone()),
        ("as of", words::revision(answer.revision, answer.stale)),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<17}{}", escaped(&value));
        }
    }
    text.push('\n');
    text
}
