//! Partners' policies and the settings of single accounts.

use tonic::Request;

use crate::administrator::Refusal;
use crate::domain::AccountId;
use crate::grpc::authorization::answer;
use crate::grpc::caller::Caller;
use crate::grpc::parse::complete;
use crate::grpc::status::Violations;
use crate::grpc::{MAX_CATALOG_MESSAGE, MAX_MESSAGE, encode as common};
use crate::proto::v1;
use crate::store::{WriteError, WriteRefusal};

use super::{Answer, PolicyApi, context, encode, parse, told};

impl PolicyApi {
    pub(super) async fn policy(
        &self,
        v1::GetPartnerPolicyRequest { partner_id }: v1::GetPartnerPolicyRequest,
    ) -> Answer<v1::GetPartnerPolicyResponse> {
        let partner = parse::id("partner_id", partner_id)?;

        let policy = self.administrator.policy(&partner).await.map_err(told)?;

        let policy = Some(encode::policy(policy));
        answer(v1::GetPartnerPolicyResponse { policy }, MAX_MESSAGE)
    }

    pub(super) async fn update(
        &self,
        request: Request<v1::UpdatePartnerPolicyRequest>,
    ) -> Answer<v1::UpdatePartnerPolicyResponse> {
        let caller = Caller::of(&request);
        let mut message = request.into_inner();
        let mut violations = Violations::default();
        let by = context::take(&mut violations, &mut message, caller, "");
        let update = parse_update(&mut violations, "", message);
        let ((partner, update), by) = complete(violations, update.zip(by))?;

        let updated = self.administrator.update_policy(partner, update, by).await;

        let policy = encode::policy(updated.map_err(told)?);
        let revision = policy.revision;
        let policy = Some(policy);
        answer(
            v1::UpdatePartnerPolicyResponse { policy, revision },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn update_settings(
        &self,
        request: Request<v1::UpdateAccountSettingsRequest>,
    ) -> Answer<v1::UpdateAccountSettingsResponse> {
        let caller = Caller::of(&request);
        let mut message = request.into_inner();
        let mut violations = Violations::default();
        let by = context::take(&mut violations, &mut message, caller, "");
        let v1::UpdateAccountSettingsRequest {
            account_id,
            settings,
            context: _taken,
        } = message;
        let account = AccountId::try_from(account_id);
        let account = violations.take(|| "account_id".to_owned(), account);
        let settings = parse::settings(&mut violations, "", settings);
        let ((account, settings), by) = complete(violations, account.zip(settings).zip(by))?;

        let updated = self.administrator.update_settings(account, settings, by);
        let (settings, revision) = updated.await.map_err(told)?;

        answer(
            v1::UpdateAccountSettingsResponse {
                settings: encode::settings(&settings),
                revision: revision.0,
            },
            MAX_MESSAGE,
        )
    }

    pub(super) async fn preview(
        &self,
        request: Request<v1::PreviewPartnerPolicyRequest>,
    ) -> Answer<v1::PreviewPartnerPolicyResponse> {
        let caller = Caller::of(&request);
        let mut violations = Violations::default();
        let parsed = match request.into_inner().update {
            Some(mut message) => {
                let by = context::take(&mut violations, &mut message, caller, "update.");
                parse_update(&mut violations, "update.", message).zip(by)
            }
            None => {
                violations.add("update", "is missing; the update to try is accepted");
                None
            }
        };
        let ((partner, update), by) = complete(violations, parsed)?;

        let preview = self.administrator.preview(partner, update, by).await;
        let preview = preview.map_err(|refusal| told(within_update(refusal)))?;

        let changes = preview.changes.into_iter().map(|change| {
            let decision = |decision| Some(common::decision(change.feature.as_str(), decision));
            v1::DecisionChange {
                account_id: change.account.as_str().to_owned(),
                before: decision(change.before),
                after: decision(change.after),
            }
        });
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        answer(
            v1::PreviewPartnerPolicyResponse {
                changes: changes.collect(),
                locations_gained: number(preview.gained),
                locations_lost: number(preview.lost),
                accounts_affected: number(preview.affected),
                revision: preview.revision.0,
                changes_truncated: preview.truncated,
            },
            MAX_CATALOG_MESSAGE,
        )
    }
}

type Update = (AccountId, crate::administrator::PolicyUpdate);

/// What is to be updated; the context was taken before.
fn parse_update(
    violations: &mut Violations,
    prefix: &str,
    message: v1::UpdatePartnerPolicyRequest,
) -> Option<Update> {
    let v1::UpdatePartnerPolicyRequest {
        partner_id,
        settings,
        enable_markets,
        disable_markets,
        context: _taken,
    } = message;
    let markets = [enable_markets.as_slice(), disable_markets.as_slice()];
    parse::update(violations, prefix, partner_id, settings, markets)
}

/// The field that a plan names is one of the update, which is one of this request.
fn within_update(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Write(WriteError::Refused(WriteRefusal::Invalid { field, why })) => {
            let field = format!("update.{field}");
            WriteRefusal::Invalid { field, why }.into()
        }
        other @ (Refusal::Write(_) | Refusal::AccountInconsistent(_)) => other,
    }
}
