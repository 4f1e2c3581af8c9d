//! FilterCatalog: the stored catalogue in pages, or one that the caller sends along.

use tonic::{Response, Status};

use crate::authorizer::AccountCatalog;
use crate::decisions::Call;
use crate::directory::{Consistency, Resolved};
use crate::domain::MAX_MARKETS;
use crate::domain::{
    AccountId, CatalogAccess, Invalid, LocationId, MAX_METRO, MAX_NAME, MAX_OFFERS, MarketCode,
    Money, Product, Text,
};
use crate::proto::google::r#type as google;
use crate::proto::v1;
use crate::proto::v1::filter_catalog_request::Catalog;

use super::authorization::{AuthorizationApi, answer};
use super::page_token::Listing;
use super::status::Violations;
use super::{MAX_CATALOG_MESSAGE, encode, parse};

/// The most locations that a caller may send along.
const MAX_INLINE_LOCATIONS: usize = 20_000;
/// The largest page.
const MAX_PAGE: u32 = 10_000;

/// What of each location is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Full,
    Ids,
}

/// A request for the stored catalogue, parsed.
struct Stored {
    markets: Vec<MarketCode>,
    metros: Vec<String>,
    page_size: usize,
    after: Option<LocationId>,
}

/// What of a catalogue is visible.
struct Visible {
    locations: Vec<v1::Location>,
    ids: Vec<String>,
    hidden: usize,
    next_page_token: String,
}

impl AuthorizationApi {
    pub(super) async fn filter(
        &self,
        request: v1::FilterCatalogRequest,
        call: Call<'_>,
    ) -> Result<Response<v1::FilterCatalogResponse>, Status> {
        let v1::FilterCatalogRequest {
            account_id,
            catalog,
            view,
            consistency,
        } = request;
        let consistency = parse::consistency(consistency.as_ref());
        let mut violations = Violations::default();
        let account = violations.take(|| "account_id".to_owned(), AccountId::try_from(account_id));
        let view = violations.take(|| "view".to_owned(), parse_view(view));
        match catalog.unwrap_or_else(|| Catalog::Stored(v1::StoredCatalog::default())) {
            Catalog::Stored(stored) => {
                let stored = parse_stored(&mut violations, account.as_ref(), stored);
                let ((account, view), stored) =
                    parse::complete(violations, account.zip(view).zip(stored))?;
                self.filter_stored(account, view, stored, consistency, call)
                    .await
            }
            Catalog::Inline(v1::InlineCatalog { locations }) => {
                check_inline(&mut violations, &locations);
                let (account, view) = parse::complete(violations, account.zip(view))?;
                self.filter_inline(account, view, locations, consistency, call)
                    .await
            }
        }
    }

    async fn filter_stored(
        &self,
        account: AccountId,
        view: View,
        stored: Stored,
        consistency: Consistency,
        call: Call<'_>,
    ) -> Result<Response<v1::FilterCatalogResponse>, Status> {
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
        let filter = resolved.value.filter(&markets, metros.clone())?;
        let access = resolved.value.access()?;
        let page = resolved
            .value
            .page(&access, &filter, after.as_ref(), page_size);

        let listing = listing(&account, &markets, &metros);
        let visible = page.visible.iter();
        let (locations, ids) = match view {
            View::Full => (
                visible
                    .map(|location| encode::location(location, access.shows_prices()))
                    .collect(),
                Vec::new(),
            ),
            View::Ids => (
                Vec::new(),
                visible
                    .map(|location| location.id.as_str().to_owned())
                    .collect(),
            ),
        };
        let next_page_token = page
            .next_after
            .map(|last| listing.token(last.as_str()))
            .unwrap_or_default();
        respond(
            &resolved,
            &access,
            &account,
            call,
            Visible {
                locations,
                ids,
                hidden: page.hidden,
                next_page_token,
            },
        )
    }

    async fn filter_inline(
        &self,
        account: AccountId,
        view: View,
        locations: Vec<v1::Location>,
        consistency: Consistency,
        call: Call<'_>,
    ) -> Result<Response<v1::FilterCatalogResponse>, Status> {
        let resolved = self
            .authorizer
            .catalog(account.clone(), consistency)
            .await?;
        let access = resolved.value.access()?;
        let sent = locations.len();
        let kept = locations
            .into_iter()
            .filter(|location| resolved.value.shows_inline(&access, &location.market));
        let (locations, ids) = match view {
            View::Full if access.shows_prices() => (kept.collect(), Vec::new()),
            View::Full => (kept.map(without_prices).collect(), Vec::new()),
            View::Ids => (Vec::new(), kept.map(|location| location.id).collect()),
        };
        let hidden = sent - locations.len().max(ids.len());
        respond(
            &resolved,
            &access,
            &account,
            call,
            Visible {
                locations,
                ids,
                hidden,
                next_page_token: String::new(),
            },
        )
    }
}

fn respond(
    resolved: &Resolved<AccountCatalog>,
    access: &CatalogAccess<'_>,
    account: &AccountId,
    mut call: Call<'_>,
    visible: Visible,
) -> Result<Response<v1::FilterCatalogResponse>, Status> {
    let count = visible.locations.len().max(visible.ids.len());
    call.shown(account, access, count, visible.hidden);
    let answer = answer(
        v1::FilterCatalogResponse {
            locations: visible.locations,
            location_ids: visible.ids,
            hidden_count: u32::try_from(visible.hidden).unwrap_or(u32::MAX),
            prices_redacted: !access.shows_prices(),
            ordering: Some(encode::decision("services.order", access.ordering)),
            pricing: Some(encode::decision("pricing.view", access.pricing)),
            next_page_token: visible.next_page_token,
            revision: resolved.revision.0,
            stale: resolved.stale,
        },
        MAX_CATALOG_MESSAGE,
    )?;
    call.answered(resolved.revision, resolved.stale);
    Ok(answer)
}

fn without_prices(mut location: v1::Location) -> v1::Location {
    location
        .offers
        .iter_mut()
        .for_each(|offer| offer.price = None);
    location
}

fn parse_view(view: i32) -> Result<View, &'static str> {
    match v1::CatalogView::try_from(view) {
        Ok(v1::CatalogView::Unspecified | v1::CatalogView::Full) => Ok(View::Full),
        Ok(v1::CatalogView::Ids) => Ok(View::Ids),
        Err(_) => Err("is not a view: CATALOG_VIEW_FULL or CATALOG_VIEW_IDS is accepted"),
    }
}

fn parse_stored(
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
fn listing<'a>(
    account: &'a AccountId,
    markets: &'a [MarketCode],
    metros: &'a [String],
) -> Listing<'a> {
    Listing::new("FilterCatalog")
        .of([account.as_str()])
        .of(markets.iter().map(MarketCode::as_str))
        .of(metros.iter().map(String::as_str))
}

fn check_inline(violations: &mut Violations, locations: &[v1::Location]) {
    if locations.len() > MAX_INLINE_LOCATIONS {
        let message = format!(
            "has {} items; at most {MAX_INLINE_LOCATIONS} are accepted",
            locations.len()
        );
        violations.add("inline.locations", message);
        return;
    }
    for (index, location) in locations.iter().enumerate() {
        if let Err((field, invalid)) = check_location(location) {
            violations.add(
                format!("inline.locations[{index}].{field}"),
                invalid.to_string(),
            );
        }
    }
}

/// The first of what is wrong with a location that was sent along, with its field. Its market,
/// country, currencies and status are the sender's affair.
fn check_location(location: &v1::Location) -> Result<(), (String, Invalid)> {
    let at = |field: &str| {
        let field = field.to_owned();
        move |invalid| (field, invalid)
    };
    LocationId::check(&location.id).map_err(at("id"))?;
    Text::check(&location.name, MAX_NAME).map_err(at("name"))?;
    Text::check(&location.metro, MAX_METRO).map_err(at("metro"))?;
    if location.offers.len() > MAX_OFFERS {
        let message = format!(
            "has {} items; at most {MAX_OFFERS} are accepted",
            location.offers.len()
        );
        return Err(("offers".to_owned(), Invalid::new(message)));
    }
    for (index, offer) in location.offers.iter().enumerate() {
        let at = |field: &str| {
            let field = format!("offers[{index}].{field}");
            move |invalid| (field, invalid)
        };
        Product::check(&offer.product).map_err(at("product"))?;
        if let Some(price) = &offer.price {
            check_money(price.monthly.as_ref()).map_err(at("price.monthly"))?;
            check_money(price.setup.as_ref()).map_err(at("price.setup"))?;
        }
    }
    Ok(())
}

fn check_money(money: Option<&google::Money>) -> Result<(), Invalid> {
    money.map_or(Ok(()), |money| Money::check(money.units, money.nanos))
}
