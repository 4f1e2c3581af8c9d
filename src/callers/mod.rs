//! Who calls, how that is proved, and what it allows.
//!
//! A caller proves itself by a certificate or by a token; either gives an id, and the callers file
//! gives ids their roles. Nothing here knows of requests: it turns bytes into ids, and ids into
//! roles.

mod config;
mod role;

pub use config::{AuthConfig, JwksSource, JwtConfig, MtlsConfig, TlsFiles};
pub use role::{CallerId, Role};
