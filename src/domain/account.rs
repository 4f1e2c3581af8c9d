//! Accounts, and which audience of the feature matrix each belongs to.

use super::{AccountId, Invalid};

/// Who supports a managed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SupportProvider {
    /// Its partner's help desk.
    Partner,
    /// The platform's help desk.
    Platform,
}

/// How an account buys from the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKind {
    /// Buys from the platform.
    Direct,
    /// Buys from the platform, and sells to accounts that it manages.
    Partner,
    /// Buys through a partner.
    Managed {
        /// The partner, whose own kind is [`AccountKind::Partner`]: there is one level only.
        partner: AccountId,
        /// Who supports it.
        support: SupportProvider,
    },
}

/// A customer of the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// How it buys.
    pub kind: AccountKind,
    /// Its name for people; may be empty, decides nothing.
    pub display_name: String,
}

impl Account {
    /// Who pays: the partner of a managed account, otherwise the account itself.
    #[must_use]
    pub fn billing_account(&self) -> &AccountId {
        self.partner().unwrap_or(&self.id)
    }

    /// The partner of a managed account.
    #[must_use]
    pub fn partner(&self) -> Option<&AccountId> {
        match &self.kind {
            AccountKind::Managed { partner, .. } => Some(partner),
            AccountKind::Direct | AccountKind::Partner => None,
        }
    }

    /// The column of the feature matrix that this account is judged by.
    #[must_use]
    pub fn audience(&self) -> Audience {
        match &self.kind {
            AccountKind::Direct => Audience::Direct,
            AccountKind::Partner => Audience::Partner,
            AccountKind::Managed {
                support: SupportProvider::Partner,
                ..
            } => Audience::ManagedPartnerSupported,
            AccountKind::Managed {
                support: SupportProvider::Platform,
                ..
            } => Audience::ManagedPlatformSupported,
        }
    }
}

impl SupportProvider {
    /// The name in data files and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Platform => "platform",
        }
    }
}

impl TryFrom<&str> for SupportProvider {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        match value {
            "partner" => Ok(Self::Partner),
            "platform" => Ok(Self::Platform),
            _ => Err(Invalid::new(format!(
                "{} is not a support provider: `partner` or `platform` is accepted",
                super::id::quote(value)
            ))),
        }
    }
}

/// What the rules distinguish: the columns of the feature matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// A direct account.
    Direct,
    /// A partner.
    Partner,
    /// A managed account that its partner supports.
    ManagedPartnerSupported,
    /// A managed account that the platform supports.
    ManagedPlatformSupported,
}

impl Audience {
    /// Every audience, in the order of the feature matrix.
    pub const ALL: [Self; 4] = [
        Self::Direct,
        Self::Partner,
        Self::ManagedPartnerSupported,
        Self::ManagedPlatformSupported,
    ];

    /// The name in matrix files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Partner => "partner",
            Self::ManagedPartnerSupported => "managed_partner_supported",
            Self::ManagedPlatformSupported => "managed_platform_supported",
        }
    }

    /// Whether accounts of this audience have a partner, who may decide for them.
    #[must_use]
    pub fn is_managed(self) -> bool {
        match self {
            Self::Direct | Self::Partner => false,
            Self::ManagedPartnerSupported | Self::ManagedPlatformSupported => true,
        }
    }
}
