//! `check ACCOUNT FEATURE`: one decision.

use super::client::Client;
use super::{Verdict, json, output, words};
use crate::config::CheckArgs;
use crate::config::text::escaped;

pub(super) async fn run(args: &CheckArgs) -> anyhow::Result<Verdict> {
    let client = Client::connect(&args.client).await?;
    let answer = client.check_feature(&args.account, &args.feature).await?;
    let (effect, verdict) = words::effect(answer.effect)?;
    if args.client.service.json {
        output::print(&json::render("CheckFeatureResponse", &answer)?)?;
        return Ok(verdict);
    }
    output::print(&format!(
        "{effect}  {}  {}  {}  ({})\n",
        escaped(&args.account),
        escaped(&args.feature),
        words::reason(answer.reason),
        words::revision(answer.revision, answer.stale)
    ))?;
    Ok(verdict)
}
