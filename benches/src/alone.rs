//! What HTTP/2 alone costs: h2 with an answer of the same bytes to every request, on a runtime of one
//! thread for each core. Nothing is read of a request, counted, limited or decided: no server over h2
//! can do with less.

use std::future::poll_fn;
use std::net::TcpListener;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::wire::request::framed;
use portcullis::proto::v1;

/// As our own server has it.
const WINDOW: u32 = 1 << 20;
const MAX_STREAMS: u32 = 256;

/// Serves until it is stopped.
///
/// # Errors
/// Where it cannot be started, or does not accept any more.
pub fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let cores = thread::available_parallelism()?.get();
    let workers: Vec<_> = (0..cores)
        .map(|_| {
            let (deal, dealt) = mpsc::unbounded_channel();
            thread::spawn(move || work(dealt));
            deal
        })
        .collect();
    for (number, stream) in listener.incoming().enumerate() {
        workers[number % cores].send(stream?)?;
    }
    Ok(())
}

fn work(mut dealt: UnboundedReceiver<std::net::TcpStream>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async move {
        let answer = framed(&v1::CheckFeatureResponse {
            effect: v1::Effect::Deny.into(),
            reason: v1::Reason::PartnerSetting.into(),
            revision: 2,
            stale: false,
        });
        while let Some(stream) = dealt.recv().await {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let stream = TcpStream::from_std(stream).unwrap();
            // A client that breaks off is none that is measured.
            tokio::spawn(connection(stream, answer.clone()));
        }
    });
}

/// What has arrived together is answered together.
async fn connection(stream: TcpStream, answer: Bytes) -> Result<(), h2::Error> {
    let mut connection = Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .handshake(stream)
        .await?;
    let mut accepted = Vec::new();
    poll_fn(|cx| {
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(request)) => accepted.push(request?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if accepted.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    for (_request, respond) in accepted.drain(..) {
                        send(respond, answer.clone())?;
                    }
                }
            }
        }
    })
    .await
}

fn send(mut respond: SendResponse<Bytes>, answer: Bytes) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", grpc);
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(answer, false)?;
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}
