//! Requests in few words.

use portcullis::proto::google::r#type::Money;
use portcullis::proto::v1;
use portcullis::proto::v1::consistency::Requirement;
use portcullis::proto::v1::filter_catalog_request::Catalog;

pub fn check(account: &str, feature: &str) -> v1::CheckFeatureRequest {
    v1::CheckFeatureRequest {
        account_id: account.to_owned(),
        feature: feature.to_owned(),
        consistency: None,
    }
}

pub fn batch<'a>(
    checks: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> v1::BatchCheckFeaturesRequest {
    let check = |(account, feature): (&str, &str)| v1::FeatureCheck {
        account_id: account.to_owned(),
        feature: feature.to_owned(),
    };
    v1::BatchCheckFeaturesRequest {
        checks: checks.into_iter().map(check).collect(),
        consistency: None,
    }
}

pub fn list(account: &str) -> v1::ListFeaturesRequest {
    v1::ListFeaturesRequest {
        account_id: account.to_owned(),
        consistency: None,
    }
}

/// The whole stored catalogue.
pub fn catalog(account: &str) -> v1::FilterCatalogRequest {
    v1::FilterCatalogRequest {
        account_id: account.to_owned(),
        ..v1::FilterCatalogRequest::default()
    }
}

pub fn stored(account: &str, stored: v1::StoredCatalog) -> v1::FilterCatalogRequest {
    v1::FilterCatalogRequest {
        catalog: Some(Catalog::Stored(stored)),
        ..catalog(account)
    }
}

pub fn inline(account: &str, locations: Vec<v1::Location>) -> v1::FilterCatalogRequest {
    v1::FilterCatalogRequest {
        catalog: Some(Catalog::Inline(v1::InlineCatalog { locations })),
        ..catalog(account)
    }
}

/// The same with ids alone for an answer.
pub fn ids(request: v1::FilterCatalogRequest) -> v1::FilterCatalogRequest {
    v1::FilterCatalogRequest {
        view: v1::CatalogView::Ids.into(),
        ..request
    }
}

pub fn recipients<S: AsRef<str>>(
    kind: v1::NotificationKind,
    accounts: impl IntoIterator<Item = S>,
) -> v1::ResolveRecipientsRequest {
    v1::ResolveRecipientsRequest {
        kind: kind.into(),
        account_ids: accounts
            .into_iter()
            .map(|account| account.as_ref().to_owned())
            .collect(),
        consistency: None,
    }
}

pub fn at_least(revision: u64) -> Option<v1::Consistency> {
    Some(v1::Consistency {
        requirement: Some(Requirement::AtLeastRevision(revision)),
    })
}

pub fn fully_consistent(wanted: bool) -> Option<v1::Consistency> {
    Some(v1::Consistency {
        requirement: Some(Requirement::FullyConsistent(wanted)),
    })
}

/// A location to send along, in a market.
pub fn location(id: &str, market: &str) -> v1::Location {
    v1::Location {
        id: id.to_owned(),
        market: market.to_owned(),
        ..v1::Location::default()
    }
}

/// An offer with a monthly price.
pub fn offer(product: &str, currency: &str, units: i64, nanos: i32) -> v1::Offer {
    v1::Offer {
        product: product.to_owned(),
        price: Some(v1::Price {
            monthly: Some(Money {
                currency_code: currency.to_owned(),
                units,
                nanos,
            }),
            setup: None,
        }),
    }
}
