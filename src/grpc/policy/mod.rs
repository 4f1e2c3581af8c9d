//! PolicyService: parse a request, make one call, encode the answer.

mod accounts;
mod catalog;
mod context;
mod encode;
mod parse;
mod parse_catalog;
mod policies;
mod reading;

use tonic::{Request, Response, Status};

use crate::administrator::{Administrator, Refusal};
use crate::proto::v1;
use crate::proto::v1::policy_service_server::PolicyService;
use crate::store::WriteError;

/// PolicyService over an [`Administrator`].
#[derive(Debug, Clone)]
pub struct PolicyApi {
    administrator: Administrator,
}

impl PolicyApi {
    /// The service.
    #[must_use]
    pub fn new(administrator: Administrator) -> Self {
        Self { administrator }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn get_partner_policy(
        &self,
        request: Request<v1::GetPartnerPolicyRequest>,
    ) -> Answer<v1::GetPartnerPolicyResponse> {
        self.policy(request.into_inner()).await
    }

    async fn update_partner_policy(
        &self,
        request: Request<v1::UpdatePartnerPolicyRequest>,
    ) -> Answer<v1::UpdatePartnerPolicyResponse> {
        self.update(request).await
    }

    async fn update_account_settings(
        &self,
        request: Request<v1::UpdateAccountSettingsRequest>,
    ) -> Answer<v1::UpdateAccountSettingsResponse> {
        self.update_settings(request).await
    }

    async fn preview_partner_policy(
        &self,
        request: Request<v1::PreviewPartnerPolicyRequest>,
    ) -> Answer<v1::PreviewPartnerPolicyResponse> {
        self.preview(request).await
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Answer<v1::GetAccountResponse> {
        self.account(request.into_inner()).await
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Answer<v1::ListAccountsResponse> {
        self.accounts(request.into_inner()).await
    }

    async fn put_account(
        &self,
        request: Request<v1::PutAccountRequest>,
    ) -> Answer<v1::PutAccountResponse> {
        self.put(request).await
    }

    async fn delete_account(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Answer<v1::DeleteAccountResponse> {
        self.delete(request).await
    }

    async fn list_billing_markets(
        &self,
        request: Request<v1::ListBillingMarketsRequest>,
    ) -> Answer<v1::ListBillingMarketsResponse> {
        self.markets(request.into_inner()).await
    }

    async fn put_billing_markets(
        &self,
        request: Request<v1::PutBillingMarketsRequest>,
    ) -> Answer<v1::PutBillingMarketsResponse> {
        self.put_markets(request).await
    }

    async fn delete_billing_markets(
        &self,
        request: Request<v1::DeleteBillingMarketsRequest>,
    ) -> Answer<v1::DeleteBillingMarketsResponse> {
        self.delete_markets(request).await
    }

    async fn put_locations(
        &self,
        request: Request<v1::PutLocationsRequest>,
    ) -> Answer<v1::PutLocationsResponse> {
        self.put_places(request).await
    }

    async fn delete_locations(
        &self,
        request: Request<v1::DeleteLocationsRequest>,
    ) -> Answer<v1::DeleteLocationsResponse> {
        self.delete_places(request).await
    }

    async fn get_feature_matrix(
        &self,
        request: Request<v1::GetFeatureMatrixRequest>,
    ) -> Answer<v1::GetFeatureMatrixResponse> {
        self.matrix(request.into_inner())
    }

    async fn list_policy_changes(
        &self,
        request: Request<v1::ListPolicyChangesRequest>,
    ) -> Answer<v1::ListPolicyChangesResponse> {
        self.changes(request.into_inner()).await
    }

    async fn explain_feature(
        &self,
        request: Request<v1::ExplainFeatureRequest>,
    ) -> Answer<v1::ExplainFeatureResponse> {
        self.explain(request.into_inner()).await
    }
}

/// The status of a refusal. What the store is to blame for is logged here, where it ends: its status
/// tells less.
fn told(refusal: Refusal) -> Status {
    match &refusal {
        Refusal::Write(error @ (WriteError::Store(_) | WriteError::OutcomeUnknown(_))) => {
            let source = std::error::Error::source(error);
            let source = source.map_or_else(String::new, ToString::to_string);
            tracing::warn!(%error, source, "a call of PolicyService failed");
        }
        Refusal::Write(WriteError::Refused(_)) | Refusal::AccountInconsistent(_) => {}
    }
    refusal.into()
}
