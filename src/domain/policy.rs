//! What a decision needs to know of an account and of its partner.

use super::{Account, MarketCode, Settings};

/// An account together with the settings that its partner made for it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProfile {
    /// The account.
    pub account: Account,
    /// Its own settings; without effect unless it is managed.
    pub settings: Settings,
}

/// A partner's choices for all of its managed accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartnerPolicy {
    /// Partner-wide settings.
    pub settings: Settings,
    /// The billing markets that it enabled.
    pub markets: EnabledMarkets,
}

/// The markets that a partner enabled, by code (never by alias), sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnabledMarkets(Box<[MarketCode]>);

impl EnabledMarkets {
    /// Whether `market` is among them.
    #[must_use]
    pub fn contains(&self, market: MarketCode) -> bool {
        self.0.binary_search(&market).is_ok()
    }
}

impl FromIterator<MarketCode> for EnabledMarkets {
    fn from_iter<I: IntoIterator<Item = MarketCode>>(codes: I) -> Self {
        let mut codes: Vec<_> = codes.into_iter().collect();
        codes.sort_unstable();
        codes.dedup();
        Self(codes.into_boxed_slice())
    }
}
