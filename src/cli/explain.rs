//! `explain ACCOUNT FEATURE`: why the answer is what it is.

use super::administration::Administration;
use super::table::{render, table};
use super::{Verdict, json, output, words};
use crate::config::ExplainArgs;
use crate::config::text::escaped;
use crate::proto::v1::{ExplainFeatureRequest, ExplainFeatureResponse, SettingOrigin};

pub(super) async fn run(args: &ExplainArgs) -> anyhow::Result<Verdict> {
    let service = Administration::connect(&args.service).await?;
    let request = ExplainFeatureRequest {
        account_id: args.account.clone(),
        feature: args.feature.clone(),
    };
    let answer = service
        .read(service.service().explain_feature(request))
        .await?;
    let decision = answer.decision.clone().unwrap_or_default();
    let (_, verdict) = words::effect(decision.effect)?;
    let text = if args.service.json {
        json::render("ExplainFeatureResponse", &answer)?
    } else {
        human(&answer)?
    };
    output::print(&text)?;
    Ok(verdict)
}

fn human(answer: &ExplainFeatureResponse) -> anyhow::Result<String> {
    let mut text = format!("{}\n\n", escaped(&answer.summary));
    let mut rules = table(&[
        "feature",
        "rule",
        "account setting",
        "partner setting",
        "decision",
    ]);
    let mut comments = String::new();
    for one in std::iter::once(answer).chain(&answer.required) {
        let decision = one.decision.clone().unwrap_or_default();
        let (effect, _) = words::effect(decision.effect)?;
        let setting = |origin: &Option<SettingOrigin>| {
            origin
                .as_ref()
                .map_or_else(|| "-".to_owned(), |origin| words::setting(origin.setting))
        };
        rules.add_row([
            escaped(&decision.feature).into_owned(),
            words::rule(one.rule),
            setting(&one.account_setting),
            setting(&one.partner_setting),
            format!("{effect} {}", words::reason(decision.reason)),
        ]);
        for (whose, origin) in [
            ("this account", &one.account_setting),
            ("all of its partner's accounts", &one.partner_setting),
        ] {
            if let Some(origin) = origin {
                comments.push_str(&told(&decision.feature, whose, origin));
            }
        }
    }
    text.push_str(&render(&rules));
    if !comments.is_empty() {
        text.push_str(&format!("\n{comments}"));
    }
    Ok(text)
}

/// Who made a setting, when and why.
fn told(feature: &str, whose: &str, origin: &SettingOrigin) -> String {
    let comment = match origin.comment.as_str() {
        "" => String::new(),
        comment => format!(": {comment}"),
    };
    let line = format!(
        "{feature}={} for {whose}, by {} in revision {} at {}{comment}",
        words::setting(origin.setting),
        origin.actor,
        origin.revision,
        words::time(origin.committed_at.as_ref()),
    );
    format!("{}\n", escaped(&line))
}
