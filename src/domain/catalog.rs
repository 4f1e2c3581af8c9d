//! The stored catalogue, and one page of what an account may see of it.

use std::collections::BTreeSet;
use std::ops::Range;

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
    catalog: &'a Catalog,
    /// What is visible, in order: places in the catalogue, those that follow each other as one range.
    pub visible: Vec<Range<usize>>,
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

    /// The locations, by id, byte by byte.
    pub fn locations(&self) -> impl ExactSizeIterator<Item = &Location> {
        self.locations.iter().map(|(location, _)| location)
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
            .enumerate()
            .skip(start)
            .filter(|(_, (location, market))| filter.matches(location, *market));
        let mut page = Page {
            catalog: self,
            visible: Vec::new(),
            hidden: 0,
            next_after: None,
        };
        let (mut count, mut hidden_since, mut last) = (0, 0, None);
        for (place, (location, market)) in matches {
            if !access.shows(*market) {
                hidden_since += 1;
            } else if count == size {
                page.next_after = last;
                return page;
            } else {
                page.show(place);
                count += 1;
                last = Some(&location.id);
                page.hidden += std::mem::take(&mut hidden_since);
            }
        }
        page.hidden += hidden_since;
        page
    }
}

impl<'a> Page<'a> {
    /// The visible locations, in order.
    pub fn locations(&self) -> impl Iterator<Item = &'a Location> {
        let all = &self.catalog.locations;
        let ranges = self.visible.iter();
        let shown = ranges.flat_map(|range| all.get(range.clone()).unwrap_or_default());
        shown.map(|(location, _)| location)
    }

    /// How many are visible.
    #[must_use]
    pub fn count(&self) -> usize {
        self.visible.iter().map(ExactSizeIterator::len).sum()
    }

    fn show(&mut self, place: usize) {
        match self.visible.last_mut() {
            Some(range) if range.end == place => range.end += 1,
            Some(_) | None => self.visible.push(place..place + 1),
        }
    }
}

impl CatalogFilter {
    fn matches(&self, location: &Location, market: Option<MarketCode>) -> bool {
        (self.markets.is_empty() || market.is_some_and(|market| self.markets.contains(&market)))
            && (self.metros.is_empty() || self.metros.contains(&location.metro))
    }
}
