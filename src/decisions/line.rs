//! A line of the log.

use crate::callers::{ANONYMOUS, CallerId};
use crate::domain::{AccountId, Decision, Effect, NotificationKind, Reason, Revision};

use super::TARGET;
use crate::traces::RequestId;

/// What one line says.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) method: &'static str,
    /// None where nobody has to prove who calls.
    pub(super) caller: Option<CallerId>,
    /// The id that the caller gave the call.
    pub(super) request_id: Option<RequestId>,
    pub(super) told: Told,
    pub(super) revision: Revision,
    pub(super) stale: bool,
}

/// What was told, about whom.
#[derive(Debug)]
pub(super) enum Told {
    /// Whether an account may use a feature.
    Decision {
        account: AccountId,
        feature: Box<str>,
        decision: Decision,
        /// Where it was about a page of a catalogue.
        shown: Option<Shown>,
    },
    /// Who is told of a notification, in numbers: it may be ten thousand accounts.
    Routed {
        kind: NotificationKind,
        accounts: usize,
        recipients: usize,
        unresolved: usize,
    },
}

/// How much of a page of a catalogue was visible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) visible: usize,
    pub(super) hidden: usize,
}

impl Line {
    /// Writes it. Text is given as text, not as its `Display`: so the format quotes and escapes it.
    pub(super) fn write(&self) {
        let Self {
            method,
            caller,
            request_id,
            told,
            revision: Revision(revision),
            stale,
        } = self;
        let caller = caller.as_ref().map_or(ANONYMOUS, CallerId::as_str);
        let request_id = request_id.as_ref().map(RequestId::as_str);
        match told {
            Told::Decision {
                account,
                feature,
                decision,
                shown,
            } => tracing::info!(
                target: TARGET,
                method,
                caller,
                request_id,
                account = account.as_str(),
                feature = &**feature,
                effect = effect(decision.effect),
                reason = reason(decision.reason),
                visible = shown.map(|shown| shown.visible),
                hidden = shown.map(|shown| shown.hidden),
                revision,
                stale,
                "decided"
            ),
            Told::Routed {
                kind,
                accounts,
                recipients,
                unresolved,
            } => tracing::info!(
                target: TARGET,
                method,
                caller,
                request_id,
                kind = notification(*kind),
                accounts,
                recipients,
                unresolved,
                revision,
                stale,
                "routed"
            ),
        }
    }
}

pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    }
}

pub(super) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::PlatformRule => "PLATFORM_RULE",
        Reason::PlatformDefault => "PLATFORM_DEFAULT",
        Reason::PartnerSetting => "PARTNER_SETTING",
        Reason::AccountSetting => "ACCOUNT_SETTING",
        Reason::RequiredFeature => "REQUIRED_FEATURE",
    }
}

fn notification(kind: NotificationKind) -> &'static str {
    match kind {
        NotificationKind::Maintenance => "maintenance",
        NotificationKind::Security => "security",
    }
}
