//! `healthcheck`: asks a service whether it is ready. For images that hold no other program that
//! could.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::connection::Connection;
use super::{Verdict, output, refusal, words};
use crate::config::HealthcheckArgs;
use crate::config::load::plain;
use crate::config::text::escaped;
use crate::proto::v1::CheckFeatureRequest;
use crate::proto::v1::authorization_service_client::AuthorizationServiceClient;

const TIMEOUT: Duration = Duration::from_secs(2);
const LARGEST: u64 = 64 * 1024;

pub(super) async fn run(args: &HealthcheckArgs, over_grpc: bool) -> anyhow::Result<Verdict> {
    if over_grpc {
        return ask_service(args).await;
    }
    let address = reachable(args.http_listen);
    let answer = tokio::time::timeout(TIMEOUT, ask(address))
        .await
        .map_err(|_elapsed| anyhow!("`{address}` gave no answer within 2s"))?
        .map_err(|error| {
            anyhow!(
                "cannot ask `{address}`: {}; is `portcullis serve` running? `--http-listen` or \
                 `PORTCULLIS_HTTP_LISTEN` names another address",
                plain(&error)
            )
        })?;
    let (status, body) = parse(&answer)
        .ok_or_else(|| anyhow!("`{address}` does not answer as an HTTP server does"))?;
    if status != 200 {
        bail!("`{address}` answered {status}: {body}");
    }
    output::print(&format!("{body}\n"))?;
    Ok(Verdict::Yes)
}

/// Asks a service anywhere, over gRPC: first for its health, then for a decision. That there is no
/// such account shows as well that it works, and so does that who shows no proof may not ask.
async fn ask_service(args: &HealthcheckArgs) -> anyhow::Result<Verdict> {
    let connection = Connection::open(&args.service).await?;
    let mut health = HealthClient::new(connection.line());
    let whole = HealthCheckRequest {
        service: String::new(),
    };
    let healthy = connection.answer(health.check(whole)).await?;
    let status = healthy.status();
    if status != ServingStatus::Serving {
        bail!(
            "`{}` is there and not ready: {}",
            args.service.endpoint,
            status.as_str_name()
        );
    }
    let mut service = AuthorizationServiceClient::new(connection.line());
    let request = CheckFeatureRequest {
        account_id: args.account.clone(),
        feature: "services.order".to_owned(),
        consistency: None,
    };
    let check = match connection.outcome(service.check_feature(request)).await? {
        Ok(answer) => {
            let (effect, _) = words::effect(answer.effect)?;
            let reason = words::reason(answer.reason);
            format!(
                "{effect}  {}  services.order  {reason}",
                escaped(&args.account)
            )
        }
        Err(status) if is_answer(&status, args.service.is_proved()) => refusal::line(&status),
        Err(status) => {
            tell(args, None)?;
            return Err(connection.failure(&status));
        }
    };
    tell(args, Some(&check))?;
    Ok(Verdict::Yes)
}

/// Says that it is healthy, and what became of the check.
fn tell(args: &HealthcheckArgs, check: Option<&str>) -> anyhow::Result<()> {
    let text = match args.service.json {
        true => format!("{}\n", json!({ "health": "SERVING", "check": check })),
        false => {
            let check = check.map_or_else(String::new, |check| format!("check   {check}\n"));
            format!("health  SERVING\n{check}")
        }
    };
    output::print(&text)
}

fn is_answer(status: &Status, is_proved: bool) -> bool {
    let is_refusal = status.code() == Code::Unauthenticated;
    status.code() == Code::NotFound || (is_refusal && !is_proved)
}

/// An address to connect to: an unspecified one means every address of this machine.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// HTTP/1.0, so that the body ends with the connection and comes in one piece.
async fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(LARGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut first = head.lines().next()?.split(' ');
    if !first.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = first.next()?.parse().ok()?;
    // One line, whatever the server says.
    Some((status, body.trim().replace(['\r', '\n'], " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        for (address, want) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.1.2.3:9090", "10.1.2.3:9090"),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(reachable(address).to_string(), want);
        }
    }

    #[test]
    fn an_answer_has_a_status_and_words() {
        for (answer, want) in [
            (
                "HTTP/1.0 200 OK\r\na: b\r\n\r\nready\n",
                Some((200, "ready")),
            ),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready:\nstarting",
                Some((503, "not ready: starting")),
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
            ("", None),
        ] {
            let want = want.map(|(status, body)| (status, body.to_owned()));
            assert_eq!(parse(answer.as_bytes()), want);
        }
    }
}
