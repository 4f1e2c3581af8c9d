//! A runtime for calls that take long to read, work off and write.
//!
//! A catalogue of 20,000 locations keeps a thread busy for a tenth of a second. On the threads that
//! serve, every check that came in on the same one would wait for it. How large a message is shows
//! only when it was read, so the whole call is done here, from the first byte to the last.

use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// A runtime beside the ones that serve. What it still does when it is dropped is given up.
#[derive(Debug)]
pub(super) struct Aside {
    handle: Handle,
    /// There until the drop, which a runtime must not do by itself in an async context.
    runtime: Option<Runtime>,
}

/// The work was given up: it panicked, or the service is ending.
#[derive(Debug)]
pub(super) struct GivenUp;

impl Aside {
    /// A runtime with so many threads.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn new(threads: NonZeroUsize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name("aside")
            .enable_time()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Does `work` here. Who leaves ends it.
    ///
    /// # Errors
    /// [`GivenUp`].
    pub(super) async fn do_here<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, GivenUp> {
        let done = AbortOnDropHandle::new(self.handle.spawn(work.in_current_span())).await;
        done.map_err(|_panicked_or_ended| GivenUp)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
