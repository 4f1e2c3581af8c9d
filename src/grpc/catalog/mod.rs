//! FilterCatalog: the stored catalogue in pages, or one that the caller sends along.
//!
//! An answer consists of locations most of all. They are not made anew for each call where they need
//! not be: those of the stored catalogue are written once (`segments`), those that were sent along are
//! copied where nothing else would come of decoding and encoding them (`canonical`).

mod canonical;
mod inline;
#[cfg(test)]
mod oracle;
mod redacted;
mod request;
mod segments;
mod stored;
mod written;

use tonic::{Response, Status};

use crate::authorizer::AccountCatalog;
use crate::decisions::Call;
use crate::directory::Resolved;
use crate::domain::{AccountId, CatalogAccess};
use crate::proto::v1;
use crate::proto::v1::filter_catalog_request::Catalog;

use super::authorization::{AuthorizationApi, fits};
use super::status::Violations;
use super::{MAX_CATALOG_MESSAGE, encode, parse};

use inline::Sent;
use written::Written;

pub use request::CatalogRequest;
pub(super) use segments::WrittenCatalogs;
pub use written::CatalogAnswer;

/// What of each location is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Full,
    Ids,
}

/// What of the prices is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prices {
    Shown,
    Redacted,
}

/// What of a catalogue is visible.
struct Visible {
    kept: Kept,
    count: usize,
    hidden: usize,
    next_page_token: String,
}

/// The visible locations, or their ids.
enum Kept {
    Written(Written),
    Decoded(Vec<v1::Location>),
    Ids(Vec<String>),
}

impl Prices {
    fn of(access: &CatalogAccess<'_>) -> Self {
        match access.shows_prices() {
            true => Self::Shown,
            false => Self::Redacted,
        }
    }
}

impl AuthorizationApi {
    pub(super) async fn filter(
        &self,
        request: CatalogRequest,
        call: Call<'_>,
    ) -> Result<Response<CatalogAnswer>, Status> {
        let CatalogRequest { message, canonical } = request;
        let v1::FilterCatalogRequest {
            account_id,
            catalog,
            view,
            consistency,
        } = message;
        let consistency = parse::consistency(consistency.as_ref());
        let mut violations = Violations::default();
        let account = violations.take(|| "account_id".to_owned(), AccountId::try_from(account_id));
        let view = violations.take(|| "view".to_owned(), parse_view(view));
        let catalog = catalog.unwrap_or_else(|| Catalog::Stored(v1::StoredCatalog::default()));
        let sent = match (canonical, catalog) {
            (Some(canonical), _) => Sent::Canonical(canonical),
            (None, Catalog::Inline(v1::InlineCatalog { locations })) => {
                inline::check(&mut violations, &locations);
                Sent::Decoded(locations)
            }
            (None, Catalog::Stored(stored)) => {
                let stored = stored::parse(&mut violations, account.as_ref(), stored);
                let ((account, view), stored) =
                    parse::complete(violations, account.zip(view).zip(stored))?;
                return self
                    .filter_stored(account, view, stored, consistency, call)
                    .await;
            }
        };
        let (account, view) = parse::complete(violations, account.zip(view))?;
        self.filter_inline(account, view, sent, consistency, call)
            .await
    }
}

fn respond(
    resolved: &Resolved<AccountCatalog>,
    access: &CatalogAccess<'_>,
    account: &AccountId,
    mut call: Call<'_>,
    visible: Visible,
) -> Result<Response<CatalogAnswer>, Status> {
    call.shown(account, access, visible.count, visible.hidden);
    let (written, locations, location_ids) = match visible.kept {
        Kept::Written(written) => (written, Vec::new(), Vec::new()),
        Kept::Decoded(locations) => (Written::default(), locations, Vec::new()),
        Kept::Ids(ids) => (Written::default(), Vec::new(), ids),
    };
    let rest = v1::FilterCatalogResponse {
        locations,
        location_ids,
        hidden_count: u32::try_from(visible.hidden).unwrap_or(u32::MAX),
        prices_redacted: !access.shows_prices(),
        ordering: Some(encode::decision("services.order", access.ordering)),
        pricing: Some(encode::decision("pricing.view", access.pricing)),
        next_page_token: visible.next_page_token,
        revision: resolved.revision.0,
        stale: resolved.stale,
    };
    let answer = CatalogAnswer::new(written, rest);
    fits(answer.encoded_len(), MAX_CATALOG_MESSAGE)?;
    call.answered(resolved.revision, resolved.stale);
    Ok(Response::new(answer))
}

fn parse_view(view: i32) -> Result<View, &'static str> {
    match v1::CatalogView::try_from(view) {
        Ok(v1::CatalogView::Unspecified | v1::CatalogView::Full) => Ok(View::Full),
        Ok(v1::CatalogView::Ids) => Ok(View::Ids),
        Err(_) => Err("is not a view: CATALOG_VIEW_FULL or CATALOG_VIEW_IDS is accepted"),
    }
}
