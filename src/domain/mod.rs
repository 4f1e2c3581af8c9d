//! The rules: who an account is, what its partner chose, and what follows from it.
//!
//! Everything here is a total function of values. This module knows nothing of the rest of the
//! crate, and neither of IO, async, clocks, logging nor of a wire format: so the rules can be
//! read, enumerated and tested alone. Start with [`decide()`]; `filter` and `route` are built
//! on it.

mod account;
mod catalog;
mod decide;
mod document;
mod feature;
mod filter;
mod id;
mod location;
mod market;
mod matrix;
mod matrix_file;
mod money;
mod policy;
mod revision;
mod route;
mod setting;
mod text;

pub use account::{Account, AccountKind, Audience, SupportProvider};
pub use catalog::{Catalog, CatalogFilter, Page};
pub use decide::{Decision, Effect, Inconsistent, Reason, Subject, decide};
pub use document::{Document, DocumentError, Node, Value};
pub use feature::{FeatureIndex, FeatureKey, FeatureSet, MAX_FEATURES};
pub use filter::{CatalogAccess, catalog_access};
pub use id::{AccountId, Invalid, LocationId, Product, quote};
pub use location::{Location, LocationStatus, MAX_OFFERS, Offer, Price};
pub use market::{BillingMarket, MAX_MARKETS, MarketCode, MarketConflict, Markets};
pub use matrix::{FeatureMatrix, FeatureRow, FeatureRules, MatrixError, Rule, WellKnown};
pub use money::{CurrencyCode, Money};
pub use policy::{AccountProfile, EnabledMarkets, PartnerPolicy};
pub use revision::{ChangeId, Head, Revision};
pub use route::{Delivery, NotificationKind, Recipient, Recipients, deliver};
pub use setting::{Setting, SettingMap, Settings};
pub use text::{MAX_METRO, MAX_NAME, Text};
