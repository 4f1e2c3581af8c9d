//! A runtime for calls that take long to read, work off and write.
//!
//! A catalogue of 20,000 locations keeps a thread busy for a tenth of a second. On the threads that
//! serve, every check that came in on the same one would wait for it. How large a message is shows
//! only when it was read, so the whole call is done here, from the first byte to the last.

use http::Response;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::body::Body;

/// A runtime beside the ones that serve. What it still does when it is dropped is given up.
#[derive(Debug)]
pub(super) struct Aside {
    handle: Handle,
    /// There until the drop, which a runtime must not do by itself in an async context.
    runtime: Option<Runtime>,
}

impl Aside {
    /// A runtime with a thread for each core.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("aside")
            .enable_time()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Does `call` here, encoding included. A caller that leaves ends it.
    pub(super) async fn work_off(
        &self,
        call: impl Future<Output = Response<Body>> + Send + 'static,
    ) -> Response<Body> {
        let whole = async {
            let (parts, body) = call.await.into_parts();
            // An error is headers alone, and has to end with them: some clients take headers and an
            // empty end behind them for an answer that was cut off.
            if body.is_end_stream() {
                return Response::from_parts(parts, body);
            }
            match body.collect().await {
                Ok(body) => Response::from_parts(parts, Body::new(body)),
                Err(status) => status.into_http(),
            }
        };
        match AbortOnDropHandle::new(self.handle.spawn(whole)).await {
            Ok(response) => response,
            Err(_panicked_or_ended) => Status::internal("the call was given up").into_http(),
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
