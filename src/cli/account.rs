//! `account show|put|delete|list`: who there is.

use std::fmt::Write as _;

use super::administration::{Administration, context};
use super::table::{render, table};
use super::{Verdict, json, output, policy, words};
use crate::config::text::escaped;
use crate::config::{
    AccountCommand, AccountDeleteArgs, AccountListArgs, AccountPutArgs, AccountShowArgs, Kind,
    Support,
};
use crate::proto::v1::{
    Account, AccountKind, DeleteAccountRequest, GetAccountRequest, GetAccountResponse,
    ListAccountsRequest, ListAccountsResponse, PutAccountRequest, SupportProvider,
};

/// How many accounts are asked for with one call.
const PAGE: u32 = 1_000;

pub(super) async fn run(command: &AccountCommand, user: Option<&str>) -> anyhow::Result<Verdict> {
    let text = match command {
        AccountCommand::Show(args) => show(args).await,
        AccountCommand::Put(args) => put(args, user).await,
        AccountCommand::Delete(args) => delete(args, user).await,
        AccountCommand::List(args) => list(args).await,
    };
    output::print(&text?)?;
    Ok(Verdict::Yes)
}

async fn show(args: &AccountShowArgs) -> anyhow::Result<String> {
    let service = Administration::connect(&args.service).await?;
    let request = GetAccountRequest {
        account_id: args.account.clone(),
    };
    let answer = service.read(service.service().get_account(request)).await?;
    if args.service.json {
        return json::render("GetAccountResponse", &answer);
    }
    Ok(human(answer))
}

fn human(answer: GetAccountResponse) -> String {
    let account = answer.account.unwrap_or_default();
    let mut text = String::new();
    for (name, value) in [
        ("account", account.id),
        ("name", account.display_name),
        ("kind", words::kind(account.kind)),
        ("partner", account.partner_id),
        ("support", words::support(account.support_provider)),
        ("revision", words::last_change(answer.revision)),
    ] {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10}{}", escaped(&value));
        }
    }
    text.push('\n');
    text.push_str(&policy::settings(&answer.settings));
    text
}

async fn put(args: &AccountPutArgs, user: Option<&str>) -> anyhow::Result<String> {
    let service = Administration::connect(&args.service).await?;
    let context = context(&args.change, user);
    let kind = match args.kind {
        Kind::Direct => AccountKind::Direct,
        Kind::Partner => AccountKind::Partner,
        Kind::Managed => AccountKind::Managed,
    };
    let support = match args.support {
        None => SupportProvider::Unspecified,
        Some(Support::Partner) => SupportProvider::Partner,
        Some(Support::Platform) => SupportProvider::Platform,
    };
    let request = PutAccountRequest {
        account: Some(Account {
            id: args.account.clone(),
            kind: kind.into(),
            partner_id: args.partner.clone().unwrap_or_default(),
            support_provider: support.into(),
            display_name: args.display_name.clone().unwrap_or_default(),
        }),
        context: Some(context.clone()),
    };
    let answer = service
        .write(&context, |mut service| {
            let request = request.clone();
            async move { service.put_account(request).await }
        })
        .await?;
    if args.service.json {
        return json::render("PutAccountResponse", &answer);
    }
    Ok(done("put", &args.account, answer.revision))
}

async fn delete(args: &AccountDeleteArgs, user: Option<&str>) -> anyhow::Result<String> {
    let service = Administration::connect(&args.service).await?;
    let context = context(&args.change, user);
    let request = DeleteAccountRequest {
        account_id: args.account.clone(),
        context: Some(context.clone()),
    };
    let answer = service
        .write(&context, |mut service| {
            let request = request.clone();
            async move { service.delete_account(request).await }
        })
        .await?;
    if args.service.json {
        return json::render("DeleteAccountResponse", &answer);
    }
    Ok(done("deleted", &args.account, answer.revision))
}

fn done(what: &str, account: &str, revision: u64) -> String {
    let revision = words::revision(revision, false);
    format!("{what} {} ({revision})\n", escaped(account))
}

async fn list(args: &AccountListArgs) -> anyhow::Result<String> {
    let service = Administration::connect(&args.service).await?;
    let answer = fetch(&service, args).await?;
    if args.service.json {
        return json::render("ListAccountsResponse", &answer);
    }
    let mut rows = table(&["account", "kind", "partner", "support", "name"]);
    for account in &answer.accounts {
        rows.add_row([
            escaped(&account.id).into_owned(),
            words::kind(account.kind),
            escaped(&account.partner_id).into_owned(),
            words::support(account.support_provider),
            escaped(&account.display_name).into_owned(),
        ]);
    }
    if !answer.next_page_token.is_empty() {
        output::note("there are more: raise --limit");
    }
    if answer.accounts.is_empty() {
        return Ok("no accounts\n".to_owned());
    }
    Ok(render(&rows))
}

/// All pages as one answer, or as many accounts as were asked for.
async fn fetch(
    service: &Administration,
    args: &AccountListArgs,
) -> anyhow::Result<ListAccountsResponse> {
    let mut answer = ListAccountsResponse::default();
    loop {
        let have = u64::try_from(answer.accounts.len()).unwrap_or(u64::MAX);
        let wanted = args.limit.unwrap_or(u64::MAX).saturating_sub(have);
        if wanted == 0 {
            return Ok(answer);
        }
        let request = ListAccountsRequest {
            partner_id: args.partner.clone().unwrap_or_default(),
            page_size: u32::try_from(wanted).unwrap_or(u32::MAX).min(PAGE),
            page_token: std::mem::take(&mut answer.next_page_token),
        };
        let page = service
            .read(service.service().list_accounts(request))
            .await?;
        answer.accounts.extend(page.accounts);
        answer.next_page_token = page.next_page_token;
        if answer.next_page_token.is_empty() {
            return Ok(answer);
        }
    }
}
