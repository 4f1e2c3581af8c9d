//! Who calls.

use tonic::Request;

use crate::callers::CallerId;

/// Who makes a call, as far as that was proved: the edge puts a [`CallerId`] into the extensions of
/// the request.
#[derive(Debug)]
pub(super) struct Caller(pub(super) String);

/// Who calls where nobody has to prove that.
const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// Who makes this call.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let proved = request.extensions().get::<CallerId>();
        Self(proved.map_or(ANONYMOUS, CallerId::as_str).to_owned())
    }
}
