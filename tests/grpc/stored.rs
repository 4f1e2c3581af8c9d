//! FilterCatalog of the stored catalogue.

use portcullis::domain::MarketCode;
use portcullis::proto::v1;
use tonic::Code;

use crate::support::demo;
use crate::support::refused::{because, invalid, refused};
use crate::support::requests::{catalog, check, ids, stored};
use crate::support::server::{Client, Server, config, memory};

/// A catalogue with the places that a billing market cannot be found for.
const ODD_MARKETS: &str = "
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }
locations:
  - { id: a-none, name: No market, metro: Sydney, country: AU }
  - { id: b-empty, name: An empty market, metro: Sydney, country: AU, market: '' }
  - { id: c-unknown, name: A market that is none, metro: Sydney, country: XX, market: XX }
  - { id: d-alias, name: An alias, metro: London, country: GB, market: GB }
  - { id: e-code, name: A code, metro: london, country: GB, market: UK, status: new }
accounts:
  - { id: direct, kind: direct }
  - { id: partner, kind: partner }
  - { id: managed, kind: managed, partner: partner, support: partner }
policies:
  - { partner: partner, billing_markets: [AU, GB] }
";

async fn filter(
    client: &mut Client,
    request: v1::FilterCatalogRequest,
) -> v1::FilterCatalogResponse {
    client.filter_catalog(request).await.unwrap().into_inner()
}

async fn visible_ids(client: &mut Client, request: v1::FilterCatalogRequest) -> Vec<String> {
    filter(client, ids(request)).await.location_ids
}

fn in_markets(account: &str, markets: &[&str]) -> v1::FilterCatalogRequest {
    let markets = markets.iter().map(|&market| market.to_owned()).collect();
    let filter = v1::StoredCatalog {
        markets,
        ..v1::StoredCatalog::default()
    };
    stored(account, filter)
}

fn in_metros(account: &str, metros: &[&str]) -> v1::FilterCatalogRequest {
    let metros = metros.iter().map(|&metro| metro.to_owned()).collect();
    let filter = v1::StoredCatalog {
        metros,
        ..v1::StoredCatalog::default()
    };
    stored(account, filter)
}

#[tokio::test]
async fn filter_agrees_with_check() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let all = demo::locations();
    for account in demo::accounts() {
        let id = account.id.as_str();
        let answer = filter(&mut client, catalog(id)).await;
        let mut decided = Vec::new();
        for feature in ["services.order", "pricing.view"] {
            let checked = client.check_feature(check(id, feature)).await.unwrap();
            let checked = checked.into_inner();
            decided.push(Some(v1::Decision {
                feature: feature.to_owned(),
                effect: checked.effect,
                reason: checked.reason,
            }));
        }
        assert_eq!(vec![answer.ordering, answer.pricing.clone()], decided);

        let want = demo::visible(account);
        let listed: Vec<_> = answer.locations.iter().map(|one| one.id.clone()).collect();
        assert_eq!(listed, want, "{id}");
        assert_eq!(answer.hidden_count as usize, all.len() - want.len(), "{id}");
        assert_eq!(answer.location_ids, Vec::<String>::new());
        assert_eq!(answer.next_page_token, "");
        assert_eq!((answer.revision, answer.stale), (1, false));

        let shown = answer.pricing.unwrap().effect() == v1::Effect::Allow;
        assert_eq!(answer.prices_redacted, !shown, "{id}");
        for location in &answer.locations {
            let stored = all.iter().find(|one| one.id.as_str() == location.id);
            let stored = stored.unwrap();
            let offers: Vec<_> = location
                .offers
                .iter()
                .map(|offer| (offer.product.as_str(), offer.price.is_some()))
                .collect();
            let want: Vec<_> = stored
                .offers
                .iter()
                .map(|offer| (offer.product.as_str(), shown && offer.price.is_some()))
                .collect();
            assert_eq!(offers, want, "{id} {}", location.id);
        }

        let by_id = filter(&mut client, ids(catalog(id))).await;
        assert_eq!(by_id.location_ids, want, "{id}");
        assert_eq!(by_id.locations, []);
        assert_eq!(by_id.hidden_count, answer.hidden_count);
        assert_eq!(by_id.prices_redacted, answer.prices_redacted);
    }
}

#[tokio::test]
async fn each_kind_of_account_sees_its_part() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    for (account, visible) in [
        ("acme", 143),
        ("northwind", 143),
        ("northwind-retail", 13),
        ("quillfeather-press", 33),
        ("gooseberry-clinics", 51),
        ("saltmarsh-farms", 0),
    ] {
        let answer = filter(&mut client, ids(catalog(account))).await;
        let hidden = answer.hidden_count as usize;
        assert_eq!(answer.location_ids.len(), visible, "{account}");
        assert_eq!(hidden, 143 - visible, "{account}");
        // Nothing to see is an answer; that the account may order is said beside it.
        assert_eq!(answer.ordering.unwrap().effect(), v1::Effect::Allow);
    }
}

#[tokio::test]
async fn an_account_that_may_not_order_sees_nothing() {
    let matrix = portcullis::domain::FeatureMatrix::BUILT_IN;
    let (before, order) = matrix.split_once("feature: services.order").unwrap();
    let denied = order.replacen("direct: allow", "direct: deny", 1);
    let matrix = format!("{before}feature: services.order{denied}");
    let mut config = config(demo::store());
    config.matrix = portcullis::domain::FeatureMatrix::parse(&matrix).unwrap();
    let server = Server::start(config).await;
    let mut client = server.client().await;

    let answer = filter(&mut client, catalog("acme")).await;
    assert_eq!(answer.locations, []);
    assert_eq!(answer.hidden_count, 143);
    let want = v1::Decision {
        feature: "services.order".to_owned(),
        effect: v1::Effect::Deny.into(),
        reason: v1::Reason::PlatformRule.into(),
    };
    assert_eq!(answer.ordering, Some(want));
    assert!(!answer.prices_redacted);
    let partner = filter(&mut client, ids(catalog("northwind"))).await;
    assert_eq!(partner.location_ids.len(), 143);
}

#[tokio::test]
async fn a_location_without_a_known_market_is_hidden_from_managed_accounts() {
    let server = Server::start(config(memory(ODD_MARKETS))).await;
    let mut client = server.client().await;
    let everything = ["a-none", "b-empty", "c-unknown", "d-alias", "e-code"];
    for account in ["direct", "partner"] {
        let seen = visible_ids(&mut client, catalog(account)).await;
        assert_eq!(seen, everything, "{account}");
    }
    let managed = filter(&mut client, catalog("managed")).await;
    // A market comes back as it was put, alias or not.
    let seen: Vec<_> = managed
        .locations
        .iter()
        .map(|one| (one.id.as_str(), one.market.as_str(), one.status()))
        .collect();
    let want = [
        ("d-alias", "GB", v1::LocationStatus::Unspecified),
        ("e-code", "UK", v1::LocationStatus::New),
    ];
    assert_eq!(seen, want);
    assert_eq!(managed.hidden_count, 3);

    let direct = filter(&mut client, catalog("direct")).await;
    let markets: Vec<_> = direct.locations.iter().map(|one| &one.market).collect();
    assert_eq!(markets, ["", "", "XX", "GB", "UK"]);
}

#[tokio::test]
async fn a_market_filter_takes_codes_and_aliases() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let code = |name: &str| MarketCode::try_from(name).unwrap();
    for markets in [
        &["AU"][..],
        &["UK"],
        &["GB"],
        &["GB", "UK", "GB"],
        &["DE", "AU"],
        &["LU"],
    ] {
        let wanted: Vec<_> = markets
            .iter()
            .map(|name| demo::market(code(name)).unwrap())
            .collect();
        let matches: Vec<_> = demo::locations()
            .into_iter()
            .filter(|one| {
                let market = one.market.and_then(demo::market);
                market.is_some_and(|market| wanted.contains(&market))
            })
            .map(|one| one.id.as_str().to_owned())
            .collect();
        for account in ["acme", "quillfeather-press", "northwind-retail"] {
            let answer = filter(&mut client, ids(in_markets(account, markets))).await;
            let account = demo::accounts()
                .into_iter()
                .find(|one| one.id.as_str() == account)
                .unwrap();
            let mut want = demo::visible(account);
            want.retain(|id| matches.contains(id));
            assert_eq!(answer.location_ids, want, "{markets:?}");
            // Hidden are those that match and are held back, and not those that do not match.
            assert_eq!(answer.hidden_count as usize, matches.len() - want.len());
        }
    }
    assert_eq!(
        visible_ids(&mut client, in_markets("acme", &["GB"]))
            .await
            .len(),
        4
    );
}

#[tokio::test]
async fn a_market_filter_that_names_no_market_is_an_error() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    // Brazil has locations and no billing market.
    for unknown in ["XX", "BR"] {
        for account in ["acme", "saltmarsh-farms"] {
            let request = in_markets(account, &["AU", unknown]);
            let status = client.filter_catalog(request).await.unwrap_err();
            assert_eq!(refused(&status), because(Code::NotFound, "MARKET_UNKNOWN"));
            assert!(status.message().contains(unknown), "{status:?}");
        }
    }
    let request = in_markets("acme", &["AU", "au", "", "A", "AAAAAAAAAAAAAAAAA"]);
    let status = client.filter_catalog(request).await.unwrap_err();
    let want = invalid([
        "stored.markets[1]",
        "stored.markets[2]",
        "stored.markets[3]",
        "stored.markets[4]",
    ]);
    assert_eq!(refused(&status), want);

    let names: Vec<_> = std::iter::repeat_n("AU", 513).collect();
    let most = visible_ids(&mut client, in_markets("acme", &names[..512])).await;
    assert_eq!(most.len(), 9);
    let status = client
        .filter_catalog(in_markets("acme", &names))
        .await
        .unwrap_err();
    assert_eq!(refused(&status), invalid(["stored.markets"]));
}

#[tokio::test]
async fn a_metro_filter_compares_exactly() {
    let server = Server::start(config(memory(ODD_MARKETS))).await;
    let mut client = server.client().await;
    for (metros, want) in [
        (&["London"][..], &["d-alias"][..]),
        (&["london"], &["e-code"]),
        (&["London", "london"], &["d-alias", "e-code"]),
        (&["LONDON"], &[]),
        (&["Atlantis"], &[]),
        (&["Lond"], &[]),
        (&["London "], &[]),
    ] {
        let seen = visible_ids(&mut client, in_metros("direct", metros)).await;
        assert_eq!(seen, want, "{metros:?}");
    }
    let mut both = in_metros("direct", &["London", "Sydney"]);
    let Some(v1::filter_catalog_request::Catalog::Stored(stored)) = &mut both.catalog else {
        unreachable!()
    };
    stored.markets = vec!["GB".to_owned()];
    assert_eq!(visible_ids(&mut client, both).await, ["d-alias"]);

    let long = "é".repeat(100);
    assert_eq!(
        visible_ids(&mut client, in_metros("direct", &[&long])).await,
        Vec::<String>::new()
    );
    let longer = "é".repeat(101);
    let request = in_metros("direct", &["Sydney", &longer, "nul\0"]);
    let status = client.filter_catalog(request).await.unwrap_err();
    assert_eq!(
        refused(&status),
        invalid(["stored.metros[1]", "stored.metros[2]"])
    );
}

/// Reads a listing page by page; the whole of it, and how much each page held back.
async fn pages(
    client: &mut Client,
    account: &str,
    filter: &v1::StoredCatalog,
    size: u32,
) -> (Vec<String>, u32) {
    let (mut all, mut hidden, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = v1::StoredCatalog {
            page_size: size,
            page_token: token,
            ..filter.clone()
        };
        let request = ids(stored(account, page));
        let answer = client.filter_catalog(request).await.unwrap().into_inner();
        let shown = answer.location_ids.len();
        all.extend(answer.location_ids);
        hidden += answer.hidden_count;
        token = answer.next_page_token;
        if token.is_empty() {
            // No page is empty but the only one: there is no token where nothing follows.
            assert!(shown > 0 || all.is_empty(), "{account} {size}");
            return (all, hidden);
        }
        assert_eq!(shown, size as usize, "{account} {size}");
    }
}

#[tokio::test]
async fn pages_of_any_size_add_up() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let european = v1::StoredCatalog {
        markets: ["DE", "GB", "FR", "US"].map(str::to_owned).to_vec(),
        ..v1::StoredCatalog::default()
    };
    for (account, filter) in [
        ("acme", v1::StoredCatalog::default()),
        ("northwind-games", v1::StoredCatalog::default()),
        ("gooseberry-radio", v1::StoredCatalog::default()),
        ("saltmarsh-farms", v1::StoredCatalog::default()),
        ("quillfeather-press", european),
    ] {
        let whole = ids(stored(account, filter.clone()));
        let whole = client.filter_catalog(whole).await.unwrap().into_inner();
        assert_eq!(whole.next_page_token, "");
        let most = u32::try_from(whole.location_ids.len()).unwrap() + 1;
        for size in (1..=most).chain([10_000]) {
            let (all, hidden) = pages(&mut client, account, &filter, size).await;
            assert_eq!(all, whole.location_ids, "{account} {size}");
            assert_eq!(hidden, whole.hidden_count, "{account} {size}");
        }
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_account_and_filters() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let filter = |markets: &[&str], metros: &[&str], token: &str| v1::StoredCatalog {
        markets: markets.iter().map(|&market| market.to_owned()).collect(),
        metros: metros.iter().map(|&metro| metro.to_owned()).collect(),
        page_size: 2,
        page_token: token.to_owned(),
    };
    let first = stored("acme", filter(&["AU", "NZ"], &[], ""));
    let first = self::filter(&mut client, first).await;
    let token = first.next_page_token;
    assert_eq!(first.locations.len(), 2);

    // It goes on with another view, another size, another order of the same filters, again and again.
    let next = self::filter(
        &mut client,
        stored("acme", filter(&["NZ", "AU"], &[], &token)),
    )
    .await;
    let want: Vec<_> = next.locations.iter().map(|one| one.id.clone()).collect();
    let seen = visible_ids(
        &mut client,
        stored("acme", filter(&["AU", "NZ"], &[], &token)),
    )
    .await;
    assert_eq!(seen, want);
    let mut rest = filter(&["AU", "NZ"], &[], &token);
    rest.page_size = 0;
    let rest = visible_ids(&mut client, stored("acme", rest)).await;
    assert_eq!((rest.len(), &rest[..2]), (9, &want[..]));

    let mut damaged = token.clone();
    let last = damaged.pop().unwrap();
    damaged.push(if last == 'A' { 'B' } else { 'A' });
    let cut: String = token.chars().skip(1).collect();
    for (account, catalog) in [
        ("hollowlog", filter(&["AU", "NZ"], &[], &token)),
        ("acme", filter(&["AU"], &[], &token)),
        ("acme", filter(&[], &[], &token)),
        ("acme", filter(&["AU", "NZ", "SG"], &[], &token)),
        ("acme", filter(&["AU", "NZ"], &["Sydney"], &token)),
        ("acme", filter(&["AU", "NZ"], &[], &damaged)),
        ("acme", filter(&["AU", "NZ"], &[], &cut)),
        ("acme", filter(&["AU", "NZ"], &[], &format!("{token}A"))),
        ("acme", filter(&["AU", "NZ"], &[], &format!("{token}="))),
        ("acme", filter(&["AU", "NZ"], &[], "eqsy3")),
        ("acme", filter(&["AU", "NZ"], &[], " ")),
    ] {
        let what = format!("{account} {catalog:?}");
        let status = client
            .filter_catalog(stored(account, catalog))
            .await
            .unwrap_err();
        assert_eq!(refused(&status), invalid(["stored.page_token"]), "{what}");
    }
}

#[tokio::test]
async fn a_token_is_good_after_a_restart() {
    let page = |token: &str| {
        let page = v1::StoredCatalog {
            page_size: 100,
            page_token: token.to_owned(),
            ..v1::StoredCatalog::default()
        };
        ids(stored("acme", page))
    };
    let server = Server::demo().await;
    let first = filter(&mut server.client().await, page("")).await;
    server.stop().await;
    let server = Server::demo().await;
    let second = filter(&mut server.client().await, page(&first.next_page_token)).await;
    assert_eq!(first.location_ids.len(), 100);
    assert_eq!(second.location_ids.len(), 43);
    assert!(first.location_ids.last() < second.location_ids.first());
}

#[tokio::test]
async fn a_page_has_ten_thousand_at_most() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let page = |page_size| v1::StoredCatalog {
        page_size,
        ..v1::StoredCatalog::default()
    };
    assert_eq!(
        visible_ids(&mut client, stored("acme", page(10_000)))
            .await
            .len(),
        143
    );
    for size in [10_001, u32::MAX] {
        let request = stored("acme", page(size));
        let status = client.filter_catalog(request).await.unwrap_err();
        assert_eq!(refused(&status), invalid(["stored.page_size"]), "{size}");
    }
}

#[tokio::test]
async fn a_view_that_is_none_is_refused() {
    let server = Server::demo().await;
    let mut client = server.client().await;
    let request = v1::FilterCatalogRequest {
        view: 7,
        ..catalog("acme")
    };
    let status = client.filter_catalog(request).await.unwrap_err();
    assert_eq!(refused(&status), invalid(["view"]));
    let full = v1::FilterCatalogRequest {
        view: v1::CatalogView::Full.into(),
        ..catalog("acme")
    };
    let full = filter(&mut client, full).await;
    assert_eq!(full, filter(&mut client, catalog("acme")).await);
}
