//! A connection to a running service, and what is said where it does not answer.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::refusal;
use crate::config::{self, ServiceArgs};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    channel: Channel,
    endpoint: config::Endpoint,
    timeout: Duration,
}

/// A call that was not answered as it was hoped.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to say of it.
    pub(super) error: anyhow::Error,
    /// Whether what was asked for may have been done all the same.
    pub(super) is_open: bool,
}

impl Connection {
    /// Connects to the service that `args` name.
    pub(super) async fn open(args: &ServiceArgs) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(args.endpoint.url(args.scheme()))?
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(args.timeout);
        let channel = tokio::time::timeout(args.timeout, endpoint.connect())
            .await
            .map_err(|_elapsed| unreachable(&args.endpoint, &no_answer(args.timeout)))?
            .map_err(|error| unreachable(&args.endpoint, &innermost(&error)))?;
        Ok(Self {
            channel,
            endpoint: args.endpoint.clone(),
            timeout: args.timeout,
        })
    }

    /// The connection, for a client of one service.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits for an answer, and no longer than was asked for.
    pub(super) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Failure {
                is_open: is_open(&status),
                error: self.failure(&status),
            }),
            Err(_) => Err(Failure {
                error: anyhow!(
                    "`{}` gave {} (--timeout)",
                    self.endpoint,
                    no_answer(self.timeout)
                ),
                is_open: true,
            }),
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

impl From<Failure> for anyhow::Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Whether a write that got this status may have been made: the service does not know, or it was not
/// the service that said so, but something on the way.
fn is_open(status: &Status) -> bool {
    let on_the_way = matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
    );
    match status.get_details_error_info() {
        Some(info) => ["OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED"].contains(&info.reason.as_str()),
        None => on_the_way || status.code() == Code::DeadlineExceeded,
    }
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

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_write_may_have_been_made_where_nobody_says_that_it_was_not() {
        let said = |code, reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "portcullis", []);
            Status::with_error_details(code, "why", details)
        };
        for (status, want) in [
            (said(Code::Unknown, "OUTCOME_UNKNOWN"), true),
            (said(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), true),
            (Status::unavailable("connection reset"), true),
            (Status::cancelled("stream closed"), true),
            (said(Code::Unavailable, "STORE_UNAVAILABLE"), false),
            (said(Code::Aborted, "REVISION_MISMATCH"), false),
            (Status::unimplemented("no such method"), false),
        ] {
            assert_eq!(is_open(&status), want, "{status:?}");
        }
    }
}
