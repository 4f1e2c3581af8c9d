//! A catalogue through the eyes of one account.

use std::sync::Arc;

use crate::directory::Profile;
use crate::domain::{
    Catalog, CatalogAccess, CatalogFilter, FeatureMatrix, LocationId, MarketCode, Page,
    PartnerPolicy, catalog_access,
};

use super::{Refusal, subject};

/// The stored catalogue together with what one account may see of it.
#[derive(Debug)]
pub struct AccountCatalog {
    matrix: Arc<FeatureMatrix>,
    profile: Profile,
    policy: Option<Arc<PartnerPolicy>>,
    catalog: Arc<Catalog>,
}

impl AccountCatalog {
    pub(super) fn new(
        matrix: Arc<FeatureMatrix>,
        profile: Profile,
        policy: Option<Arc<PartnerPolicy>>,
        catalog: Arc<Catalog>,
    ) -> Self {
        Self {
            matrix,
            profile,
            policy,
            catalog,
        }
    }

    /// What the account may see of any catalogue.
    ///
    /// # Errors
    /// [`Refusal::AccountInconsistent`] where it cannot be judged.
    pub fn access(&self) -> Result<CatalogAccess<'_>, Refusal> {
        Ok(catalog_access(
            &self.matrix,
            subject(&self.profile, self.policy.as_deref())?,
        ))
    }

    /// The stored catalogue, whoever looks at it.
    #[must_use]
    pub fn stored(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A filter by markets, codes or aliases, and metros.
    ///
    /// # Errors
    /// [`Refusal::MarketUnknown`].
    pub fn filter(
        &self,
        markets: &[MarketCode],
        metros: Vec<String>,
    ) -> Result<CatalogFilter, Refusal> {
        let resolve = |name: &MarketCode| {
            self.catalog
                .markets()
                .resolve(*name)
                .ok_or(Refusal::MarketUnknown(*name))
        };
        let markets = markets.iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(CatalogFilter {
            markets,
            metros: metros.into_iter().collect(),
        })
    }

    /// A page of the stored catalogue.
    #[must_use]
    pub fn page(
        &self,
        access: &CatalogAccess<'_>,
        filter: &CatalogFilter,
        after: Option<&LocationId>,
        size: usize,
    ) -> Page<'_> {
        self.catalog.page(access, filter, after, size)
    }

    /// Whether a location that is not from the store, in this market as its sender wrote it, is
    /// visible.
    #[must_use]
    pub fn shows_inline(&self, access: &CatalogAccess<'_>, market: &str) -> bool {
        access.shows(self.catalog.markets().resolve_text(market))
    }
}
