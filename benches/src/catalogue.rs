//! FilterCatalog, from the bytes of a request to the bytes of its answer, beside an implementation as
//! one writes it first: clone or decode, filter, encode with prost.

use std::collections::{BTreeMap, HashSet};
use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use portcullis::authorizer::Authorizer;
use portcullis::directory::Directory;
use portcullis::domain::Location;
use portcullis::grpc::{AuthorizationApi, CatalogRequest};
use portcullis::proto::google::r#type as google;
use portcullis::proto::v1;
use portcullis::proto::v1::authorization_service_server::AuthorizationService as _;
use portcullis::proto::v1::filter_catalog_request::Catalog;
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::Status;

use crate::made_up;
use crate::measure::interleaved;
use crate::table::{Goal, Row, Unit};
use crate::world::{self, OFFERS, Size};

const LOCATIONS: usize = 2_000;

/// A managed account whose partner shows it prices, and one whose partner does not; both see two
/// thirds of the markets.
pub(crate) const PRICED: usize = 0;
pub(crate) const PLAIN: usize = 1;
/// Both.
const PARTNERS: usize = 2;

/// The service over a stored catalogue. Calls are worked off in the thread that measures; another one
/// keeps the caches true.
pub(crate) struct Service {
    runtime: Runtime,
    api: AuthorizationApi,
}

impl Service {
    /// Over a catalogue in memory.
    fn over(locations: usize) -> Self {
        Self::new(world::directory(Size {
            accounts: PARTNERS,
            partners: PARTNERS,
            locations,
            offers: OFFERS,
        }))
    }

    /// Over one that is made up, and in the cache alone.
    pub(crate) fn made_up(locations: usize) -> Self {
        Self::new(async { made_up::directory(PARTNERS, locations) })
    }

    fn new(directory: impl Future<Output = Directory>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let directory = runtime.block_on(directory);
        let api = AuthorizationApi::new(Authorizer::new(directory));
        Self { runtime, api }
    }

    /// What a server does of a call besides its transport.
    pub(crate) fn answer(&self, request: &Bytes) -> BytesMut {
        self.try_answer(request).unwrap()
    }

    /// The same of a call that may be refused.
    ///
    /// # Errors
    /// As the server's.
    pub(crate) fn try_answer(&self, request: &Bytes) -> Result<BytesMut, Status> {
        let answered = async {
            let request = CatalogRequest::decode(request.clone())?;
            self.api.filter_catalog(tonic::Request::new(request)).await
        };
        let answer = self.runtime.block_on(answered)?.into_inner();
        let mut bytes = BytesMut::with_capacity(answer.encoded_len());
        answer.encode(&mut bytes).unwrap();
        Ok(bytes)
    }
}

/// The same, as one writes it first.
struct Ordinary {
    stored: Vec<v1::Location>,
    /// The markets of each account, and whether it is shown prices.
    accounts: BTreeMap<String, (HashSet<String>, bool)>,
}

impl Ordinary {
    fn over(locations: usize) -> Self {
        let location = |number| message(&world::location(number, OFFERS));
        let account = |number: usize| {
            let enabled = (0..24).filter(|place| !(place + number).is_multiple_of(3));
            let markets = enabled.map(world::market).collect();
            (world::account(number), (markets, number == PRICED))
        };
        Self {
            stored: (0..locations).map(location).collect(),
            accounts: [PRICED, PLAIN].map(account).into(),
        }
    }

    fn answer(&self, request: &Bytes) -> Vec<u8> {
        let request = v1::FilterCatalogRequest::decode(request.clone()).unwrap();
        let (markets, shows_prices) = &self.accounts[&request.account_id];
        let is_shown = |location: &v1::Location| markets.contains(&location.market);
        let (all, mut locations) = match request.catalog {
            Some(Catalog::Inline(v1::InlineCatalog { locations })) => {
                let all = locations.len();
                (all, locations.into_iter().filter(is_shown).collect())
            }
            Some(Catalog::Stored(_)) | None => {
                let shown = self.stored.iter().filter(|location| is_shown(location));
                (self.stored.len(), shown.cloned().collect::<Vec<_>>())
            }
        };
        if !shows_prices {
            let offers = locations.iter_mut().flat_map(|shown| &mut shown.offers);
            offers.for_each(|offer| offer.price = None);
        }
        let decision = |feature: &str, is_allowed, reason: v1::Reason| {
            let effect = match is_allowed {
                true => v1::Effect::Allow,
                false => v1::Effect::Deny,
            };
            Some(v1::Decision {
                feature: feature.to_owned(),
                effect: effect.into(),
                reason: reason.into(),
            })
        };
        let answer = v1::FilterCatalogResponse {
            hidden_count: u32::try_from(all - locations.len()).unwrap(),
            locations,
            prices_redacted: !shows_prices,
            ordering: decision("services.order", true, v1::Reason::PlatformRule),
            pricing: decision("pricing.view", *shows_prices, v1::Reason::PartnerSetting),
            revision: 1,
            ..v1::FilterCatalogResponse::default()
        };
        answer.encode_to_vec()
    }
}

/// A location as it is sent.
pub(crate) fn message(location: &Location) -> v1::Location {
    let money = |money: &portcullis::domain::Money| google::Money {
        currency_code: money.currency().as_str().to_owned(),
        units: money.units(),
        nanos: money.nanos(),
    };
    let offers = location.offers.iter().map(|offer| v1::Offer {
        product: offer.product.to_string(),
        price: offer.price.as_ref().map(|price| v1::Price {
            monthly: price.monthly.as_ref().map(money),
            setup: price.setup.as_ref().map(money),
        }),
    });
    v1::Location {
        id: location.id.to_string(),
        name: location.name.clone(),
        metro: location.metro.clone(),
        country: location.country.clone(),
        market: location.market.unwrap().to_string(),
        status: v1::LocationStatus::Active.into(),
        offers: offers.collect(),
    }
}

/// A request, encoded.
pub(crate) fn request(account: usize, catalog: Option<Catalog>) -> Bytes {
    let request = v1::FilterCatalogRequest {
        account_id: world::account(account),
        catalog,
        ..v1::FilterCatalogRequest::default()
    };
    request.encode_to_vec().into()
}

/// Stored against clone, filter and encode; sent along against decode, filter and encode, with
/// prices and without.
#[must_use]
pub fn rows() -> Vec<Row> {
    let (service, ordinary) = (Service::over(LOCATIONS), Ordinary::over(LOCATIONS));
    let locations = ordinary.stored.clone();
    let sent = Some(Catalog::Inline(v1::InlineCatalog { locations }));
    [
        ("stored", request(PRICED, None), 1.0 / 15.0),
        (
            "sent along, with prices",
            request(PRICED, sent.clone()),
            1.0 / 3.0,
        ),
        ("sent along, prices denied", request(PLAIN, sent), 1.0),
    ]
    .map(|(what, request, goal)| {
        // Only what says the same can be compared.
        assert!(
            service.answer(&request) == ordinary.answer(&request),
            "{what}"
        );
        let [ours, theirs] = interleaved([
            &mut |_| drop(black_box(service.answer(&request))),
            &mut |_| drop(black_box(ordinary.answer(&request))),
        ]);
        let what = format!("FilterCatalog, {what}, {LOCATIONS} locations × {OFFERS} offers");
        Row::new(what, Goal::AtMost(goal), ours / theirs, Unit::Ratio).of(format!(
            "{:.0} µs of {:.0} µs with prost alone",
            ours / 1e3,
            theirs / 1e3
        ))
    })
    .into()
}
