//! A server, asked over gRPC.

use std::collections::BTreeMap;

use portcullis::domain::{CurrencyCode, Money};
use portcullis::proto::google::r#type as google;
use portcullis::proto::v1;
use portcullis::proto::v1::filter_catalog_request::Catalog;
use tonic::Status;
use tonic_types::{RpcStatusExt as _, StatusExt as _};

use crate::support::cases::{
    Answers, CatalogAnswer, CatalogAsked, Kind, LocationText, PriceText, Prices, RecipientText,
    RecipientsAnswer, UnresolvedText,
};
use crate::support::server::Client;

/// A service that holds the data of one file of cases.
pub(crate) struct Wire(pub(crate) Client);

fn reason_of(status: &Status) -> String {
    let details = status.get_error_details();
    details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"))
        .reason
        .clone()
}

fn verdict(effect: v1::Effect, reason: v1::Reason) -> String {
    let effect = effect
        .as_str_name()
        .strip_prefix("EFFECT_")
        .unwrap()
        .to_lowercase();
    format!(
        "{effect} {}",
        reason.as_str_name().strip_prefix("REASON_").unwrap()
    )
}

fn decided(decision: Option<&v1::Decision>) -> String {
    let decision = decision.unwrap();
    verdict(decision.effect(), decision.reason())
}

impl Answers for Wire {
    async fn check(&self, account: &str, feature: &str) -> String {
        let request = v1::CheckFeatureRequest {
            account_id: account.to_owned(),
            feature: feature.to_owned(),
            consistency: None,
        };
        match self.0.clone().check_feature(request).await {
            Ok(answer) => verdict(answer.get_ref().effect(), answer.get_ref().reason()),
            Err(status) => format!("error {}", reason_of(&status)),
        }
    }

    async fn catalog(&self, account: &str, asked: &CatalogAsked) -> Result<CatalogAnswer, String> {
        let CatalogAsked {
            inline,
            markets,
            metros,
        } = asked;
        let catalog = match inline {
            Some(locations) => Catalog::Inline(v1::InlineCatalog {
                locations: locations.iter().map(location).collect(),
            }),
            None => Catalog::Stored(v1::StoredCatalog {
                markets: markets.clone(),
                metros: metros.clone(),
                ..Default::default()
            }),
        };
        let request = v1::FilterCatalogRequest {
            account_id: account.to_owned(),
            catalog: Some(catalog),
            ..Default::default()
        };
        let answer = self
            .0
            .clone()
            .filter_catalog(request)
            .await
            .map_err(|status| reason_of(&status))?
            .into_inner();
        Ok(CatalogAnswer {
            visible: answer
                .locations
                .iter()
                .map(|location| location.id.clone())
                .collect(),
            hidden: answer.hidden_count,
            prices: if answer.prices_redacted {
                Prices::Redacted
            } else {
                Prices::Shown
            },
            ordering: decided(answer.ordering.as_ref()),
            pricing: decided(answer.pricing.as_ref()),
            offers: offers(&answer.locations),
        })
    }

    async fn recipients(&self, kind: Kind, accounts: &[String]) -> RecipientsAnswer {
        let kind = match kind {
            Kind::Maintenance => v1::NotificationKind::Maintenance,
            Kind::Security => v1::NotificationKind::Security,
        };
        let request = v1::ResolveRecipientsRequest {
            kind: kind.into(),
            account_ids: accounts.to_vec(),
            consistency: None,
        };
        let answer = self
            .0
            .clone()
            .resolve_recipients(request)
            .await
            .unwrap()
            .into_inner();
        let recipient = |recipient: v1::Recipient| RecipientText {
            account: recipient.account_id,
            directly: recipient.directly_affected,
            on_behalf_of: recipient.on_behalf_of,
        };
        let unresolved = |unresolved: v1::UnresolvedAccount| UnresolvedText {
            account: unresolved.account_id,
            error: unresolved
                .error
                .unwrap()
                .get_details_error_info()
                .unwrap()
                .reason,
        };
        RecipientsAnswer {
            recipients: answer.recipients.into_iter().map(recipient).collect(),
            unresolved: answer.unresolved.into_iter().map(unresolved).collect(),
        }
    }

    async fn billing_account(&self, account: &str) -> String {
        let request = v1::ListFeaturesRequest {
            account_id: account.to_owned(),
            consistency: None,
        };
        match self.0.clone().list_features(request).await {
            Ok(answer) => answer.into_inner().billing_account_id,
            Err(status) => format!("error {}", reason_of(&status)),
        }
    }
}

fn offers(locations: &[v1::Location]) -> BTreeMap<String, Option<PriceText>> {
    let offer = |location: &v1::Location, offer: &v1::Offer| {
        let price = offer.price.as_ref().map(|price| PriceText {
            monthly: price.monthly.as_ref().map(words),
            setup: price.setup.as_ref().map(words),
        });
        (format!("{}/{}", location.id, offer.product), price)
    };
    locations
        .iter()
        .flat_map(|location| location.offers.iter().map(move |one| offer(location, one)))
        .collect()
}

fn words(money: &google::Money) -> String {
    let currency = CurrencyCode::try_from(money.currency_code.as_str()).unwrap();
    Money::new(currency, money.units, money.nanos)
        .unwrap()
        .to_string()
}

fn money(text: &str) -> google::Money {
    let money = Money::try_from(text).unwrap();
    google::Money {
        currency_code: money.currency().as_str().to_owned(),
        units: money.units(),
        nanos: money.nanos(),
    }
}

fn location(text: &LocationText) -> v1::Location {
    let status = text
        .status
        .as_ref()
        .map_or(v1::LocationStatus::Unspecified, |status| {
            v1::LocationStatus::from_str_name(&format!("LOCATION_STATUS_{}", status.to_uppercase()))
                .unwrap()
        });
    let offers = text.offers.iter().map(|offer| v1::Offer {
        product: offer.product.clone(),
        price: (offer.monthly.is_some() || offer.setup.is_some()).then(|| v1::Price {
            monthly: offer.monthly.as_deref().map(money),
            setup: offer.setup.as_deref().map(money),
        }),
    });
    v1::Location {
        id: text.id.clone(),
        name: text.name.clone(),
        metro: text.metro.clone(),
        country: text.country.clone(),
        market: text.market.clone(),
        status: status.into(),
        offers: offers.collect(),
    }
}
