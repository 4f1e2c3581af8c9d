//! Who may call: callers good and bad by certificates and tokens, what their roles let them do, what
//! the history says of them, and how all that is replaced while the service runs.

#![cfg(test)]

#[path = "trust/bad_callers.rs"]
mod bad_callers;
#[path = "trust/history.rs"]
mod history;
#[path = "trust/lapse.rs"]
mod lapse;
#[path = "trust/reload.rs"]
mod reload;
#[path = "trust/roles.rs"]
mod roles;
#[path = "trust/rotation.rs"]
mod rotation;
#[path = "trust/secrets.rs"]
mod secrets;
mod support;
#[path = "trust/tokens.rs"]
mod tokens;
#[path = "trust/world.rs"]
mod world;
