//! `policy set PARTNER FEATURE=SETTING`: changes what a partner has set.

use anyhow::bail;

use super::{assignments, human, settings, update};
use crate::cli::administration::{Administration, context};
use crate::cli::{Verdict, json, output, words};
use crate::config::PolicySetArgs;
use crate::config::text::escaped;
use crate::proto::v1::{
    ChangeContext, GetAccountRequest, UpdateAccountSettingsRequest, UpdatePartnerPolicyRequest,
};

pub(super) async fn run(args: &PolicySetArgs, user: Option<&str>) -> anyhow::Result<Verdict> {
    let service = Administration::connect(&args.service).await?;
    let context = context(&args.change, user);
    let text = match &args.account {
        None => policy(&service, args, context).await?,
        Some(account) => own(&service, args, account, context).await?,
    };
    output::print(&text)?;
    Ok(Verdict::Yes)
}

async fn policy(
    service: &Administration,
    args: &PolicySetArgs,
    context: ChangeContext,
) -> anyhow::Result<String> {
    let request = UpdatePartnerPolicyRequest {
        context: Some(context.clone()),
        ..update(&args.update)
    };
    let answer = service
        .write(&context, |mut service| {
            let request = request.clone();
            async move { service.update_partner_policy(request).await }
        })
        .await?;
    if args.service.json {
        return json::render("UpdatePartnerPolicyResponse", &answer);
    }
    Ok(human(&answer.policy.unwrap_or_default()))
}

/// The settings of one account, which has to be the partner's.
async fn own(
    service: &Administration,
    args: &PolicySetArgs,
    account: &str,
    context: ChangeContext,
) -> anyhow::Result<String> {
    let partner = &args.update.partner;
    let request = GetAccountRequest {
        account_id: account.to_owned(),
    };
    let found = service.read(service.service().get_account(request)).await?;
    let managed_by = found.account.unwrap_or_default().partner_id;
    if managed_by != *partner {
        let (account, partner) = (escaped(account), escaped(partner));
        match escaped(&managed_by) {
            none if none.is_empty() => bail!("account `{account}` is not a managed account"),
            another => bail!("account `{account}` is managed by `{another}`, not by `{partner}`"),
        }
    }
    let request = UpdateAccountSettingsRequest {
        account_id: account.to_owned(),
        settings: assignments(&args.update.settings),
        context: Some(context.clone()),
    };
    let answer = service
        .write(&context, |mut service| {
            let request = request.clone();
            async move { service.update_account_settings(request).await }
        })
        .await?;
    if args.service.json {
        return json::render("UpdateAccountSettingsResponse", &answer);
    }
    let mut text = format!("{:<10}{}\n", "account", escaped(account));
    let revision = words::last_change(answer.revision);
    text.push_str(&format!("{:<10}{revision}\n\n", "revision"));
    text.push_str(&settings(&answer.settings));
    Ok(text)
}
