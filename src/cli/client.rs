//! A connection to a running service.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::refusal;
use crate::config::{self, ClientArgs};
use crate::grpc::MAX_CATALOG_MESSAGE;
use crate::proto::v1::authorization_service_client::AuthorizationServiceClient;
use crate::proto::v1::{
    CheckFeatureRequest, CheckFeatureResponse, Consistency, FilterCatalogRequest,
    FilterCatalogResponse, ListFeaturesRequest, ListFeaturesResponse, consistency,
};

/// A connection, and how to ask over it.
#[derive(Debug)]
pub(super) struct Client {
    service: AuthorizationServiceClient<Channel>,
    endpoint: config::Endpoint,
    timeout: Duration,
    consistency: Option<Consistency>,
}

impl Client {
    /// Connects to the service that `args` name.
    pub(super) async fn connect(args: &ClientArgs) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(args.endpoint.url())?
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(args.timeout);
        let channel = tokio::time::timeout(args.timeout, endpoint.connect())
            .await
            .map_err(|_elapsed| unreachable(&args.endpoint, &no_answer(args.timeout)))?
            .map_err(|error| unreachable(&args.endpoint, &innermost(&error)))?;
        let service =
            AuthorizationServiceClient::new(channel).max_decoding_message_size(MAX_CATALOG_MESSAGE);
        Ok(Self {
            service,
            endpoint: args.endpoint.clone(),
            timeout: args.timeout,
            consistency: requirement_of(args),
        })
    }

    /// CheckFeature.
    pub(super) async fn check_feature(
        &self,
        account: &str,
        feature: &str,
    ) -> anyhow::Result<CheckFeatureResponse> {
        let request = CheckFeatureRequest {
            account_id: account.to_owned(),
            feature: feature.to_owned(),
            consistency: self.consistency,
        };
        self.answer(self.service.clone().check_feature(request))
            .await
    }

    /// ListFeatures.
    pub(super) async fn list_features(
        &self,
        account: &str,
    ) -> anyhow::Result<ListFeaturesResponse> {
        let request = ListFeaturesRequest {
            account_id: account.to_owned(),
            consistency: self.consistency,
        };
        self.answer(self.service.clone().list_features(request))
            .await
    }

    /// FilterCatalog; the connection's consistency is added to the request.
    pub(super) async fn filter_catalog(
        &self,
        request: FilterCatalogRequest,
    ) -> anyhow::Result<FilterCatalogResponse> {
        let request = FilterCatalogRequest {
            consistency: self.consistency,
            ..request
        };
        self.answer(self.service.clone().filter_catalog(request))
            .await
    }

    /// Waits for an answer, and no longer than was asked for.
    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> anyhow::Result<T> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failure(&status)),
            Err(_) => Err(anyhow!(
                "`{}` gave {} (--timeout)",
                self.endpoint,
                no_answer(self.timeout)
            )),
        }
    }

    fn failure(&self, status: &Status) -> anyhow::Error {
        match status.source() {
            // The service said nothing: the connection failed, or it is not one of gRPC.
            Some(source) => anyhow!(
                "the call to `{}` failed: {}; is gRPC served there?",
                self.endpoint,
                innermost(source)
            ),
            None => anyhow!("`{}` answered {}", self.endpoint, refusal::line(status)),
        }
    }
}

fn requirement_of(args: &ClientArgs) -> Option<Consistency> {
    let requirement = match (args.at_least_revision, args.fully_consistent) {
        (Some(revision), _) => consistency::Requirement::AtLeastRevision(revision),
        (None, true) => consistency::Requirement::FullyConsistent(true),
        (None, false) => return None,
    };
    Some(Consistency {
        requirement: Some(requirement),
    })
}

fn no_answer(timeout: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(timeout))
}

fn unreachable(endpoint: &config::Endpoint, why: &str) -> anyhow::Error {
    anyhow!(
        "cannot reach `{endpoint}`: {why}; is `portcullis serve` running there? `--endpoint` or \
         `PORTCULLIS_ENDPOINT` names another"
    )
}

/// The last of the causes: the others only say that there is one.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.downcast_ref::<std::io::Error>()
        .map_or_else(|| last.to_string(), config::load::plain)
}
