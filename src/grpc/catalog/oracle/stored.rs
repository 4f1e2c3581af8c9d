//! The stored catalogue: any of them, in any part and page.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use prost::Message as _;

use super::{ACCOUNTS, Came, agreed, api};
use crate::domain::{
    BillingMarket, Catalog, CatalogAccess, CatalogFilter, CurrencyCode, FeatureMatrix, Location,
    LocationId, LocationStatus, MarketCode, Markets, Money, Offer, Price, Product, Subject,
    catalog_access,
};
use crate::grpc::catalog::{CatalogAnswer, Prices, WrittenCatalogs};
use crate::proto::v1;

fn money() -> impl Strategy<Value = Money> {
    let currency = CurrencyCode::try_from("AUD").unwrap();
    (0..5_000_i64, select(vec![0, 500_000_000]))
        .prop_map(move |(units, nanos)| Money::new(currency, units, nanos).unwrap())
}

fn offer() -> impl Strategy<Value = Offer> {
    let price = (weighted(0.7, money()), weighted(0.7, money()))
        .prop_map(|(monthly, setup)| Price { monthly, setup });
    (select(vec!["PORT_10G", "MCR_2500"]), weighted(0.8, price)).prop_map(|(product, price)| {
        let product = Product::try_from(product).unwrap();
        Offer { product, price }
    })
}

fn locations() -> impl Strategy<Value = Vec<Location>> {
    let code = |code| MarketCode::try_from(code).unwrap();
    let market = weighted(
        0.8,
        select(["AU", "AU", "NZ", "UK", "GB", "XX"].map(code).to_vec()),
    );
    let status = weighted(0.7, select(LocationStatus::ALL.to_vec()));
    let location = (
        "[a-z]{1,6}",
        select(vec!["Sydney", "London", ""]),
        market,
        status,
        vec(offer(), 0..3),
    );
    let location = location.prop_map(|(id, metro, market, status, offers)| Location {
        id: LocationId::try_from(id).unwrap(),
        name: "Ñame".to_owned(),
        metro: metro.to_owned(),
        country: "AU".to_owned(),
        market,
        status,
        offers,
    });
    vec(location, 0..30).prop_map(|locations| {
        let by_id: BTreeMap<_, _> = locations
            .into_iter()
            .map(|location| (location.id.clone(), location))
            .collect();
        by_id.into_values().collect()
    })
}

fn request() -> impl Strategy<Value = v1::FilterCatalogRequest> {
    let stored = (
        subsequence(vec!["AU", "GB", "UK", "NZ"], 0..3),
        subsequence(vec!["Sydney", "London", "Nowhere"], 0..3),
        select(vec![0, 1, 2, 5, 100]),
    );
    let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let stored = stored.prop_map(move |(markets, metros, page_size)| v1::StoredCatalog {
        markets: texts(markets),
        metros: texts(metros),
        page_size,
        page_token: String::new(),
    });
    let stored = stored.prop_map(v1::filter_catalog_request::Catalog::Stored);
    (select(ACCOUNTS.to_vec()), weighted(0.9, stored), 0..3).prop_map(|(account, catalog, view)| {
        v1::FilterCatalogRequest {
            account_id: account.to_owned(),
            catalog,
            view,
            consistency: None,
        }
    })
}

/// Asks for every page.
fn ask(api: &crate::grpc::AuthorizationApi, mut request: v1::FilterCatalogRequest) {
    loop {
        let Came::Answer(answer) = agreed(api, &request.encode_to_vec()) else {
            return;
        };
        let answer = v1::FilterCatalogResponse::decode(answer.as_slice()).unwrap();
        if answer.next_page_token.is_empty() {
            return;
        }
        let Some(v1::filter_catalog_request::Catalog::Stored(stored)) = &mut request.catalog else {
            unreachable!("a page of what was not asked for in pages");
        };
        stored.page_token = answer.next_page_token;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_page_is_the_same(locations in locations(), requests in vec(request(), 20)) {
        let api = api(locations);
        for request in requests {
            ask(&api, request);
        }
    }
}

fn catalog(name: &str) -> Arc<Catalog> {
    let euro = CurrencyCode::try_from("EUR").unwrap();
    let code = MarketCode::try_from("NL").unwrap();
    let market = BillingMarket::new(code, String::new(), euro, Vec::new()).unwrap();
    let markets = Markets::new(BTreeMap::from([(code, market)])).unwrap();
    let location = |id: &str| Location {
        id: LocationId::try_from(id).unwrap(),
        name: name.to_owned(),
        metro: String::new(),
        country: String::new(),
        market: Some(code),
        status: None,
        offers: Vec::new(),
    };
    Arc::new(Catalog::new(markets, vec![location("a"), location("b")]))
}

fn access() -> CatalogAccess<'static> {
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    catalog_access(&matrix, Subject::Direct)
}

fn names(written: &WrittenCatalogs, catalog: &Arc<Catalog>) -> Vec<String> {
    let page = catalog.page(&access(), &CatalogFilter::default(), None, usize::MAX);
    let written = written.page(catalog, &page, Prices::Shown).unwrap();
    let mut bytes = BytesMut::new();
    let answer = CatalogAnswer::new(written, v1::FilterCatalogResponse::default());
    answer.encode(&mut bytes).unwrap();
    let answer = v1::FilterCatalogResponse::decode(bytes).unwrap();
    answer
        .locations
        .into_iter()
        .map(|location| location.name)
        .collect()
}

#[test]
fn a_catalogue_is_never_answered_with_another_one() {
    let written = WrittenCatalogs::default();
    let before = catalog("before");
    assert_eq!(names(&written, &before), ["before", "before"]);
    // A call that began before the change may end after one that began after it.
    let after = catalog("after");
    assert_eq!(names(&written, &after), ["after", "after"]);
    assert_eq!(names(&written, &before), ["before", "before"]);
    drop(before);
    for round in 0..100 {
        let name = format!("round {round}");
        assert_eq!(names(&written, &catalog(&name)), [name.clone(), name]);
    }
    assert_eq!(names(&written, &after), ["after", "after"]);
    assert_eq!(written.count(), 1, "what nobody uses any more is dropped");
}
