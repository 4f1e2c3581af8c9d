//! A handler that does nothing, for whichever generation of AuthorizationService.

use portcullis::grpc::{BatchAnswer, CatalogAnswer, CatalogRequest, ReadBatch};
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_server::AuthorizationService;
use tonic::{Request, Response, Status};

/// Writes `Nothing`, which answers CheckFeature alike whatever is asked, and nothing else.
#[macro_export]
macro_rules! do_nothing {
    ($v1:ident, [$batch_request:path, $batch_answer:path], [$catalog_request:path, $catalog_answer:path]) => {
        /// Answers CheckFeature alike whatever is asked, and nothing else.
        #[derive(Debug, Clone, Copy)]
        pub struct Nothing;

        #[tonic::async_trait]
        impl AuthorizationService for Nothing {
            async fn check_feature(
                &self,
                _request: Request<$v1::CheckFeatureRequest>,
            ) -> Result<Response<$v1::CheckFeatureResponse>, Status> {
                Ok(Response::new($v1::CheckFeatureResponse {
                    effect: $v1::Effect::Deny.into(),
                    reason: $v1::Reason::PartnerSetting.into(),
                    revision: 2,
                    stale: false,
                }))
            }

            async fn batch_check_features(
                &self,
                _request: Request<$batch_request>,
            ) -> Result<Response<$batch_answer>, Status> {
                Err(Status::unimplemented(""))
            }

            async fn list_features(
                &self,
                _request: Request<$v1::ListFeaturesRequest>,
            ) -> Result<Response<$v1::ListFeaturesResponse>, Status> {
                Err(Status::unimplemented(""))
            }

            async fn filter_catalog(
                &self,
                _request: Request<$catalog_request>,
            ) -> Result<Response<$catalog_answer>, Status> {
                Err(Status::unimplemented(""))
            }

            async fn resolve_recipients(
                &self,
                _request: Request<$v1::ResolveRecipientsRequest>,
            ) -> Result<Response<$v1::ResolveRecipientsResponse>, Status> {
                Err(Status::unimplemented(""))
            }

            type WatchChangesStream =
                tokio_stream::Empty<Result<$v1::WatchChangesResponse, Status>>;

            async fn watch_changes(
                &self,
                _request: Request<$v1::WatchChangesRequest>,
            ) -> Result<Response<Self::WatchChangesStream>, Status> {
                Err(Status::unimplemented(""))
            }
        }
    };
}

do_nothing!(
    v1,
    [ReadBatch, BatchAnswer],
    [CatalogRequest, CatalogAnswer]
);
