//! Locations without prices: messages that have no place for one, so that none can ride along.
//!
//! On the wire they are `Location` and `Offer` with the same numbers. What is decoded as one of them
//! loses its prices, as everything that a message does not declare; what is made of a decoded
//! location names each field of it.

use prost::Message as _;

use crate::proto::v1;

use super::written::Written;

/// Locations alone: `InlineCatalog`, and the beginning of `FilterCatalogResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RedactedLocations {
    #[prost(message, repeated, tag = "1")]
    locations: Vec<RedactedLocation>,
}

/// A location.
#[derive(Clone, PartialEq, prost::Message)]
struct RedactedLocation {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    metro: String,
    #[prost(string, tag = "4")]
    country: String,
    #[prost(string, tag = "5")]
    market: String,
    #[prost(int32, tag = "6")]
    status: i32,
    #[prost(message, repeated, tag = "7")]
    offers: Vec<RedactedOffer>,
}

/// An offer.
#[derive(Clone, PartialEq, prost::Message)]
struct RedactedOffer {
    #[prost(string, tag = "1")]
    product: String,
}

impl RedactedLocations {
    pub(super) fn written(&self) -> Written {
        Written::whole(self.encode_to_vec().into())
    }
}

impl From<Vec<v1::Location>> for RedactedLocations {
    fn from(locations: Vec<v1::Location>) -> Self {
        let locations = locations.into_iter().map(Into::into).collect();
        Self { locations }
    }
}

impl From<v1::Location> for RedactedLocation {
    fn from(location: v1::Location) -> Self {
        let v1::Location {
            id,
            name,
            metro,
            country,
            market,
            status,
            offers,
        } = location;
        let redacted = |v1::Offer { product, price: _ }| RedactedOffer { product };
        Self {
            id,
            name,
            metro,
            country,
            market,
            status,
            offers: offers.into_iter().map(redacted).collect(),
        }
    }
}
