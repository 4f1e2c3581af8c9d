//! The threads that serve, each with a runtime of its own.
//!
//! A connection stays on the thread to which it was dealt, and so do its calls: nothing of a cached
//! check crosses threads. The runtimes are single-threaded because one that shares tasks between
//! threads wakes another for every answer, and each answer then costs a system call of its own.

use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::connection::{self, Service};
use super::seats::Seat;
use crate::proto::v1::authorization_service_server::AuthorizationService;

/// All of them. Their connections are cut when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    all: Vec<Worker>,
    cut: CancellationToken,
    _cut_when_dropped: DropGuard,
}

#[derive(Debug)]
struct Worker {
    connections: mpsc::UnboundedSender<(StdStream, Seat)>,
    open: Arc<AtomicUsize>,
    /// There until it has ended.
    ended: Option<oneshot::Receiver<()>>,
}

impl Workers {
    /// Starts `service.limits.workers` of them.
    ///
    /// # Errors
    /// Where a thread or its runtime cannot be started.
    pub(super) fn start<A: AuthorizationService>(
        service: &Arc<Service<A>>,
    ) -> std::io::Result<Self> {
        let cut = CancellationToken::new();
        let start = |index| Worker::start(index, Arc::clone(service), cut.clone());
        Ok(Self {
            all: (0..service.limits.workers.get())
                .map(start)
                .collect::<Result<_, _>>()?,
            _cut_when_dropped: cut.clone().drop_guard(),
            cut,
        })
    }

    /// Deals a connection to the one that has the fewest.
    pub(super) fn deal(&self, stream: StdStream, seat: Seat) {
        let open = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        if let Some(worker) = self.all.iter().min_by_key(open) {
            worker.open.fetch_add(1, Ordering::Relaxed);
            // It ends only after this.
            let _ = worker.connections.send((stream, seat));
        }
    }

    /// Waits until the last connection has ended; none is dealt any more.
    pub(super) async fn finish(&mut self) {
        for worker in &mut self.all {
            let (closed, _) = mpsc::unbounded_channel();
            worker.connections = closed;
        }
        for worker in &mut self.all {
            if let Some(ended) = &mut worker.ended {
                // Whether it said so or panicked: it has ended.
                let _ = ended.await;
                worker.ended = None;
            }
        }
    }

    /// Ends the connections that there still are.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

impl Worker {
    fn start<A: AuthorizationService>(
        index: usize,
        service: Arc<Service<A>>,
        cut: CancellationToken,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (connections, dealt) = mpsc::unbounded_channel();
        let (ends, ended) = oneshot::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        std::thread::Builder::new()
            .name(format!("serve-{index}"))
            .spawn(move || {
                runtime.block_on(serve(dealt, service, count, cut));
                // What a cut connection has spawned is given up.
                drop(runtime);
                let _ = ends.send(());
            })?;
        Ok(Self {
            connections,
            open,
            ended: Some(ended),
        })
    }
}

async fn serve<A: AuthorizationService>(
    mut dealt: mpsc::UnboundedReceiver<(StdStream, Seat)>,
    service: Arc<Service<A>>,
    open: Arc<AtomicUsize>,
    cut: CancellationToken,
) {
    let connections = TaskTracker::new();
    while let Some((stream, seat)) = dealt.recv().await {
        let (service, counted) = (Arc::clone(&service), Counted(Arc::clone(&open)));
        match TcpStream::from_std(stream) {
            Ok(stream) => {
                connections.spawn(async move {
                    let _counted = counted;
                    connection::serve(stream, seat, service).await;
                });
            }
            Err(error) => tracing::debug!(%error, "a connection could not be served"),
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = cut.cancelled() => {}
    }
}

/// One connection among those of a thread, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
