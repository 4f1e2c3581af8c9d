//! Locations of the catalogue and what is offered there.

use super::id::{Invalid, quote};
use super::{LocationId, MarketCode, Money, Product};

/// The most offers that one location may have.
pub const MAX_OFFERS: usize = 256;

/// A place where a service can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its id.
    pub id: LocationId,
    /// Its name for people.
    pub name: String,
    /// The city or region that it is looked for by.
    pub metro: String,
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: String,
    /// The billing market that it lies in, as it was put: a code, an alias, one that no market
    /// has, or none.
    pub market: Option<MarketCode>,
    /// Its stage of life; decides nothing.
    pub status: Option<LocationStatus>,
    /// What can be ordered there.
    pub offers: Vec<Offer>,
}

/// The stage of life of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationStatus {
    /// Open for orders.
    Active,
    /// Being built.
    Deployment,
    /// Open for some products only.
    Restricted,
    /// Reached from another location.
    Extended,
    /// Opened lately.
    New,
    /// Closed.
    Expired,
}

impl LocationStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Deployment,
        Self::Restricted,
        Self::Extended,
        Self::New,
        Self::Expired,
    ];

    /// The name in data files and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deployment => "deployment",
            Self::Restricted => "restricted",
            Self::Extended => "extended",
            Self::New => "new",
            Self::Expired => "expired",
        }
    }
}

impl TryFrom<&str> for LocationStatus {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == value)
            .ok_or_else(|| {
                Invalid::new(format!(
                    "{} is not a status: one of {} is accepted",
                    quote(value),
                    Self::ALL.map(Self::as_str).join(", ")
                ))
            })
    }
}

/// A product that can be ordered at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What is offered.
    pub product: Product,
    /// What it costs; none where the price is on request.
    pub price: Option<Price>,
}

/// The price of an offer. Each part may be missing; a part that is zero is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// To be paid each month.
    pub monthly: Option<Money>,
    /// To be paid once.
    pub setup: Option<Money>,
}
