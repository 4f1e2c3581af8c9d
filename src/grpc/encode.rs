//! Answers, from the domain to the wire.

use crate::directory::WatchEvent;
use crate::domain::{
    Account, AccountKind, Decision, Effect, Location, LocationStatus, Money, Offer, Price, Reason,
    SupportProvider,
};
use crate::proto::google::r#type as google;
use crate::proto::v1;
use crate::proto::v1::change::Subject;
use crate::store::ChangeSubject;

pub(super) fn effect(effect: Effect) -> v1::Effect {
    match effect {
        Effect::Allow => v1::Effect::Allow,
        Effect::Deny => v1::Effect::Deny,
    }
}

pub(super) fn reason(reason: Reason) -> v1::Reason {
    match reason {
        Reason::PlatformRule => v1::Reason::PlatformRule,
        Reason::PlatformDefault => v1::Reason::PlatformDefault,
        Reason::PartnerSetting => v1::Reason::PartnerSetting,
        Reason::AccountSetting => v1::Reason::AccountSetting,
        Reason::RequiredFeature => v1::Reason::RequiredFeature,
    }
}

pub(super) fn decision(feature: impl Into<String>, decision: Decision) -> v1::Decision {
    v1::Decision {
        feature: feature.into(),
        effect: effect(decision.effect).into(),
        reason: reason(decision.reason).into(),
    }
}

pub(super) fn account(account: Account) -> v1::Account {
    let (kind, partner, support) = match account.kind {
        AccountKind::Direct => (
            v1::AccountKind::Direct,
            None,
            v1::SupportProvider::Unspecified,
        ),
        AccountKind::Partner => (
            v1::AccountKind::Partner,
            None,
            v1::SupportProvider::Unspecified,
        ),
        AccountKind::Managed { partner, support } => (
            v1::AccountKind::Managed,
            Some(partner),
            match support {
                SupportProvider::Partner => v1::SupportProvider::Partner,
                SupportProvider::Platform => v1::SupportProvider::Platform,
            },
        ),
    };
    v1::Account {
        id: account.id.into(),
        kind: kind.into(),
        partner_id: partner.map(String::from).unwrap_or_default(),
        support_provider: support.into(),
        display_name: account.display_name,
    }
}

/// A location of the stored catalogue, with its prices.
pub(super) fn location(location: &Location) -> v1::Location {
    let offer = |offer: &Offer| v1::Offer {
        product: offer.product.as_str().to_owned(),
        price: offer.price.as_ref().map(price),
    };
    v1::Location {
        id: location.id.as_str().to_owned(),
        name: location.name.clone(),
        metro: location.metro.clone(),
        country: location.country.clone(),
        market: location
            .market
            .map(|market| market.as_str().to_owned())
            .unwrap_or_default(),
        status: location
            .status
            .map_or(v1::LocationStatus::Unspecified, status)
            .into(),
        offers: location.offers.iter().map(offer).collect(),
    }
}

fn status(status: LocationStatus) -> v1::LocationStatus {
    match status {
        LocationStatus::Active => v1::LocationStatus::Active,
        LocationStatus::Deployment => v1::LocationStatus::Deployment,
        LocationStatus::Restricted => v1::LocationStatus::Restricted,
        LocationStatus::Extended => v1::LocationStatus::Extended,
        LocationStatus::New => v1::LocationStatus::New,
        LocationStatus::Expired => v1::LocationStatus::Expired,
    }
}

fn price(price: &Price) -> v1::Price {
    v1::Price {
        monthly: price.monthly.as_ref().map(money),
        setup: price.setup.as_ref().map(money),
    }
}

fn money(money: &Money) -> google::Money {
    google::Money {
        currency_code: money.currency().as_str().to_owned(),
        units: money.units(),
        nanos: money.nanos(),
    }
}

/// What was changed.
pub(super) fn changed(subject: ChangeSubject) -> v1::Change {
    let subject = match subject {
        ChangeSubject::Account(account) => Subject::AccountId(account.into()),
        ChangeSubject::Partner(partner) => Subject::PartnerId(partner.into()),
        ChangeSubject::Catalog => Subject::Catalog(true),
        ChangeSubject::Everything => Subject::Everything(true),
    };
    v1::Change {
        subject: Some(subject),
    }
}

/// What a watcher is told.
pub(super) fn watch_event(event: WatchEvent) -> v1::WatchChangesResponse {
    v1::WatchChangesResponse {
        revision: event.revision.0,
        changes: event.changes.into_iter().map(changed).collect(),
    }
}
