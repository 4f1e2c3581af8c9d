//! gRPC: parse a request, make one call, encode the answer. Nothing is decided here.

pub(crate) mod authorization;
mod batch;
mod caller;
mod catalog;
mod codec;
mod encode;
mod page_token;
mod parse;
mod policy;
mod reflection;
mod shape;
mod status;

pub use authorization::AuthorizationApi;
pub use batch::{BatchAnswer, ReadBatch};
pub use catalog::{CatalogAnswer, CatalogRequest};
pub use codec::Codec;
pub use policy::PolicyApi;
pub use reflection::reflection;
pub(crate) use shape::{Shape, check_items};
pub(crate) use status::{
    caller_unknown, deadline_exceeded, malformed_timeout, message_too_large, overloaded,
    role_missing, stopping,
};

use crate::domain::{MAX_MARKETS, MAX_OFFERS};

/// The most bytes of a message, in and out, of FilterCatalog, the writes of the catalogue and
/// PreviewPartnerPolicy.
pub const MAX_CATALOG_MESSAGE: usize = 16 << 20;
/// The most bytes of a message, in and out, of every other call.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The most bytes of a message of the services that are not ours: health and reflection.
pub const MAX_OPEN_MESSAGE: usize = 4 << 10;

// Each list has about twice the room that the API gives it: what is a little above its bound is told by
// who parses it, in full.

/// The offers of all locations of a message: far more than a catalogue has that is of any use, and as
/// many as memory has room for.
const MAX_ALL_OFFERS: usize = 1_000_000;
const OFFERS: &[Shape] = &[Shape {
    in_all: MAX_ALL_OFFERS,
    ..Shape::list(7, "offers", 2 * MAX_OFFERS)
}];
/// The lists of PutLocations.
pub(crate) const PUT_LOCATIONS: &[Shape] = &[Shape {
    within: OFFERS,
    ..Shape::list(1, "locations", 20_000)
}];
/// The lists of FilterCatalog.
pub(crate) const FILTER_CATALOG: &[Shape] = &[
    Shape {
        within: &[
            Shape::list(1, "stored.markets", 2 * MAX_MARKETS),
            Shape::list(2, "stored.metros", 10_000),
        ],
        ..Shape::list(2, "stored", 4)
    },
    Shape {
        within: &[Shape {
            within: OFFERS,
            ..Shape::list(1, "inline.locations", 40_000)
        }],
        ..Shape::list(3, "inline", 4)
    },
];
/// The lists of PutBillingMarkets.
pub(crate) const PUT_MARKETS: &[Shape] = &[Shape {
    within: &[Shape::list(4, "aliases", 1_000)],
    ..Shape::list(1, "markets", 10_000)
}];
/// The lists of PreviewPartnerPolicy.
pub(crate) const PREVIEW: &[Shape] = &[Shape {
    within: &[
        Shape::list(2, "update.settings", 10_000),
        Shape::list(3, "update.enable_markets", 10_000),
        Shape::list(4, "update.disable_markets", 10_000),
    ],
    ..Shape::list(1, "update", 4)
}];
