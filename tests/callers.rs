//! Who calls: tokens and certificates as their issuers make them, and keys as they are served.

#![cfg(test)]

mod support;

#[path = "callers/certificates.rs"]
mod certificates;
#[path = "callers/keys.rs"]
mod keys;
#[path = "callers/tokens.rs"]
mod tokens;
