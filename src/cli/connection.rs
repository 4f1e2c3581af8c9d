//! A connection to a running service, and what is said where it does not answer.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::proof::{self, Bearer};
use super::refusal;
use crate::config::{self, Scheme, ServiceArgs};

/// What calls are made over: each of them has the token, where there is one.
pub(super) type Line = InterceptedService<Channel, Bearer>;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    channel: Channel,
    bearer: Bearer,
    args: ServiceArgs,
}

/// What bytes go over: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

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
        let bearer = Bearer::read(args)?;
        let tls = proof::tls(args)?;
        // TLS is the connector's: by an address that said so the library would want it of its own.
        let endpoint = Endpoint::from_shared(args.endpoint.url(Scheme::Http))?
            .origin(args.endpoint.url(args.scheme()).parse()?)
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(args.timeout);
        let to = args.endpoint.clone();
        let connector = service_fn(move |_: Uri| {
            let (tls, to) = (tls.clone(), to.clone());
            async move {
                let stream = TcpStream::connect((to.host(), to.port())).await?;
                // Questions are small and awaited: waiting to fill a segment would only delay them.
                let _ = stream.set_nodelay(true);
                let stream: Box<dyn Stream> = match tls {
                    Some(tls) => Box::new(proof::handshake(&tls, stream, &to).await?),
                    None => Box::new(stream),
                };
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let connecting = endpoint.connect_with_connector(connector);
        let channel = tokio::time::timeout(args.timeout, connecting)
            .await
            .map_err(|_elapsed| unreachable(&args.endpoint, &no_answer(args.timeout)))?
            .map_err(|error| match tls_error(&error) {
                Some(tls) => anyhow!(
                    "no TLS with `{}`: {}",
                    args.endpoint,
                    proof::in_words(tls, &args.endpoint)
                ),
                None => unreachable(&args.endpoint, &innermost(&error)),
            })?;
        Ok(Self {
            channel,
            bearer,
            args: args.clone(),
        })
    }

    /// The connection, for a client of one service.
    pub(super) fn line(&self) -> Line {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// Waits for an answer, and no longer than was asked for.
    pub(super) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.outcome(call).await?.map_err(|status| Failure {
            is_open: is_open(&status),
            error: self.failure(&status),
        })
    }

    /// The same, for who has a use for a status that is no answer.
    pub(super) async fn outcome<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<T, Status>, Failure> {
        match tokio::time::timeout(self.args.timeout, call).await {
            Ok(answered) => Ok(answered.map(Response::into_inner)),
            Err(_) => Err(Failure {
                error: anyhow!(
                    "`{}` gave {} (--timeout)",
                    self.args.endpoint,
                    no_answer(self.args.timeout)
                ),
                is_open: true,
            }),
        }
    }

    /// What to say of a status that is no answer.
    pub(super) fn failure(&self, status: &Status) -> anyhow::Error {
        let endpoint = &self.args.endpoint;
        let has_proof = self.args.tls_cert.is_some() || self.args.token_file.is_some();
        match status.source() {
            // The service said nothing: the connection failed, or it is not one of gRPC.
            Some(source) => {
                let hint = match self.args.scheme() {
                    Scheme::Http => "is gRPC served there, and without TLS?",
                    // With TLS 1.3 it tells only now.
                    Scheme::Https if self.args.tls_cert.is_some() => {
                        "does it accept the certificate of `--tls-cert`?"
                    }
                    Scheme::Https => "is gRPC served there?",
                };
                anyhow!(
                    "the call to `{endpoint}` failed: {}; {hint}",
                    innermost(source)
                )
            }
            None if status.code() == Code::Unauthenticated && !has_proof => anyhow!(
                "`{endpoint}` answered {}; `--token-file`, or `--tls-cert` and `--tls-key`, prove \
                 who you are",
                refusal::line(status)
            ),
            None => anyhow!("`{endpoint}` answered {}", refusal::line(status)),
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

/// The error of TLS that it comes from, if it is one.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>();
        if let Some(inner) = inner.and_then(std::io::Error::get_ref) {
            return inner.downcast_ref();
        }
        cause = error.source();
    }
    None
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
