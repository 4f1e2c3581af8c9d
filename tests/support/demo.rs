//! The demo data as the tests see it: what is in it, and what an account should see of it, worked
//! out here from the data file and not by the rules under test.

use std::sync::OnceLock;

use portcullis::app::StoreChoice;
use portcullis::datafile;
use portcullis::domain::{Account, AccountKind, Location, MarketCode};
use portcullis::store::Import;

use super::server::built_in_matrix;

/// The demo data, read once.
pub fn import() -> &'static Import {
    static IMPORT: OnceLock<Import> = OnceLock::new();
    IMPORT.get_or_init(|| {
        datafile::parse(datafile::DEMO, &built_in_matrix())
            .unwrap()
            .0
    })
}

pub fn store() -> StoreChoice {
    StoreChoice::Memory(import().clone())
}

pub fn accounts() -> Vec<&'static Account> {
    import().accounts.iter().map(|line| &line.value).collect()
}

/// Every feature of the built-in matrix, by key.
pub fn features() -> Vec<String> {
    let matrix = built_in_matrix();
    let mut features: Vec<_> = matrix
        .features()
        .map(|(_, row)| row.key.as_str().to_owned())
        .collect();
    features.sort();
    features
}

/// Every location, by id.
pub fn locations() -> Vec<&'static Location> {
    let mut locations: Vec<_> = import().locations.iter().map(|line| &line.value).collect();
    locations.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    locations
}

/// The market that a code or an alias means.
pub fn market(name: MarketCode) -> Option<MarketCode> {
    let mut markets = import().markets.iter().map(|line| &line.value);
    markets
        .find(|market| market.code == name || market.aliases.contains(&name))
        .map(|market| market.code)
}

/// The ids of the locations in the markets that the account's partner enabled; all of them for an
/// account that has no partner. Nobody in the demo data is denied `services.order`.
pub fn visible(account: &Account) -> Vec<String> {
    let enabled: Option<Vec<MarketCode>> = match &account.kind {
        AccountKind::Direct | AccountKind::Partner => None,
        AccountKind::Managed { partner, .. } => Some(
            import()
                .policies
                .iter()
                .filter(|line| line.value.partner == *partner)
                .flat_map(|line| &line.value.markets)
                .map(|line| line.value)
                .collect(),
        ),
    };
    locations()
        .into_iter()
        .filter(|location| match &enabled {
            None => true,
            Some(enabled) => location
                .market
                .and_then(market)
                .is_some_and(|market| enabled.contains(&market)),
        })
        .map(|location| location.id.as_str().to_owned())
        .collect()
}
