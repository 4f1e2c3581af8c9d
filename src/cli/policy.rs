//! `policy show|set|preview|history PARTNER`: what a partner has set for its accounts.

mod change;
mod history;
mod preview;
mod set;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::administration::Administration;
use super::table::{render, table};
use super::{Verdict, json, output, words};
use crate::config::text::escaped;
use crate::config::{Assignment, PolicyCommand, PolicyShowArgs, PolicyUpdateArgs};
use crate::domain;
use crate::proto::v1::{
    GetPartnerPolicyRequest, PartnerPolicy, Setting, UpdatePartnerPolicyRequest,
};

pub(super) async fn run(command: &PolicyCommand, user: Option<&str>) -> anyhow::Result<Verdict> {
    match command {
        PolicyCommand::Show(args) => show(args).await,
        PolicyCommand::Set(args) => set::run(args, user).await,
        PolicyCommand::Preview(args) => preview::run(args).await,
        PolicyCommand::History(args) => history::run(args).await,
    }
}

async fn show(args: &PolicyShowArgs) -> anyhow::Result<Verdict> {
    let service = Administration::connect(&args.service).await?;
    let request = GetPartnerPolicyRequest {
        partner_id: args.partner.clone(),
    };
    let answer = service
        .read(service.service().get_partner_policy(request))
        .await?;
    let text = if args.service.json {
        json::render("GetPartnerPolicyResponse", &answer)?
    } else {
        human(&answer.policy.unwrap_or_default())
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

fn human(policy: &PartnerPolicy) -> String {
    let mut text = String::new();
    let markets = match policy.billing_markets.join(", ") {
        none if none.is_empty() => "none enabled".to_owned(),
        markets => markets,
    };
    for (name, value) in [
        ("partner", policy.partner_id.clone()),
        ("markets", markets),
        ("revision", words::last_change(policy.revision)),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<10}{}", escaped(&value));
    }
    text.push('\n');
    text.push_str(&settings(&policy.settings));
    text
}

/// A table of settings.
pub(super) fn settings(settings: &BTreeMap<String, i32>) -> String {
    if settings.is_empty() {
        return "no settings\n".to_owned();
    }
    let mut rows = table(&["feature", "setting"]);
    for (feature, setting) in settings {
        rows.add_row([escaped(feature).into_owned(), words::setting(*setting)]);
    }
    render(&rows)
}

/// The settings to send.
fn assignments(settings: &[Assignment]) -> BTreeMap<String, i32> {
    let number = |setting| match setting {
        Some(domain::Setting::On) => Setting::On.into(),
        Some(domain::Setting::Off) => Setting::Off.into(),
        None => Setting::Unset.into(),
    };
    settings
        .iter()
        .map(|one| (one.feature.clone(), number(one.setting)))
        .collect()
}

/// The update to send, without its context.
fn update(args: &PolicyUpdateArgs) -> UpdatePartnerPolicyRequest {
    UpdatePartnerPolicyRequest {
        partner_id: args.partner.clone(),
        settings: assignments(&args.settings),
        enable_markets: args.enable_market.clone(),
        disable_markets: args.disable_market.clone(),
        context: None,
    }
}
