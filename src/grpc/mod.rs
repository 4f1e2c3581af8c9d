//! gRPC: parse a request, make one call, encode the answer. Nothing is decided here.

pub(crate) mod authorization;
mod caller;
mod catalog;
mod codec;
mod encode;
mod page_token;
mod parse;
mod policy;
mod reflection;
mod status;

pub use authorization::AuthorizationApi;
pub use codec::Codec;
pub use policy::PolicyApi;
pub use reflection::reflection;
pub(crate) use status::{
    deadline_exceeded, malformed_timeout, message_too_large, overloaded, stopping,
};

/// The most bytes of a message, in and out, of FilterCatalog, the writes of the catalogue and
/// PreviewPartnerPolicy.
pub const MAX_CATALOG_MESSAGE: usize = 16 << 20;
/// The most bytes of a message, in and out, of every other call.
pub const MAX_MESSAGE: usize = 4 << 20;
