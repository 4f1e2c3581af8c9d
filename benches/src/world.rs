//! What is asked about: accounts of partners, markets and locations, as many as are wanted, the same
//! each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::directory::{Directory, DirectoryConfig};
use portcullis::domain::{
    Account, AccountId, AccountKind, BillingMarket, CurrencyCode, FeatureKey, FeatureMatrix,
    Location, LocationId, LocationStatus, MarketCode, Markets, Money, Offer, Price, Product,
    Setting, SupportProvider,
};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{Import, Line, PolicyImport, Store};

/// How much of each there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Managed accounts.
    pub accounts: usize,
    /// Partners.
    pub partners: usize,
    /// Locations.
    pub locations: usize,
    /// Offers at each location.
    pub offers: usize,
}

/// Billing markets, of which each partner enables two thirds.
const MARKETS: usize = 24;

/// Accounts of a partner, where it is not said otherwise.
pub const OF_A_PARTNER: usize = 100;

/// Offers at each location of a catalogue that is measured.
pub const OFFERS: usize = 8;

/// The id of a managed account.
#[must_use]
pub fn account(number: usize) -> String {
    format!("account-{number:07}")
}

/// The id of a partner.
#[must_use]
pub fn partner(number: usize) -> String {
    format!("partner-{number:05}")
}

/// The code of a market.
#[must_use]
pub fn market(number: usize) -> String {
    format!("M{:02}", number % MARKETS)
}

/// A number below `bound` that looks chosen at random, and is the same each time.
#[must_use]
pub fn random(number: usize, bound: usize) -> usize {
    let mut bits = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    usize::try_from(bits % bound as u64).unwrap_or_default()
}

fn line<T>(value: T) -> Line<T> {
    Line { line: 1, value }
}

/// Data of this size, to be imported.
#[must_use]
pub fn import(size: Size) -> Import {
    Import {
        actor: "bench".to_owned(),
        markets: (0..MARKETS).map(billing_market).map(line).collect(),
        locations: (0..size.locations)
            .map(|number| line(location(number, size.offers)))
            .collect(),
        accounts: (0..size.partners)
            .map(|number| Account {
                id: id(&partner(number)),
                kind: AccountKind::Partner,
                display_name: format!("Partner {number}"),
            })
            .chain((0..size.accounts).map(|number| managed(number, size.partners)))
            .map(line)
            .collect(),
        policies: (0..size.partners).map(policy).map(line).collect(),
        ..Import::default()
    }
}

fn id(text: &str) -> AccountId {
    text.try_into().unwrap()
}

/// A managed account: those of a partner are not next to each other.
#[must_use]
pub fn managed(number: usize, partners: usize) -> Account {
    Account {
        id: id(&account(number)),
        kind: AccountKind::Managed {
            partner: id(&partner(number % partners)),
            support: match number % 3 {
                0 => SupportProvider::Platform,
                _ => SupportProvider::Partner,
            },
        },
        display_name: format!("Account {number}"),
    }
}

/// The policy of a partner.
#[must_use]
pub fn policy(number: usize) -> PolicyImport {
    let key = |key: &str| FeatureKey::try_from(key).unwrap();
    let choice = |is_on| if is_on { Setting::On } else { Setting::Off };
    PolicyImport {
        partner: id(&partner(number)),
        settings: BTreeMap::from([
            (key("pricing.view"), choice(number.is_multiple_of(2))),
            (key("dashboard.view"), choice(number.is_multiple_of(3))),
        ]),
        markets: (0..MARKETS)
            .filter(|place| !(place + number).is_multiple_of(3))
            .map(|place| line(code(place)))
            .collect(),
        accounts: Vec::new(),
    }
}

fn code(number: usize) -> MarketCode {
    market(number).as_str().try_into().unwrap()
}

fn billing_market(number: usize) -> BillingMarket {
    let name = format!("Market {number}");
    BillingMarket::new(code(number), name, currency(), Vec::new()).unwrap()
}

/// The billing markets.
#[must_use]
pub fn markets() -> Markets {
    let market = |number| (code(number), billing_market(number));
    Markets::new((0..MARKETS).map(market).collect()).unwrap()
}

fn currency() -> CurrencyCode {
    "EUR".try_into().unwrap()
}

/// A location with so many offers, each with a monthly price and one for its setup.
#[must_use]
pub fn location(number: usize, offers: usize) -> Location {
    let money = |units: usize| {
        let units = i64::try_from(units).unwrap();
        Some(Money::new(currency(), units, 500_000_000).unwrap())
    };
    let offer = |place: usize| Offer {
        product: Product::try_from(format!("PORT_{place}G")).unwrap(),
        price: Some(Price {
            monthly: money(100 * place + number % 1_000),
            setup: money(250 + place),
        }),
    };
    Location {
        id: LocationId::try_from(format!("loc-{number:06}")).unwrap(),
        name: format!("Data centre number {number}"),
        metro: format!("Metro {}", number % 60),
        country: "NL".to_owned(),
        market: Some(code(number)),
        status: Some(LocationStatus::Active),
        offers: (0..offers).map(offer).collect(),
    }
}

/// The matrix that is built in.
#[must_use]
pub fn matrix() -> Arc<FeatureMatrix> {
    Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap())
}

/// A directory over a store in memory that holds this, with the task that keeps it true.
pub async fn directory(size: Size) -> Directory {
    let store = MemoryStore::default();
    store.import(&import(size), &|_| {}).await.unwrap();
    let (directory, keep_true) =
        Directory::new(Arc::new(store), matrix(), DirectoryConfig::default());
    tokio::spawn(keep_true);
    directory
}
