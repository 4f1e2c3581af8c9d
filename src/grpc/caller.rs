//! Who calls.

use tonic::Request;

use crate::callers::{ANONYMOUS, CallerId};
use crate::traces::RequestId;

/// Who makes a call, as far as that was proved: the edge puts a [`CallerId`] into the extensions of
/// the request.
#[derive(Debug)]
pub(super) struct Caller(pub(super) String);

impl Caller {
    /// Who makes this call.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self(
            proved(request)
                .map_or(ANONYMOUS, CallerId::as_str)
                .to_owned(),
        )
    }
}

/// The id that the caller gave this.
pub(super) fn request_id<T>(request: &Request<T>) -> Option<RequestId> {
    request.extensions().get().cloned()
}

/// What the caller of this has proved, where it had to.
pub(super) fn proved<T>(request: &Request<T>) -> Option<&CallerId> {
    request.extensions().get()
}
