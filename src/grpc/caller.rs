//! Who calls.

use tonic::Request;

/// Who calls, as far as that was proved: put into the extensions of a request by whoever proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

/// Who calls where nobody has to prove that.
const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// Who makes this call.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let proved = request.extensions().get::<Self>().cloned();
        proved.unwrap_or_else(|| Self(ANONYMOUS.to_owned()))
    }
}
