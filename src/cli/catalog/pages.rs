//! Fetches a catalogue page by page and makes one answer of it.

use crate::cli::client::Client;
use crate::config::CatalogArgs;
use crate::proto::v1::{
    CatalogView, FilterCatalogRequest, FilterCatalogResponse, StoredCatalog,
    filter_catalog_request::Catalog,
};

/// How often fetching starts again because the policy changed under it.
const ATTEMPTS: usize = 3;

/// All pages as one answer, or as many locations as were asked for.
///
/// Each page is decided by the policy of its own moment. Where the decisions on ordering and
/// pricing change on the way, it starts again, or the answer would contradict itself.
pub(super) async fn fetch(
    client: &Client,
    args: &CatalogArgs,
) -> anyhow::Result<FilterCatalogResponse> {
    for _ in 0..ATTEMPTS {
        if let Some(answer) = attempt(client, args).await? {
            return Ok(answer);
        }
    }
    anyhow::bail!(
        "the policy changed between pages {ATTEMPTS} times; try again, or raise --page-size"
    )
}

async fn attempt(
    client: &Client,
    args: &CatalogArgs,
) -> anyhow::Result<Option<FilterCatalogResponse>> {
    let mut answer = client.filter_catalog(request(args, None)).await?;
    while !answer.next_page_token.is_empty() && wanted(args, &answer) > 0 {
        let page = client.filter_catalog(request(args, Some(&answer))).await?;
        if (&page.ordering, &page.pricing) != (&answer.ordering, &answer.pricing) {
            return Ok(None);
        }
        merge(&mut answer, page);
    }
    Ok(Some(answer))
}

/// How many locations are still wanted.
fn wanted(args: &CatalogArgs, so_far: &FilterCatalogResponse) -> u64 {
    let have = so_far.locations.len() + so_far.location_ids.len();
    let have = u64::try_from(have).unwrap_or(u64::MAX);
    args.limit.unwrap_or(u64::MAX).saturating_sub(have)
}

fn request(args: &CatalogArgs, so_far: Option<&FilterCatalogResponse>) -> FilterCatalogRequest {
    let none = FilterCatalogResponse::default();
    let wanted = wanted(args, so_far.unwrap_or(&none));
    let page_size = u32::try_from(wanted)
        .unwrap_or(u32::MAX)
        .min(args.page_size);
    let view = if args.ids {
        CatalogView::Ids
    } else {
        CatalogView::Full
    };
    FilterCatalogRequest {
        account_id: args.account.clone(),
        catalog: Some(Catalog::Stored(StoredCatalog {
            markets: args.markets.clone(),
            metros: args.metros.clone(),
            page_size,
            page_token: so_far.map_or_else(String::new, |page| page.next_page_token.clone()),
        })),
        view: view.into(),
        consistency: None,
    }
}

/// What holds for all pages: the oldest revision, and stale if any is.
fn merge(answer: &mut FilterCatalogResponse, page: FilterCatalogResponse) {
    answer.locations.extend(page.locations);
    answer.location_ids.extend(page.location_ids);
    answer.hidden_count = answer.hidden_count.saturating_add(page.hidden_count);
    answer.prices_redacted |= page.prices_redacted;
    answer.next_page_token = page.next_page_token;
    answer.revision = answer.revision.min(page.revision);
    answer.stale |= page.stale;
}
