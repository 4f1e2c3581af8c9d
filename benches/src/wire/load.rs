//! A client that asks as fast as it is answered, on plain HTTP/2: it costs less than a gRPC client,
//! which leaves the machine to the server.
//!
//! Every answer is looked at: one whose status is not OK ends the run, for a refusal is quick.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::request::Requests;

/// How many connections there are, and how many calls are under way on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections.
    pub connections: usize,
    /// Calls at once on each.
    pub streams: usize,
}

/// How much of an answer is taken before the server has to ask for more room.
const WINDOW: u32 = 1 << 24;

/// Calls that go on until this is stopped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    requests: Requests,
    next: AtomicUsize,
    /// How many are to be sent.
    most: usize,
    answered: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    /// Begins to ask, and goes on until it is stopped.
    pub fn start(address: SocketAddr, shape: Shape, requests: Requests) -> Self {
        Self::begin(address, shape, requests, usize::MAX)
    }

    /// Asks so many times, and waits for the answers.
    ///
    /// # Errors
    /// Where a call failed.
    pub fn run(
        address: SocketAddr,
        shape: Shape,
        requests: Requests,
        times: usize,
    ) -> anyhow::Result<()> {
        let mut load = Self::begin(address, shape, requests, times);
        load.join()
    }

    fn begin(address: SocketAddr, shape: Shape, requests: Requests, most: usize) -> Self {
        let shared = Arc::new(Shared {
            requests,
            next: AtomicUsize::new(0),
            most,
            answered: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let asking = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(ask(address, shape, asking))
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// How many calls were answered so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered.
    ///
    /// # Errors
    /// Where a call failed.
    pub fn pass(&self, calls: u64) -> anyhow::Result<()> {
        let until = self.answered() + calls;
        while self.answered() < until {
            let is_going = self
                .thread
                .as_ref()
                .is_some_and(|thread| !thread.is_finished());
            ensure!(is_going, "the load has ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where a call failed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.join()
    }

    fn join(&mut self) -> anyhow::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

async fn ask(address: SocketAddr, shape: Shape, shared: Arc<Shared>) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    let mut callers = JoinSet::new();
    for _ in 0..shape.connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake::<_, Bytes>(stream)
            .await?;
        connections.spawn(connection);
        for _ in 0..shape.streams {
            callers.spawn(call_on(address, requests.clone(), Arc::clone(&shared)));
        }
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn call_on(
    address: SocketAddr,
    requests: SendRequest<Bytes>,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let mut requests = requests;
    let Requests { path, messages } = &shared.requests;
    let uri: http::Uri = format!("http://{address}{path}").parse()?;
    while !shared.is_over.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.most {
            break;
        }
        let message = messages[number % messages.len()].clone();
        requests = call(requests, uri.clone(), message).await?;
        shared.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn call(
    requests: SendRequest<Bytes>,
    uri: http::Uri,
    message: Bytes,
) -> anyhow::Result<SendRequest<Bytes>> {
    let mut requests = requests.ready().await?;
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut sending) = requests.send_request(request, false)?;
    sending.send_data(message, true)?;
    let response = response.await?;
    let (head, mut body) = response.into_parts();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let trailers = body.trailers().await?;
    let status = trailers
        .as_ref()
        .and_then(|trailers| trailers.get("grpc-status"))
        .or(head.headers.get("grpc-status"))
        .context("an answer had no status")?;
    ensure!(
        status == "0",
        "an answer had status {status:?}: {:?}, {trailers:?}",
        head.headers
    );
    Ok(requests)
}
