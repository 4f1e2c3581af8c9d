//! Bearer tokens: signed JWTs (RFC 7519) of one issuer, as Kubernetes projects them.
//!
//! A token is judged where its call is, on any thread, by keys that one task keeps fresh. Only a
//! token that names an unknown key makes a call wait, and for as long as the keys are asked for.

mod crypto;
mod fetch;
mod judge;
mod keys;
mod source;

use std::future::Future;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::future::Either;
use tokio::sync::watch;

use super::config::{JwksSource, JwtConfig};
use super::unproved::{BadToken, Unproved};
use crate::clock;
use crate::reload::Reloaded;

use source::Remote;

pub use judge::{LEEWAY, MAX_TOKEN, Proved, TokenVerifier};
pub use keys::{KeySet, KeySetError};

/// What judges tokens.
#[derive(Debug)]
pub struct Tokens {
    verifier: TokenVerifier,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    File(Arc<Reloaded<KeySet>>),
    Remote(Arc<Remote>),
}

impl Tokens {
    /// What judges tokens as `config` says, and the task that keeps its keys fresh, for ever: a
    /// file is read here and again when it changes; an address is asked for the first time when the
    /// task begins. Until it has answered no token is good.
    ///
    /// # Errors
    /// Where the file with the keys cannot be read or has none; where the address is none that may
    /// be asked, or a file that is needed to ask it cannot be read.
    pub fn start(
        config: &JwtConfig,
    ) -> anyhow::Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static)> {
        let (keys, task) = match &config.jwks {
            JwksSource::File(path) => {
                let (keys, watch) =
                    Reloaded::load("the keys of tokens", vec![path.clone()], |contents| {
                        KeySet::parse(&contents.concat()).context("the JWK Set")
                    })?;
                (Keys::File(keys), Either::Left(watch.keep_fresh()))
            }
            JwksSource::Url {
                url,
                ca,
                token_file,
            } => {
                let remote = Remote::new(url, ca.as_deref(), token_file.as_deref())?;
                let task = Arc::clone(&remote).keep_fresh();
                (Keys::Remote(remote), Either::Right(task))
            }
        };
        let verifier = TokenVerifier::new(&config.issuer, &config.audience);
        Ok((Arc::new(Self { verifier, keys }), task))
    }

    /// Judges a token. One that newer keys may make good has them asked for, at most every few
    /// seconds, and waits for them for two; every other is judged at once.
    ///
    /// # Errors
    /// [`Unproved::Token`]: why it proves nothing.
    pub async fn verify(&self, token: &str) -> Result<Proved, Unproved> {
        let judged = self.judge(token);
        if let (Err(bad), Keys::Remote(remote)) = (&judged, &self.keys)
            && bad.may_pass_with_newer_keys()
        {
            remote.ask().await;
            return Ok(self.judge(token)?);
        }
        Ok(judged?)
    }

    fn judge(&self, token: &str) -> Result<Proved, BadToken> {
        let now = clock::time_of_day();
        match &self.keys {
            Keys::File(keys) => self.verifier.verify(token, Some(&keys.current()), now),
            Keys::Remote(remote) => self.verifier.verify(token, remote.keys().as_deref(), now),
        }
    }

    /// A number that changes when the keys do, so that what was remembered of tokens is forgotten.
    #[must_use]
    pub fn generation(&self) -> watch::Receiver<u64> {
        match &self.keys {
            Keys::File(keys) => keys.generation(),
            Keys::Remote(remote) => remote.generation(),
        }
    }

    /// That number now.
    #[must_use]
    pub fn generation_now(&self) -> u64 {
        *self.generation().borrow()
    }

    /// Whether the keys are fetched from an address, and not read from a file.
    #[must_use]
    pub fn are_fetched(&self) -> bool {
        matches!(self.keys, Keys::Remote(_))
    }

    /// How often newer keys could not be had.
    #[must_use]
    pub fn failures(&self) -> u64 {
        match &self.keys {
            Keys::File(keys) => keys.failures(),
            Keys::Remote(remote) => remote.failures(),
        }
    }
}
