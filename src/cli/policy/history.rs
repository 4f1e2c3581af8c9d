//! `policy history PARTNER`: who changed what, when and why.

use std::collections::VecDeque;

use super::change;
use crate::cli::administration::Administration;
use crate::cli::table::{render, table};
use crate::cli::{Verdict, json, output, words};
use crate::config::PolicyHistoryArgs;
use crate::config::text::escaped;
use crate::proto::v1::{ListPolicyChangesRequest, ListPolicyChangesResponse, PolicyChange};

/// How many changes are asked for with one call.
const PAGE: u32 = 1_000;

pub(super) async fn run(args: &PolicyHistoryArgs) -> anyhow::Result<Verdict> {
    let service = Administration::connect(&args.service).await?;
    let answer = fetch(&service, args).await?;
    let text = if args.service.json {
        json::render("ListPolicyChangesResponse", &answer)?
    } else {
        human(&answer.changes)
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

/// All pages as one answer, of which the last changes are kept that were asked for.
async fn fetch(
    service: &Administration,
    args: &PolicyHistoryArgs,
) -> anyhow::Result<ListPolicyChangesResponse> {
    let most = args.last.and_then(|last| usize::try_from(last).ok());
    let most = most.unwrap_or(usize::MAX);
    let mut request = ListPolicyChangesRequest {
        partner_id: args.partner.clone(),
        after_revision: args.after_revision,
        page_size: PAGE,
        ..ListPolicyChangesRequest::default()
    };
    let mut kept: VecDeque<PolicyChange> = VecDeque::new();
    loop {
        let call = request.clone();
        let page = service
            .read(service.service().list_policy_changes(call))
            .await?;
        kept.extend(page.changes);
        kept.drain(..kept.len().saturating_sub(most));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(ListPolicyChangesResponse {
        changes: kept.into(),
        next_page_token: String::new(),
    })
}

fn human(changes: &[PolicyChange]) -> String {
    if changes.is_empty() {
        return "no changes\n".to_owned();
    }
    let mut rows = table(&["revision", "when", "who", "what", "change", "why"]);
    for change in changes {
        rows.add_row([
            change.revision.to_string(),
            words::time(change.committed_at.as_ref()),
            who(change),
            escaped(&change::subject(change)).into_owned(),
            escaped(&change::summary(change)).into_owned(),
            escaped(&change.comment).into_owned(),
        ]);
    }
    render(&rows)
}

/// On whose behalf; and who called, where that is another who proved to be.
fn who(change: &PolicyChange) -> String {
    let PolicyChange { actor, caller, .. } = change;
    let who = match caller.as_str() {
        "" | "anonymous" => actor.clone(),
        caller if caller == actor => actor.clone(),
        caller => format!("{actor} (by {caller})"),
    };
    escaped(&who).into_owned()
}
