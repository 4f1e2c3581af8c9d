//! Who calls, how that is proved, and what it allows.
//!
//! A caller proves itself by a certificate or by a token; either gives an id, and the callers file
//! gives ids their roles. Nothing here knows of requests: it turns bytes into ids, and ids into
//! roles.

mod certificate;
mod config;
mod file;
mod role;
mod spiffe;
pub mod token;
mod unproved;

pub use certificate::certificate_caller;
pub use config::{AuthConfig, JwksSource, JwtConfig, MtlsConfig, TlsFiles};
pub use file::{Callers, CallersError, MAX_CALLERS};
pub use role::{ANONYMOUS, CallerId, MalformedCallerId, Role};
pub use unproved::{BadCertificate, BadToken, Unproved};
