//! The stored catalogue, in pages.

use tonic::{Response, Status};

use crate::decisions::Call;
use crate::directory::Consistency;
use crate::domain::{AccountId, LocationId, MAX_MARKETS, MAX_METRO, MarketCode, Text};
use crate::grpc::authorization::AuthorizationApi;
use crate::grpc::page_token::Listing;
use crate::grpc::status::Violations;
use crate::proto::v1;

use super::{CatalogAnswer, Kept, Prices, View, Visible, respond};

/// The largest page.
const MAX_PAGE: u32 = 10_000;

/// A request for the stored catalogue, parsed.
pub(super) struct Stored {
    pub(super) markets: Vec<MarketCode>,
    pub(super) metros: Vec<String>,
    pub(super) page_size: usize,
    pub(super) after: Option<LocationId>,
}

impl AuthorizationApi {
    pub(super) async fn filter_stored(
        &self,
        account: AccountId,
        view: View,
        stored: Stored,
        consistency: Consistency,
        call: Call<'_>,
    ) -> Result<Response<CatalogAnswer>, Status> {
        let Stored {
            markets,
            metros,
            page_size,
            after,
        } = stored;
        let resolved = self
            .authorizer
            .catalog(account.clone(), consistency)
            .await?;
        let catalog = &resolved.value;
        let filter = catalog.filter(&markets, metros.clone())?;
        let access = catalog.access()?;
        let page = catalog.page(&access, &filter, after.as_ref(), page_size);

        let kept = match view {
            View::Full => {
                let prices = Prices::of(&access);
                Kept::Written(self.catalogs.page(catalog.stored(), &page, prices)?)
            }
            View::Ids => {
                let ids = page.locations().map(|location| location.id.as_str());
                Kept::Ids(ids.map(str::to_owned).collect())
            }
        };
        let next_page_token = page
            .next_after
            .map(|last| listing(&account, &markets, &metros).token(last.as_str()))
            .unwrap_or_default();
        let visible = Visible {
            kept,
            count: page.count(),
            hidden: page.hidden,
            next_page_token,
        };
        respond(&resolved, &access, &account, call, visible)
    }
}

pub(super) fn parse(
    violations: &mut Violations,
    account: Option<&AccountId>,
    stored: v1::StoredCatalog,
) -> Option<Stored> {
    let v1::StoredCatalog {
        markets: names,
        metros,
        page_size,
        page_token,
    } = stored;
    if names.len() > MAX_MARKETS {
        violations.add(
            "stored.markets",
            format!(
                "has {} items; at most {MAX_MARKETS} are accepted",
                names.len()
            ),
        );
    }
    let mut markets = Vec::with_capacity(names.len().min(MAX_MARKETS));
    for (index, name) in names.iter().enumerate().take(MAX_MARKETS) {
        let code = violations.take(
            || format!("stored.markets[{index}]"),
            MarketCode::try_from(name.as_str()),
        );
        markets.extend(code);
    }
    for (index, metro) in metros.iter().enumerate() {
        violations.take(
            || format!("stored.metros[{index}]"),
            Text::check(metro, MAX_METRO),
        );
    }
    if page_size > MAX_PAGE {
        violations.add(
            "stored.page_size",
            format!("is {page_size}; at most {MAX_PAGE} is accepted, 0 is everything"),
        );
    }
    let page_size = match page_size {
        0 => usize::MAX,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    };
    // Without an account there is nothing to compare the token with, and an error already.
    let listing = listing(account?, &markets, &metros);
    let after = violations.take(
        || "stored.page_token".to_owned(),
        listing.position(&page_token),
    )?;
    Some(Stored {
        markets,
        metros,
        page_size,
        after,
    })
}

/// What a page token of the stored catalogue is bound to: not to the view.
pub(super) fn listing<'a>(
    account: &'a AccountId,
    markets: &'a [MarketCode],
    metros: &'a [String],
) -> Listing<'a> {
    Listing::new("FilterCatalog")
        .of([account.as_str()])
        .of(markets.iter().map(MarketCode::as_str))
        .of(metros.iter().map(String::as_str))
}
