//! AuthorizationService, as the commands ask it.

use super::connection::{Connection, Line};
use crate::config::ClientArgs;
use crate::grpc::MAX_CATALOG_MESSAGE;
use crate::proto::v1::authorization_service_client::AuthorizationServiceClient;
use crate::proto::v1::{
    CheckFeatureRequest, CheckFeatureResponse, Consistency, FilterCatalogRequest,
    FilterCatalogResponse, ListFeaturesRequest, ListFeaturesResponse, consistency,
};

/// A connection, and how to ask over it.
#[derive(Debug)]
pub(super) struct Client {
    service: AuthorizationServiceClient<Line>,
    connection: Connection,
    consistency: Option<Consistency>,
}

impl Client {
    /// Connects to the service that `args` name.
    pub(super) async fn connect(args: &ClientArgs) -> anyhow::Result<Self> {
        let connection = Connection::open(&args.service).await?;
        let service = AuthorizationServiceClient::new(connection.line())
            .max_decoding_message_size(MAX_CATALOG_MESSAGE);
        Ok(Self {
            service,
            connection,
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
        let mut service = self.service.clone();
        Ok(self
            .connection
            .answer(service.check_feature(request))
            .await?)
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
        let mut service = self.service.clone();
        Ok(self
            .connection
            .answer(service.list_features(request))
            .await?)
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
        let mut service = self.service.clone();
        Ok(self
            .connection
            .answer(service.filter_catalog(request))
            .await?)
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
