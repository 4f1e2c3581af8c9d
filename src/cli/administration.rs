//! PolicyService, as the commands ask it; and a write that is repeated where its outcome is open.

use tonic::{Response, Status};
use uuid::Uuid;

use super::connection::{Connection, Failure, Line};
use super::output;
use crate::config::{ChangeArgs, ServiceArgs};
use crate::grpc::MAX_CATALOG_MESSAGE;
use crate::proto::v1::ChangeContext;
use crate::proto::v1::policy_service_client::PolicyServiceClient;
use crate::store::MAX_ACTOR;

/// A connection for those who look after policies.
#[derive(Debug)]
pub(super) struct Administration {
    service: PolicyServiceClient<Line>,
    connection: Connection,
}

impl Administration {
    /// Connects to the service that `args` name.
    pub(super) async fn connect(args: &ServiceArgs) -> anyhow::Result<Self> {
        let connection = Connection::open(args).await?;
        let service = PolicyServiceClient::new(connection.line())
            .max_decoding_message_size(MAX_CATALOG_MESSAGE);
        Ok(Self {
            service,
            connection,
        })
    }

    /// A client to make one call with.
    pub(super) fn service(&self) -> PolicyServiceClient<Line> {
        self.service.clone()
    }

    /// Reads: one call.
    pub(super) async fn read<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> anyhow::Result<T> {
        Ok(self.connection.answer(call).await?)
    }

    /// Writes. Where it is not known whether that was done, once more with the same key, which
    /// settles it.
    ///
    /// # Errors
    /// Where it was refused. Where it is still not known, the key is in the message.
    pub(super) async fn write<T, F>(
        &self,
        context: &ChangeContext,
        call: impl Fn(PolicyServiceClient<Line>) -> F,
    ) -> anyhow::Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match self.connection.answer(call(self.service())).await {
            Ok(answer) => return Ok(answer),
            Err(Failure {
                error,
                is_open: false,
            }) => return Err(error),
            Err(Failure { error, .. }) => {
                output::warn(&format!("{error}; asking again with the same key"));
            }
        }
        match self.connection.answer(call(self.service())).await {
            Ok(answer) => Ok(answer),
            Err(Failure {
                error,
                is_open: false,
            }) => Err(error),
            Err(Failure { error, .. }) => Err(error.context(format!(
                "the change may have been made, or not; the same command with `--idempotency-key \
                 {}` is safe and tells",
                context.idempotency_key
            ))),
        }
    }
}

/// Who and why, with a key: the one that was given, or a new one. `user` is who runs the program.
pub(super) fn context(args: &ChangeArgs, user: Option<&str>) -> ChangeContext {
    let user = || user.map(|user| user.chars().take(MAX_ACTOR).collect());
    let key = args.idempotency_key.clone();
    ChangeContext {
        actor: args.actor.clone().or_else(user).unwrap_or_default(),
        comment: args.comment.clone().unwrap_or_default(),
        expected_revision: args.expect_revision,
        idempotency_key: key.unwrap_or_else(|| Uuid::new_v4().to_string()),
    }
}
