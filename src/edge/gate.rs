//! Whether a caller may call what it calls, judged before its message is read.

use http::HeaderMap;
use tonic::Status;

use super::link::Link;
use super::methods::Access;
use crate::callers::CallerId;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// It has not proved that by the connection.
    Unproved,
}

/// Who may call what.
#[derive(Debug)]
pub struct Gate {}

impl Gate {
    /// Whoever can connect may call everything.
    #[must_use]
    pub fn open() -> Self {
        Self {}
    }

    /// Who calls, if that is asked for.
    ///
    /// # Errors
    /// UNAUTHENTICATED where it is not proved, PERMISSION_DENIED where it does not suffice.
    pub(super) async fn judge(
        &self,
        _link: &Link,
        _headers: &HeaderMap,
        _access: Access,
    ) -> Result<Option<CallerId>, Status> {
        Ok(None)
    }

    /// Comes when a caller that was let through may not call any more what it called.
    pub(super) fn lapse(
        &self,
        _caller: Option<CallerId>,
        _access: Access,
    ) -> impl Future<Output = Status> + Send + 'static {
        std::future::pending()
    }
}
