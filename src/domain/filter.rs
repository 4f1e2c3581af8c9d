//! Which locations of a catalogue an account may see, and whether with prices.
//!
//! Defined through [`decide()`]: there is one rule set. What a location is made of does not matter
//! here, so that stored and inline catalogues pass through the same two questions.

use super::{Decision, EnabledMarkets, FeatureMatrix, MarketCode, Subject, decide};

/// What an account may see of any catalogue.
#[derive(Debug, Clone, Copy)]
pub struct CatalogAccess<'a> {
    /// `services.order`: where it is denied, no location is visible.
    pub ordering: Decision,
    /// `pricing.view`: where it is denied, no price is.
    pub pricing: Decision,
    markets: MarketAccess<'a>,
}

#[derive(Debug, Clone, Copy)]
enum MarketAccess<'a> {
    /// Direct and partner accounts order everywhere.
    Every,
    /// Managed accounts order where their partner is billed.
    Enabled(&'a EnabledMarkets),
}

/// The access that the matrix and its partner give to `subject`.
#[must_use]
pub fn catalog_access<'a>(matrix: &FeatureMatrix, subject: Subject<'a>) -> CatalogAccess<'a> {
    let well_known = matrix.well_known();
    CatalogAccess {
        ordering: decide(matrix, well_known.ordering, subject),
        pricing: decide(matrix, well_known.pricing, subject),
        markets: match subject {
            Subject::Direct | Subject::Partner => MarketAccess::Every,
            Subject::Managed { policy, .. } => MarketAccess::Enabled(&policy.markets),
        },
    }
}

impl CatalogAccess<'_> {
    /// Whether a location in `market` is visible. `None` is a location whose market is empty or
    /// unknown, which cannot be billed to a partner.
    #[must_use]
    pub fn shows(&self, market: Option<MarketCode>) -> bool {
        self.ordering.is_allowed()
            && match self.markets {
                MarketAccess::Every => true,
                MarketAccess::Enabled(enabled) => {
                    market.is_some_and(|market| enabled.contains(market))
                }
            }
    }

    /// Whether prices are visible.
    #[must_use]
    pub fn shows_prices(&self) -> bool {
        self.pricing.is_allowed()
    }
}
