//! Whether a caller may call what it calls, judged before its message is read.
//!
//! What a caller proved is remembered by its connection, since a signature costs more to check than
//! a call: a certificate for as long as the connection lasts, a token until it expires. When keys or
//! roles change, everything that was remembered is judged again, and streams end whose callers lost
//! their role, or whose tokens were signed by a key that is gone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tonic::Status;

use super::link::Link;
use super::memory::Token;
use super::methods::Access;
use crate::callers::token::{Proved, Tokens};
use crate::callers::{CallerId, Callers, Role, Unproved, certificate_caller};
use crate::clock::time_of_day;
use crate::grpc::{caller_unknown, role_missing};
use crate::reload::Reloaded;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// It showed no certificate.
    Unknown,
    /// It showed one that an authority of clients has signed.
    Certified(Result<CallerId, Unproved>),
}

/// A caller that was let through.
#[derive(Debug, Clone)]
pub(super) struct Admitted {
    pub(super) id: CallerId,
    /// When its proof expires; none for a certificate, which is good as long as its connection.
    pub(super) until: Option<SystemTime>,
    /// That proof, to be judged again by other keys; none for a certificate.
    pub(super) token: Option<Token>,
}

/// A caller and its role, as the callers file had it in an era.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) admitted: Admitted,
    pub(super) role: Option<Role>,
}

impl Known {
    /// Whether this token is its proof.
    pub(super) fn is_by(&self, token: &str) -> bool {
        let its = self.admitted.token.as_ref().map(Token::as_str);
        its == Some(token)
    }
}

/// By which proofs callers are known.
#[derive(Debug)]
pub struct Proofs {
    /// By certificates, and if so, of which trust domain alone.
    pub mtls: Option<Option<String>>,
    /// By tokens.
    pub tokens: Option<Arc<Tokens>>,
    /// Their roles.
    pub callers: Arc<Reloaded<Callers>>,
}

/// Who may call what.
#[derive(Debug, Clone)]
pub struct Gate(Option<Arc<Judge>>);

#[derive(Debug)]
struct Judge {
    proofs: Proofs,
    /// Changes when keys or roles do: what was remembered in another era is forgotten.
    era: watch::Sender<u64>,
}

impl Gate {
    /// Whoever can connect may call everything.
    #[must_use]
    pub fn open() -> Self {
        Self(None)
    }

    /// Callers have to prove who they are; with the task that notices when keys or roles change.
    #[must_use]
    pub fn guarded(proofs: Proofs) -> (Self, BoxFuture<'static, ()>) {
        let mut changes = vec![proofs.callers.generation()];
        changes.extend(proofs.tokens.as_ref().map(|tokens| tokens.generation()));
        let judge = Arc::new(Judge {
            proofs,
            era: watch::Sender::new(0),
        });
        let told = Arc::clone(&judge);
        let keep_told = async move {
            loop {
                let any = changes.iter_mut().map(|changes| changes.changed().boxed());
                if futures_util::future::select_all(any).await.0.is_err() {
                    // Nothing changes any more: nobody reads files again.
                    return;
                }
                told.era.send_modify(|era| *era += 1);
            }
        };
        (Self(Some(judge)), keep_told.boxed())
    }

    /// Who has shown these certificates.
    pub(super) fn peer(&self, shown: Option<&[CertificateDer<'_>]>) -> Peer {
        let mtls = self.0.as_ref().and_then(|judge| judge.proofs.mtls.as_ref());
        match (mtls, shown.and_then(<[_]>::first)) {
            (Some(trust_domain), Some(certificate)) => {
                Peer::Certified(certificate_caller(certificate, trust_domain.as_deref()))
            }
            (None, _) | (_, None) => Peer::Unknown,
        }
    }

    /// Whether it is asked who calls.
    pub(super) fn asks(&self, access: Access) -> bool {
        self.0.is_some() && access != Access::Open
    }

    /// Who calls, if that is asked for.
    ///
    /// # Errors
    /// UNAUTHENTICATED where it is not proved, PERMISSION_DENIED where it does not suffice.
    pub(super) async fn judge(
        &self,
        link: &Link,
        headers: &HeaderMap,
        access: Access,
    ) -> Result<Option<Admitted>, Status> {
        let Some(judge) = &self.0 else {
            return Ok(None);
        };
        if access == Access::Open {
            return Ok(None);
        }
        let known = match judge.known(link, headers).await {
            Ok(known) => known,
            Err(why) => {
                link.unproved();
                return Err(caller_unknown(&why));
            }
        };
        link.proved();
        suffices(&known, access)?;
        Ok(Some(known.admitted))
    }

    /// Comes when a caller that was let through may not call any more what it called.
    pub(super) fn lapse(
        &self,
        admitted: Option<Admitted>,
        access: Access,
    ) -> impl Future<Output = Status> + Send + 'static {
        let watched = self.0.clone().zip(admitted);
        async move {
            match watched {
                Some((judge, admitted)) => judge.lapse(admitted, access).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// # Errors
/// PERMISSION_DENIED.
fn suffices(known: &Known, access: Access) -> Result<(), Status> {
    let needed = match access {
        Access::Open => return Ok(()),
        Access::AnyRole => None,
        Access::Role(role) => Some(role),
    };
    match known.role {
        Some(role) if needed.is_none_or(|needed| role >= needed) => Ok(()),
        Some(_) | None => Err(role_missing(&known.admitted.id, needed)),
    }
}

impl Judge {
    async fn known(&self, link: &Link, headers: &HeaderMap) -> Result<Known, String> {
        let era = *self.era.borrow();
        let shown = headers.get_all(AUTHORIZATION);
        if let (Some(tokens), Some(_)) = (&self.proofs.tokens, shown.iter().next()) {
            let token = bearer(shown.iter())?;
            if let Some(known) = link.remembered(era, token, time_of_day()) {
                return Ok(known);
            }
            let proved = tokens.verify(token).await;
            let Proved { id, until, .. } = proved.map_err(|why| why.to_string())?;
            let known = self.with_role(Admitted {
                id,
                until: Some(until),
                token: Some(Token::new(token)),
            });
            link.remember(era, token, known.clone());
            return Ok(known);
        }
        match &link.peer {
            Peer::Certified(Ok(id)) => {
                if let Some(known) = link.certified(era) {
                    return Ok(known);
                }
                let known = self.with_role(Admitted {
                    id: id.clone(),
                    until: None,
                    token: None,
                });
                link.certify(era, known.clone());
                Ok(known)
            }
            Peer::Certified(Err(why)) => Err(why.to_string()),
            Peer::Unknown => Err(self.wanted().to_owned()),
        }
    }

    fn with_role(&self, admitted: Admitted) -> Known {
        Known {
            role: self.proofs.callers.current().role(admitted.id.as_str()),
            admitted,
        }
    }

    /// How often the keys of tokens were replaced.
    fn keys(&self) -> u64 {
        let tokens = self.proofs.tokens.as_ref();
        tokens.map_or(0, |tokens| tokens.generation_now())
    }

    /// Judges the token of a caller by the keys of now.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    async fn still_proved(&self, admitted: &Admitted) -> Result<(), Status> {
        if let (Some(tokens), Some(token)) = (&self.proofs.tokens, &admitted.token) {
            let proved = tokens.verify(token.as_str()).await;
            proved.map_err(|why| caller_unknown(&why.to_string()))?;
        }
        Ok(())
    }

    fn wanted(&self) -> &'static str {
        match (&self.proofs.mtls, &self.proofs.tokens) {
            (Some(_), Some(_)) => "a client certificate or a bearer token is needed",
            (Some(_), None) => "a client certificate is needed",
            (None, _) => "a bearer token is needed",
        }
    }

    async fn lapse(self: Arc<Self>, admitted: Admitted, access: Access) -> Status {
        let mut era = self.era.subscribe();
        let mut judged_by = None;
        loop {
            era.mark_unchanged();
            // Not for each change of roles: there may be many streams.
            let keys = Some(self.keys());
            if judged_by != keys
                && let Err(status) = self.still_proved(&admitted).await
            {
                return status;
            }
            judged_by = keys;
            if let Err(status) = suffices(&self.with_role(admitted.clone()), access) {
                return status;
            }
            let left = admitted.until.map(|until| {
                let left = until.duration_since(time_of_day());
                left.unwrap_or(Duration::ZERO)
            });
            if left.is_some_and(|left| left.is_zero()) {
                return caller_unknown("the token has expired");
            }
            let expires = async {
                match left {
                    // Looked at again: the time of day may be set in between.
                    Some(left) => tokio::time::sleep(left.min(LOOK_EVERY)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = era.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
                () = expires => {}
            }
        }
    }
}

/// How often the time of day is looked at for a token that is to expire.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The one token of a request.
fn bearer<'a>(mut shown: impl Iterator<Item = &'a HeaderValue>) -> Result<&'a str, String> {
    let first = shown.next().map(HeaderValue::to_str);
    if shown.next().is_some() {
        return Err("there is more than one `authorization` header".to_owned());
    }
    let token = first
        .and_then(Result::ok)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty());
    token
        .map(|(_, token)| token)
        .ok_or_else(|| "the `authorization` header is not `Bearer` and a token".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_taken_and_nothing_else() {
        let token = |shown: &[&str]| {
            let values: Vec<HeaderValue> =
                shown.iter().map(|value| value.parse().unwrap()).collect();
            bearer(values.iter()).map(str::to_owned).ok()
        };
        assert_eq!(token(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&["bearer abc"]).as_deref(), Some("abc"));
        for shown in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["abc"],
            &["Bearer abc", "Bearer abc"],
            &["Bearer abc", "Basic abc"],
        ] {
            assert_eq!(token(shown), None, "{shown:?}");
        }
    }
}
