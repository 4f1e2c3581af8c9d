//! The stored catalogue, and one page of what an account may see of it.

use std::collections::BTreeSet;

use super::{CatalogAccess, Location, LocationId, MarketCode, Markets};

/// Billing markets and the locations that lie in them.
#[derive(Debug)]
pub struct Catalog {
    markets: Markets,
    /// By id, byte by byte; each with the market that its own code or alias means.
    locations: Vec<(Location, Option<MarketCode>)>,
}

/// Which locations of the stored catalogue are asked for. An empty set asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogFilter {
    /// Markets by code, aliases resolved.
    pub markets: BTreeSet<MarketCode>,
    /// Metros, compared exactly.
    pub metros: BTreeSet<String>,
}

/// A page of the visible locations.
#[derive(Debug)]
pub struct Page<'a> {
    /// What is visible, in order.
    pub visible: Vec<&'a Location>,
    /// How many locations the filter matched, but the account may not see, up to the last visible
    /// one of this page; on the last page also those that follow. So pages add up.
    pub hidden: usize,
    /// Where the next page goes on: after this location. None on the last page.
    pub next_after: Option<&'a LocationId>,
}

impl Catalog {
    /// The catalogue that these markets and locations make.
    #[must_use]
    pub fn new(markets: Markets, mut locations: Vec<Location>) -> Self {
        locations.sort_by(|a, b| a.id.cmp(&b.id));
        let place = |location: Location| {
            let market = location.market.and_then(|name| markets.resolve(name));
            (location, market)
        };
        let locations = locations.into_iter().map(place).collect();
        Self { markets, locations }
    }

    /// The billing markets.
    #[must_use]
    pub fn markets(&self) -> &Markets {
        &self.markets
    }

    /// What `access` shows of the locations that `filter` matches, after `after`, at most `size`.
    #[must_use]
    pub fn page(
        &self,
        access: &CatalogAccess<'_>,
        filter: &CatalogFilter,
        after: Option<&LocationId>,
        size: usize,
    ) -> Page<'_> {
        let start = after.map_or(0, |after| {
            self.locations
                .partition_point(|(location, _)| location.id <= *after)
        });
        let matches = self
            .locations
            .iter()
            .skip(start)
            .filter(|(location, market)| filter.matches(location, *market));
        let mut page = Page {
            visible: Vec::new(),
            hidden: 0,
            next_after: None,
        };
        let mut hidden_since = 0;
        for (location, market) in matches {
            if !access.shows(*market) {
                hidden_since += 1;
            } else if page.visible.len() == size {
                page.next_after = page.visible.last().map(|last| &last.id);
                return page;
            } else {
                page.visible.push(location);
                page.hidden += std::mem::take(&mut hidden_since);
            }
        }
        page.hidden += hidden_since;
        page
    }
}

impl CatalogFilter {
    fn matches(&self, location: &Location, market: Option<MarketCode>) -> bool {
        (self.markets.is_empty() || market.is_some_and(|market| self.markets.contains(&market)))
            && (self.metros.is_empty() || self.metros.contains(&location.metro))
    }
}
