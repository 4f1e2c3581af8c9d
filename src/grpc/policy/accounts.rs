//! Accounts.

use tonic::Request;

use crate::domain::{Account, AccountId};
use crate::grpc::authorization::answer;
use crate::grpc::caller::Caller;
use crate::grpc::page_token::Listing;
use crate::grpc::parse::complete;
use crate::grpc::status::Violations;
use crate::grpc::{MAX_MESSAGE, encode as common};
use crate::proto::v1;
use crate::store::{AccountsPage, Write};

use super::{Answer, PolicyApi, context, encode, parse, told};

impl PolicyApi {
    pub(super) async fn account(
        &self,
        v1::GetAccountRequest { account_id }: v1::GetAccountRequest,
    ) -> Answer<v1::GetAccountResponse> {
        let id = parse::id("account_id", account_id)?;

        let found = self.administrator.account(&id).await.map_err(told)?;

        answer(
            v1::GetAccountResponse {
                settings: encode::settings(&found.settings),
                account: Some(common::account(found.account)),
                revision: found.revision.0,
            },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn accounts(
        &self,
        v1::ListAccountsRequest {
            partner_id,
            page_size,
            page_token,
        }: v1::ListAccountsRequest,
    ) -> Answer<v1::ListAccountsResponse> {
        let listing = Listing::new("ListAccounts").of([partner_id.as_str()]);
        let mut violations = Violations::default();
        let after = violations.take(|| "page_token".to_owned(), listing.position(&page_token));
        let partner = parse::optional_id(&mut violations, "partner_id", partner_id.clone());
        let limit = parse::page_size(&mut violations, page_size);
        let ((partner, after), limit) = complete(violations, partner.zip(after).zip(limit))?;

        let page = AccountsPage {
            partner,
            after,
            limit,
        };
        let found = self.administrator.accounts(&page).await.map_err(told)?;

        let last = found.items.last().filter(|_| found.more);
        let next = last.map(|last: &Account| listing.token(last.id.as_str()));
        answer(
            v1::ListAccountsResponse {
                accounts: found.items.into_iter().map(common::account).collect(),
                next_page_token: next.unwrap_or_default(),
            },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn put(
        &self,
        request: Request<v1::PutAccountRequest>,
    ) -> Answer<v1::PutAccountResponse> {
        let caller = Caller::of(&request);
        let mut message = request.into_inner();
        let mut violations = Violations::default();
        let by = context::take(&mut violations, &mut message, caller, "");
        let account = parse::account(&mut violations, message.account);
        let (account, by) = complete(violations, account.zip(by))?;

        let written = self.administrator.write(Write::PutAccount(account), by);
        let revision = written.await.map_err(told)?.revision.0;

        answer(v1::PutAccountResponse { revision }, MAX_MESSAGE)
    }

    pub(super) async fn delete(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Answer<v1::DeleteAccountResponse> {
        let caller = Caller::of(&request);
        let mut message = request.into_inner();
        let mut violations = Violations::default();
        let by = context::take(&mut violations, &mut message, caller, "");
        let account = AccountId::try_from(message.account_id);
        let account = violations.take(|| "account_id".to_owned(), account);
        let (account, by) = complete(violations, account.zip(by))?;

        let written = self.administrator.write(Write::DeleteAccount(account), by);
        let revision = written.await.map_err(told)?.revision.0;

        answer(v1::DeleteAccountResponse { revision }, MAX_MESSAGE)
    }
}
