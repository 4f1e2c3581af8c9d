//! The one rule set: may this account use this feature, and why.

use super::{
    AccountKind, AccountProfile, Audience, FeatureIndex, FeatureMatrix, FeatureRow, PartnerPolicy,
    Rule, Setting, Settings, SupportProvider,
};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The account may.
    Allow,
    /// The account may not.
    Deny,
}

/// Why it was decided so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The matrix says so, and no setting can change it.
    PlatformRule,
    /// The partner may decide and has not: the matrix's default.
    PlatformDefault,
    /// The partner's setting for all of its accounts.
    PartnerSetting,
    /// The partner's setting for this account.
    AccountSetting,
    /// Would be allowed, but a feature that it requires is denied.
    RequiredFeature,
}

/// An effect with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What was decided.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// Whether the effect is [`Effect::Allow`].
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self.effect == Effect::Allow
    }
}

/// Whom a decision is about: all that it depends on beside the matrix, and nothing that it must
/// not depend on. Settings are in reach for managed accounts alone.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A direct account.
    Direct,
    /// A partner.
    Partner,
    /// A managed account.
    Managed {
        /// Who supports it.
        support: SupportProvider,
        /// The settings made for it alone.
        settings: &'a Settings,
        /// Its partner's policy.
        policy: &'a PartnerPolicy,
    },
}

/// A managed account without a policy to judge it by, because its partner is missing or is not a
/// partner: broken data, never an allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's partner is missing or is not a partner")]
pub struct Inconsistent;

impl<'a> Subject<'a> {
    /// The subject that an account with its partner's policy makes. `policy` is ignored unless
    /// the account is managed.
    ///
    /// # Errors
    /// [`Inconsistent`] for a managed account without a policy.
    pub fn new(
        profile: &'a AccountProfile,
        policy: Option<&'a PartnerPolicy>,
    ) -> Result<Self, Inconsistent> {
        match &profile.account.kind {
            AccountKind::Direct => Ok(Self::Direct),
            AccountKind::Partner => Ok(Self::Partner),
            AccountKind::Managed { support, .. } => Ok(Self::Managed {
                support: *support,
                settings: &profile.settings,
                policy: policy.ok_or(Inconsistent)?,
            }),
        }
    }

    /// The column of the matrix that judges it.
    #[must_use]
    pub fn audience(&self) -> Audience {
        match self {
            Self::Direct => Audience::Direct,
            Self::Partner => Audience::Partner,
            Self::Managed {
                support: SupportProvider::Partner,
                ..
            } => Audience::ManagedPartnerSupported,
            Self::Managed {
                support: SupportProvider::Platform,
                ..
            } => Audience::ManagedPlatformSupported,
        }
    }
}

/// Decides `feature` for `subject`. Total: a feature of another matrix is denied.
#[must_use]
pub fn decide(matrix: &FeatureMatrix, feature: FeatureIndex, subject: Subject<'_>) -> Decision {
    // INVARIANT(fail-closed): what the matrix does not have is denied.
    let Some(row) = matrix.row(feature) else {
        return Decision {
            effect: Effect::Deny,
            reason: Reason::PlatformRule,
        };
    };
    let decision = decide_alone(row, feature, subject);
    let is_denied = |required: FeatureIndex| {
        let row = matrix.row(required);
        !row.is_some_and(|row| decide_alone(row, required, subject).is_allowed())
    };
    let requires = !row.required.is_empty();
    if requires && decision.is_allowed() && row.required.iter().any(is_denied) {
        Decision {
            effect: Effect::Deny,
            reason: Reason::RequiredFeature,
        }
    } else {
        decision
    }
}

/// The cell of the matrix and the settings below it, without what the feature requires.
fn decide_alone(row: &FeatureRow, feature: FeatureIndex, subject: Subject<'_>) -> Decision {
    let rule = row.rules.of(subject.audience());
    let default = match rule {
        Rule::Allow => {
            return Decision {
                effect: Effect::Allow,
                reason: Reason::PlatformRule,
            };
        }
        Rule::Deny => {
            return Decision {
                effect: Effect::Deny,
                reason: Reason::PlatformRule,
            };
        }
        Rule::PartnerDecides { default } => default,
    };
    let (account, partner) = match subject {
        Subject::Managed {
            settings, policy, ..
        } => (settings.of(feature), policy.settings.of(feature)),
        Subject::Direct | Subject::Partner => (None, None),
    };
    let (setting, reason) = match (account, partner) {
        (Some(setting), _) => (setting, Reason::AccountSetting),
        (None, Some(setting)) => (setting, Reason::PartnerSetting),
        (None, None) => (default, Reason::PlatformDefault),
    };
    let effect = match setting {
        Setting::On => Effect::Allow,
        Setting::Off => Effect::Deny,
    };
    Decision { effect, reason }
}
