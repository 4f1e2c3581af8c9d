//! HTTP/2 below gRPC: requests that no gRPC client would send, and answers as they come.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::within;

/// The path of a method of AuthorizationService.
pub fn path(method: &str) -> String {
    format!("/portcullis.v1.AuthorizationService/{method}")
}

/// A message as gRPC frames it.
pub fn frame(message: &[u8]) -> Bytes {
    flagged(0, message)
}

/// A message with the flag that says whether it is compressed.
pub fn flagged(flag: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(flag);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(message);
    frame.freeze()
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Whether it ended with its headers.
    pub headers_alone: bool,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// The status that gRPC reads from it, from the trailers or else from the headers.
    pub fn grpc(&self) -> Option<tonic::Status> {
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        tonic::Status::from_header_map(trailers)
    }
}

/// How many bytes of an answer are taken at once.
const WINDOW: u32 = 1 << 20;

/// A connection.
pub struct Connection {
    pub requests: SendRequest<Bytes>,
    /// Ends when the connection does.
    pub closed: JoinHandle<Result<(), h2::Error>>,
    address: SocketAddr,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap()
    }

    /// The same, where it may be refused.
    pub async fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        Self::connect(address, WINDOW).await
    }

    /// One that takes so many bytes of an answer, until it makes room for more.
    pub async fn with_window(address: SocketAddr, window: u32) -> Self {
        Self::connect(address, window).await.unwrap()
    }

    async fn connect(address: SocketAddr, window: u32) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let speaking = Self::speak(stream, address, window).await;
        speaking.map_err(std::io::Error::other)
    }

    /// One over what is connected to `address` already, as by TLS.
    pub async fn over<I>(io: I, address: SocketAddr) -> Result<Self, h2::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::speak(io, address, WINDOW).await
    }

    async fn speak<I>(io: I, address: SocketAddr, window: u32) -> Result<Self, h2::Error>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(16 << 20)
            .max_header_list_size(1 << 20)
            .handshake(io)
            .await?;
        Ok(Self {
            requests,
            closed: tokio::spawn(connection),
            address,
        })
    }

    /// Waits for the server's settings; whether they came.
    pub async fn is_greeted(&self) -> bool {
        let unknown = self.requests.current_max_send_streams();
        while self.requests.current_max_send_streams() == unknown {
            if self.closed.is_finished() {
                return false;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        true
    }

    /// Whether another call may be made: not where it was told to go.
    pub async fn takes_calls(&self) -> bool {
        !self.closed.is_finished() && self.requests.clone().ready().await.is_ok()
    }

    /// A request like that of any gRPC client, to be changed.
    pub fn request(&self, path: &str) -> Request<()> {
        Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap()
    }

    /// Sends headers and a body, and waits for the whole answer.
    pub async fn send(&self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        within("an answer", self.exchange(request, body)).await
    }

    async fn exchange(&self, request: Request<()>, body: Bytes) -> Result<Answer, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut sending) = requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            // Refused where the answer was there first.
            let _ = sending.send_data(body, true);
        }
        read(answer).await
    }

    /// A call of AuthorizationService with one message.
    pub async fn call(&self, method: &str, message: &[u8]) -> Answer {
        let request = self.request(&path(method));
        self.send(request, frame(message)).await.unwrap()
    }
}

/// The whole of an answer.
pub async fn read(answer: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = answer.await?.into_parts();
    let headers_alone = stream.is_end_stream();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        headers_alone,
        body,
        trailers: stream.trailers().await?,
    })
}
