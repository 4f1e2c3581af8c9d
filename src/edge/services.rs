//! The services themselves, as generated code serves them.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;

use crate::grpc::{MAX_CATALOG_MESSAGE, MAX_MESSAGE, PolicyApi};
use crate::proto::v1::authorization_service_server::{
    AuthorizationService, AuthorizationServiceServer,
};
use crate::proto::v1::policy_service_server::PolicyServiceServer;

use super::methods::Service;

type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A service over gRPC.
pub trait Serves:
    tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Serves for S where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Every service on the gRPC port; `A` answers what accounts may do.
pub struct Services<A> {
    /// What answers, to be asked without what is around it.
    pub(super) api: Arc<A>,
    pub(super) authorization: AuthorizationServiceServer<A>,
    /// The same service with the message limit of FilterCatalog: tonic's limit is per service.
    pub(super) catalog: AuthorizationServiceServer<A>,
    pub(super) policy: PolicyServiceServer<PolicyApi>,
    /// The same service with the message limit of what writes the catalogue.
    pub(super) large_policy: PolicyServiceServer<PolicyApi>,
    pub(super) health: Boxed,
    /// v1 and v1alpha.
    pub(super) reflection: Option<[Boxed; 2]>,
}

impl<A: AuthorizationService> Services<A> {
    /// These, without reflection.
    #[must_use]
    pub fn new(api: A, policy: PolicyApi, health: impl Serves) -> Self {
        let api = Arc::new(api);
        let server = |limit| {
            AuthorizationServiceServer::from_arc(Arc::clone(&api)).max_decoding_message_size(limit)
        };
        let policy = Arc::new(policy);
        let policy_server = |limit| {
            PolicyServiceServer::from_arc(Arc::clone(&policy)).max_decoding_message_size(limit)
        };
        Self {
            api: Arc::clone(&api),
            authorization: server(MAX_MESSAGE),
            catalog: server(MAX_CATALOG_MESSAGE),
            policy: policy_server(MAX_MESSAGE),
            large_policy: policy_server(MAX_CATALOG_MESSAGE),
            health: BoxCloneSyncService::new(health),
            reflection: None,
        }
    }

    /// These, and reflection.
    #[must_use]
    pub fn with_reflection(self, v1: impl Serves, v1alpha: impl Serves) -> Self {
        let both = [
            BoxCloneSyncService::new(v1),
            BoxCloneSyncService::new(v1alpha),
        ];
        Self {
            reflection: Some(both),
            ..self
        }
    }

    pub(super) fn have(&self, service: Service) -> bool {
        match service {
            Service::Authorization | Service::Policy | Service::Health => true,
            Service::ReflectionV1 | Service::ReflectionV1Alpha => self.reflection.is_some(),
        }
    }
}

impl<A> std::fmt::Debug for Services<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("reflection", &self.reflection.is_some())
            .finish_non_exhaustive()
    }
}
