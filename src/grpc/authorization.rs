//! AuthorizationService.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::authorizer::{Authorizer, FeatureCheck};
use crate::decisions::{Call, DecisionLog};
use crate::directory::Resolved;
use crate::domain::{AccountId, Revision};
use crate::proto::v1;
use crate::proto::v1::authorization_service_server::AuthorizationService;

use super::batch::{BatchAnswer, ReadBatch};
use super::caller::{proved, request_id};
use super::catalog::{CatalogAnswer, CatalogRequest, WrittenCatalogs};
use super::status::{Violations, answer_too_large, item, malformed_item, stopping};
use super::{MAX_MESSAGE, encode, parse};

/// The most checks in a batch.
const MAX_CHECKS: usize = 1_000;
/// The most accounts whose recipients are resolved at once.
const MAX_RECIPIENT_ACCOUNTS: usize = 10_000;

/// AuthorizationService over an [`Authorizer`].
#[derive(Debug, Clone)]
pub struct AuthorizationApi {
    pub(super) authorizer: Authorizer,
    /// The stored catalogue, written.
    pub(super) catalogs: Arc<WrittenCatalogs>,
    decisions: DecisionLog,
}

impl AuthorizationApi {
    /// The service, without a log of its decisions.
    #[must_use]
    pub fn new(authorizer: Authorizer) -> Self {
        let decisions = DecisionLog::off();
        Self {
            authorizer,
            catalogs: Arc::default(),
            decisions,
        }
    }

    /// It, with this log of its decisions.
    #[must_use]
    pub fn with_decision_log(self, decisions: DecisionLog) -> Self {
        Self { decisions, ..self }
    }

    /// What is noted of this call of `method`.
    fn call<T>(&self, method: &'static str, request: &Request<T>) -> Call<'_> {
        self.decisions
            .call(method, || (proved(request).cloned(), request_id(request)))
    }
}

#[tonic::async_trait]
impl AuthorizationService for AuthorizationApi {
    async fn check_feature(
        &self,
        request: Request<v1::CheckFeatureRequest>,
    ) -> Result<Response<v1::CheckFeatureResponse>, Status> {
        let mut call = self.call("CheckFeature", &request);
        let v1::CheckFeatureRequest {
            account_id,
            feature,
            consistency,
        } = request.into_inner();
        let account = parse::check(&account_id, &feature, str::to_owned)?;
        let asked = call.keep(&account);
        let consistency = parse::consistency(consistency.as_ref());

        let resolved = self
            .authorizer
            .check_feature(account, &feature, consistency)
            .await?;

        call.decided(asked.as_ref(), &feature, resolved.value);
        call.answered(resolved.revision, resolved.stale);
        Ok(Response::new(v1::CheckFeatureResponse {
            effect: encode::effect(resolved.value.effect).into(),
            reason: encode::reason(resolved.value.reason).into(),
            revision: resolved.revision.0,
            stale: resolved.stale,
        }))
    }

    async fn batch_check_features(
        &self,
        request: Request<ReadBatch>,
    ) -> Result<Response<BatchAnswer>, Status> {
        let mut call = self.call("BatchCheckFeatures", &request);
        let read = request.into_inner();
        let mut violations = Violations::default();
        parse::count(&mut violations, "checks", read.len(), MAX_CHECKS);
        violations.none()?;
        // What is malformed is left out of the batch and keeps its place in the answer.
        let mut batch = Vec::with_capacity(read.len());
        let mut malformed = Vec::new();
        for (index, (account, feature)) in read.checks().enumerate() {
            let path = |field: &str| format!("checks[{index}].{field}");
            match parse::check(account, feature, path) {
                Ok(account) => batch.push(FeatureCheck { account, feature }),
                Err(status) => malformed.push((index, status)),
            }
        }
        let asked = call.keep(&batch);

        let resolved = self
            .authorizer
            .check_features(batch, parse::consistency(read.consistency.as_ref()))
            .await?;

        let Resolved {
            value: decisions,
            revision,
            stale,
        } = resolved;
        let mut asked = asked.iter().flatten();
        let mut decisions = decisions.into_iter();
        let mut malformed = malformed.into_iter().peekable();
        let mut answer = BatchAnswer::new(read.len(), revision, stale);
        for (index, (_, feature)) in read.checks().enumerate() {
            if let Some((_, status)) = malformed.next_if(|(place, _)| *place == index) {
                answer.failed(item(&status));
                continue;
            }
            let kept = asked.next();
            match decisions.next() {
                Some(Ok(decision)) => {
                    call.decided(kept.map(|check| &check.account), feature, decision);
                    answer.decided(feature, decision);
                }
                Some(Err(refusal)) => answer.failed(item(&refusal.into())),
                None => answer.failed(item(&Status::internal("a decision was lost"))),
            }
        }
        fits(answer.encoded_len(), MAX_MESSAGE)?;
        call.answered(revision, stale);
        Ok(Response::new(answer))
    }

    async fn list_features(
        &self,
        request: Request<v1::ListFeaturesRequest>,
    ) -> Result<Response<v1::ListFeaturesResponse>, Status> {
        let mut call = self.call("ListFeatures", &request);
        let v1::ListFeaturesRequest {
            account_id,
            consistency,
        } = request.into_inner();
        let account = parse::account_id(account_id)?;

        let resolved = self
            .authorizer
            .list_features(account, parse::consistency(consistency.as_ref()))
            .await?;

        let features = resolved.value;
        for (feature, decision) in &features.decisions {
            call.decided(Some(&features.account.id), feature.as_str(), *decision);
        }
        let answer = answer(
            v1::ListFeaturesResponse {
                billing_account_id: features.account.billing_account().as_str().to_owned(),
                account: Some(encode::account(features.account)),
                decisions: features
                    .decisions
                    .into_iter()
                    .map(|(feature, decision)| encode::decision(feature.as_str(), decision))
                    .collect(),
                revision: resolved.revision.0,
                stale: resolved.stale,
            },
            MAX_MESSAGE,
        )?;
        call.answered(resolved.revision, resolved.stale);
        Ok(answer)
    }

    async fn filter_catalog(
        &self,
        request: Request<CatalogRequest>,
    ) -> Result<Response<CatalogAnswer>, Status> {
        let call = self.call("FilterCatalog", &request);
        self.filter(request.into_inner(), call).await
    }

    async fn resolve_recipients(
        &self,
        request: Request<v1::ResolveRecipientsRequest>,
    ) -> Result<Response<v1::ResolveRecipientsResponse>, Status> {
        let mut call = self.call("ResolveRecipients", &request);
        let v1::ResolveRecipientsRequest {
            kind,
            account_ids,
            consistency,
        } = request.into_inner();
        let mut violations = Violations::default();
        let kind = violations.take(|| "kind".to_owned(), parse::notification_kind(kind));
        parse::count(
            &mut violations,
            "account_ids",
            account_ids.len(),
            MAX_RECIPIENT_ACCOUNTS,
        );
        let kind = parse::complete(violations, kind)?;
        let wanted = wanted(account_ids);
        let asked = wanted.len();
        let accounts = wanted
            .iter()
            .filter_map(|(_, parsed)| parsed.as_ref().ok().cloned())
            .collect();

        let consistency = parse::consistency(consistency.as_ref());
        let Resolved {
            value: mut routing,
            revision,
            stale,
        } = self
            .authorizer
            .resolve_recipients(kind, accounts, consistency)
            .await?;

        let recipients: Vec<_> = routing
            .recipients
            .into_iter()
            .map(|(account, recipient)| v1::Recipient {
                account_id: account.into(),
                directly_affected: recipient.directly_affected,
                on_behalf_of: recipient
                    .on_behalf_of
                    .into_iter()
                    .map(String::from)
                    .collect(),
            })
            .collect();
        let unresolved: Vec<_> = wanted
            .into_iter()
            .filter_map(|(account_id, parsed)| {
                let status = match parsed {
                    Ok(account) => routing.unresolved.remove(&account)?.into(),
                    Err(status) => status,
                };
                Some(v1::UnresolvedAccount {
                    account_id,
                    error: Some(item(&status)),
                })
            })
            .collect();
        call.routed(kind, asked, recipients.len(), unresolved.len());
        let answer = answer(
            v1::ResolveRecipientsResponse {
                recipients,
                unresolved,
                revision: revision.0,
                stale,
            },
            MAX_MESSAGE,
        )?;
        call.answered(revision, stale);
        Ok(answer)
    }

    type WatchChangesStream = BoxStream<'static, Result<v1::WatchChangesResponse, Status>>;

    async fn watch_changes(
        &self,
        request: Request<v1::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let after = request.into_inner().after_revision.map(Revision);
        let events = self.authorizer.watch_changes(after).await?;
        let told = events.map(|event| Ok(encode::watch_event(event)));
        // It ends before its caller wants it to where the service does.
        let end = stream::once(async { Err(stopping()) });
        Ok(Response::new(told.chain(end).boxed()))
    }
}

/// The accounts of a request, each once, in its order, with what is wrong where something is.
fn wanted(account_ids: Vec<String>) -> Vec<(String, Result<AccountId, Status>)> {
    let mut seen = HashSet::new();
    let first = |(_, id): &(usize, String)| seen.insert(id.clone());
    let parse = |(index, id): (usize, String)| {
        let malformed = |_| malformed_item(format!("account_ids[{index}]"), AccountId::ACCEPTED);
        let account = AccountId::try_from(id.as_str()).map_err(malformed);
        (id, account)
    };
    account_ids
        .into_iter()
        .enumerate()
        .filter(first)
        .map(parse)
        .collect()
}

/// An answer that fits into a message.
pub(super) fn answer<T: Message>(message: T, limit: usize) -> Result<Response<T>, Status> {
    fits(message.encoded_len(), limit)?;
    Ok(Response::new(message))
}

/// Whether an answer of so many bytes fits into a message.
pub(super) fn fits(bytes: usize, limit: usize) -> Result<(), Status> {
    match bytes > limit {
        true => Err(answer_too_large(bytes, limit)),
        false => Ok(()),
    }
}
