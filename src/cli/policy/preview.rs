//! `policy preview PARTNER FEATURE=SETTING`: what a change would do.

use super::update;
use crate::cli::administration::Administration;
use crate::cli::table::{render, table};
use crate::cli::{Verdict, json, output, words};
use crate::config::text::escaped;
use crate::config::{Endpoint, PolicyPreviewArgs, PolicyUpdateArgs, ServiceArgs};
use crate::proto::v1::{
    ChangeContext, Decision, PreviewPartnerPolicyRequest, PreviewPartnerPolicyResponse,
    UpdatePartnerPolicyRequest,
};

pub(super) async fn run(args: &PolicyPreviewArgs) -> anyhow::Result<Verdict> {
    let service = Administration::connect(&args.service).await?;
    let request = PreviewPartnerPolicyRequest {
        update: Some(UpdatePartnerPolicyRequest {
            context: Some(ChangeContext {
                expected_revision: args.expect_revision,
                ..ChangeContext::default()
            }),
            ..update(&args.update)
        }),
    };
    let answer = service
        .read(service.service().preview_partner_policy(request))
        .await?;
    let text = if args.service.json {
        json::render("PreviewPartnerPolicyResponse", &answer)?
    } else {
        human(&answer, args)?
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

fn human(
    answer: &PreviewPartnerPolicyResponse,
    args: &PolicyPreviewArgs,
) -> anyhow::Result<String> {
    let mut text = String::new();
    if !answer.changes.is_empty() {
        let mut rows = table(&["account", "feature", "now", "then"]);
        for change in &answer.changes {
            let then = change.after.clone().unwrap_or_default();
            rows.add_row([
                escaped(&change.account_id).into_owned(),
                escaped(&then.feature).into_owned(),
                decision(&change.before.clone().unwrap_or_default())?,
                decision(&then)?,
            ]);
        }
        text = format!("{}\n", render(&rows));
    }
    let changes = words::count(answer.changes.len(), "decision", "decisions");
    let more = if answer.changes_truncated {
        "; there are more"
    } else {
        ""
    };
    let count = |number: u32, one, many| {
        words::count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
    };
    text.push_str(&format!(
        "{} affected, {changes} changed{more}\n{} gained, {} lost\n",
        count(answer.accounts_affected, "account", "accounts"),
        count(answer.locations_gained, "location", "locations"),
        answer.locations_lost,
    ));
    text.push_str(&format!(
        "to make exactly this change, or none: {} --expect-revision {}{}\n",
        escaped(&command(&args.update)),
        answer.revision,
        escaped(&again(&args.service))
    ));
    Ok(text)
}

/// `deny PLATFORM_DEFAULT`.
fn decision(decision: &Decision) -> anyhow::Result<String> {
    let (effect, _) = words::effect(decision.effect)?;
    Ok(format!("{effect} {}", words::reason(decision.reason)))
}

/// The flags by which the same service is asked again, where the default is another.
fn again(service: &ServiceArgs) -> String {
    let mut flags = match service.endpoint.to_string().as_str() {
        Endpoint::DEFAULT => String::new(),
        other => format!(" --endpoint {other}"),
    };
    for (long, file) in service.proofs() {
        flags.push_str(&format!(" --{long} {}", quoted(&file.to_string_lossy())));
    }
    flags
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command that makes the change. The service accepted every word of it, so none has to be
/// quoted for a shell.
fn command(args: &PolicyUpdateArgs) -> String {
    let mut command = format!("portcullis policy set {}", args.partner);
    for one in &args.settings {
        let setting = one.setting.map_or("unset", |setting| setting.as_str());
        command.push_str(&format!(" {}={setting}", one.feature));
    }
    for (flag, codes) in [
        ("enable-market", &args.enable_market),
        ("disable-market", &args.disable_market),
    ] {
        if !codes.is_empty() {
            command.push_str(&format!(" --{flag} {}", codes.join(",")));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_for_a_shell_where_it_has_to_be() {
        for (word, want) in [
            ("/etc/tls/ca.pem", "/etc/tls/ca.pem"),
            ("my ca.pem", "'my ca.pem'"),
            ("it's;rm", r"'it'\''s;rm'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), want);
        }
    }
}
