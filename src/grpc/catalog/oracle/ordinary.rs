//! FilterCatalog as one writes it first.

use prost::Message as _;
use tonic::Status;

use crate::authorizer::AccountCatalog;
use crate::domain::{AccountId, Location};
use crate::grpc::catalog::stored::{Stored, listing};
use crate::grpc::catalog::{View, inline, parse_view, stored};
use crate::grpc::shape::check_fields;
use crate::grpc::status::{Violations, undecodable};
use crate::grpc::{AuthorizationApi, encode, parse};
use crate::proto::v1;
use crate::proto::v1::filter_catalog_request::Catalog;

/// Locations, how many are hidden, and the token of the next page.
type Kept = (Vec<v1::Location>, usize, String);

pub(super) async fn filter(
    api: &AuthorizationApi,
    request: &[u8],
) -> Result<v1::FilterCatalogResponse, Status> {
    check_fields(request)?;
    let request = v1::FilterCatalogRequest::decode(request).map_err(|error| undecodable(&error))?;
    let mut violations = Violations::default();
    let account = AccountId::try_from(request.account_id);
    let account = violations.take(|| "account_id".to_owned(), account);
    let view = violations.take(|| "view".to_owned(), parse_view(request.view));
    let mut sent = None;
    let mut part = None;
    match request.catalog {
        Some(Catalog::Inline(v1::InlineCatalog { locations })) => {
            inline::check(&mut violations, &locations);
            sent = Some(locations);
        }
        Some(Catalog::Stored(asked)) => {
            part = stored::parse(&mut violations, account.as_ref(), asked);
        }
        None => part = stored::parse(&mut violations, account.as_ref(), Default::default()),
    }
    let (account, view) = parse::complete(violations, account.zip(view))?;

    let consistency = parse::consistency(request.consistency.as_ref());
    let resolved = api.authorizer.catalog(account.clone(), consistency).await?;
    let catalog = &resolved.value;
    let (mut kept, hidden, next_page_token) = match (sent, part) {
        (Some(sent), _) => of_sent(catalog, sent)?,
        (None, Some(part)) => of_stored(catalog, &account, &part)?,
        (None, None) => unreachable!("a violation was noted"),
    };
    let access = catalog.access()?;
    if !access.shows_prices() {
        let offers = kept.iter_mut().flat_map(|location| &mut location.offers);
        offers.for_each(|offer| offer.price = None);
    }
    let (locations, location_ids) = match view {
        View::Full => (kept, Vec::new()),
        View::Ids => (Vec::new(), kept.into_iter().map(|kept| kept.id).collect()),
    };
    Ok(v1::FilterCatalogResponse {
        locations,
        location_ids,
        hidden_count: u32::try_from(hidden).unwrap(),
        prices_redacted: !access.shows_prices(),
        ordering: Some(encode::decision("services.order", access.ordering)),
        pricing: Some(encode::decision("pricing.view", access.pricing)),
        next_page_token,
        revision: resolved.revision.0,
        stale: resolved.stale,
    })
}

fn of_sent(catalog: &AccountCatalog, mut sent: Vec<v1::Location>) -> Result<Kept, Status> {
    let access = catalog.access()?;
    let all = sent.len();
    sent.retain(|location| catalog.shows_inline(&access, &location.market));
    let hidden = all - sent.len();
    Ok((sent, hidden, String::new()))
}

fn of_stored(catalog: &AccountCatalog, account: &AccountId, part: &Stored) -> Result<Kept, Status> {
    let filter = catalog.filter(&part.markets, part.metros.clone())?;
    let access = catalog.access()?;
    let markets = catalog.stored().markets();
    let market = |location: &Location| location.market.and_then(|name| markets.resolve(name));
    let matches = |location: &&Location| {
        let is_after = part.after.as_ref().is_none_or(|after| location.id > *after);
        let is_in = market(location).is_some_and(|market| filter.markets.contains(&market));
        let is_near = filter.metros.contains(&location.metro);
        is_after && (part.markets.is_empty() || is_in) && (part.metros.is_empty() || is_near)
    };
    let (mut kept, mut hidden, mut passed) = (Vec::<v1::Location>::new(), 0, 0);
    for location in catalog.stored().locations().filter(matches) {
        if !access.shows(market(location)) {
            passed += 1;
        } else if kept.len() == part.page_size {
            let last = kept.last().unwrap();
            let token = listing(account, &part.markets, &part.metros).token(&last.id);
            return Ok((kept, hidden, token));
        } else {
            kept.push(encode::location(location));
            hidden += std::mem::take(&mut passed);
        }
    }
    Ok((kept, hidden + passed, String::new()))
}
