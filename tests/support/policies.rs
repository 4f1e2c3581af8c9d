//! Requests to PolicyService in few words, and a small world to send them to.

use std::collections::BTreeMap;

use portcullis::app::StoreChoice;
use portcullis::proto::v1::policy_service_client::PolicyServiceClient;
use portcullis::proto::v1::{self, ChangeContext, Setting};
use tonic::transport::Channel;

use super::server::{Server, config, memory};

pub type Policies = PolicyServiceClient<Channel>;

/// Two partners, their accounts, and a direct one; at revision 1.
pub const WORLD: &str = r#"
billing_markets:
  - { code: AU, name: Australia, currency: AUD }
  - { code: NZ, name: New Zealand, currency: NZD }
  - { code: UK, name: United Kingdom, currency: GBP, aliases: [GB] }
locations:
  - { id: akl, name: Auckland, metro: Auckland, country: NZ, market: NZ }
  - { id: lon, name: London, metro: London, country: GB, market: GB }
  - { id: nowhere, name: Nowhere }
  - { id: per, name: Perth, metro: Perth, country: AU, market: AU }
  - { id: syd, name: Sydney, metro: Sydney, country: AU, market: AU, offers: [{ product: PORT_10G, monthly: "1200 AUD" }] }
accounts:
  - { id: d, kind: direct, display_name: Direct }
  - { id: p, kind: partner, display_name: Partner }
  - { id: p-1, kind: managed, partner: p, support: partner, display_name: First }
  - { id: p-2, kind: managed, partner: p, support: platform }
  - { id: q, kind: partner }
  - { id: q-1, kind: managed, partner: q, support: partner }
policies:
  - partner: p
    billing_markets: [AU]
    settings: { pricing.view: on, old.feature: on }
    accounts:
      p-1: { pricing.view: off }
"#;

pub fn world() -> StoreChoice {
    memory(WORLD)
}

impl Server {
    /// One over memory with the small world.
    pub async fn world() -> Self {
        Self::start(config(world())).await
    }

    pub async fn policies(&self) -> Policies {
        policies(self.channel().await)
    }
}

pub fn policies(channel: Channel) -> Policies {
    let limit = 64 << 20;
    PolicyServiceClient::new(channel)
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit)
}

pub fn settings<'a>(
    settings: impl IntoIterator<Item = (&'a str, Setting)>,
) -> BTreeMap<String, i32> {
    let settings = settings.into_iter();
    settings
        .map(|(feature, setting)| (feature.to_owned(), setting.into()))
        .collect()
}

pub fn texts<T: FromIterator<String>>(texts: &[&str]) -> T {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// An update of partner-wide settings.
pub fn update<'a>(
    partner: &str,
    changes: impl IntoIterator<Item = (&'a str, Setting)>,
) -> v1::UpdatePartnerPolicyRequest {
    v1::UpdatePartnerPolicyRequest {
        partner_id: partner.to_owned(),
        settings: settings(changes),
        ..v1::UpdatePartnerPolicyRequest::default()
    }
}

/// An update of the enabled markets.
pub fn markets(partner: &str, enable: &[&str], disable: &[&str]) -> v1::UpdatePartnerPolicyRequest {
    v1::UpdatePartnerPolicyRequest {
        enable_markets: texts(enable),
        disable_markets: texts(disable),
        ..update(partner, [])
    }
}

/// An update of one account's own settings.
pub fn own<'a>(
    account: &str,
    changes: impl IntoIterator<Item = (&'a str, Setting)>,
) -> v1::UpdateAccountSettingsRequest {
    v1::UpdateAccountSettingsRequest {
        account_id: account.to_owned(),
        settings: settings(changes),
        context: None,
    }
}

pub fn policy_of(partner: &str) -> v1::GetPartnerPolicyRequest {
    v1::GetPartnerPolicyRequest {
        partner_id: partner.to_owned(),
    }
}

pub fn account_of(account: &str) -> v1::GetAccountRequest {
    v1::GetAccountRequest {
        account_id: account.to_owned(),
    }
}

pub fn direct(id: &str) -> v1::Account {
    v1::Account {
        id: id.to_owned(),
        kind: v1::AccountKind::Direct.into(),
        ..v1::Account::default()
    }
}

pub fn partner(id: &str) -> v1::Account {
    v1::Account {
        kind: v1::AccountKind::Partner.into(),
        ..direct(id)
    }
}

pub fn managed(id: &str, partner: &str) -> v1::Account {
    v1::Account {
        kind: v1::AccountKind::Managed.into(),
        partner_id: partner.to_owned(),
        support_provider: v1::SupportProvider::Platform.into(),
        ..direct(id)
    }
}

pub fn put(account: v1::Account) -> v1::PutAccountRequest {
    v1::PutAccountRequest {
        account: Some(account),
        context: None,
    }
}

pub fn delete(account: &str) -> v1::DeleteAccountRequest {
    v1::DeleteAccountRequest {
        account_id: account.to_owned(),
        context: None,
    }
}

pub fn market(code: &str, aliases: &[&str]) -> v1::BillingMarket {
    v1::BillingMarket {
        code: code.to_owned(),
        name: format!("Market {code}"),
        currency: "EUR".to_owned(),
        aliases: texts(aliases),
    }
}

pub fn put_markets(
    markets: impl IntoIterator<Item = v1::BillingMarket>,
) -> v1::PutBillingMarketsRequest {
    v1::PutBillingMarketsRequest {
        markets: markets.into_iter().collect(),
        context: None,
    }
}

pub fn delete_markets(codes: &[&str]) -> v1::DeleteBillingMarketsRequest {
    v1::DeleteBillingMarketsRequest {
        codes: texts(codes),
        context: None,
    }
}

pub fn put_locations(locations: impl IntoIterator<Item = v1::Location>) -> v1::PutLocationsRequest {
    v1::PutLocationsRequest {
        locations: locations.into_iter().collect(),
        context: None,
    }
}

pub fn delete_locations(ids: &[&str]) -> v1::DeleteLocationsRequest {
    v1::DeleteLocationsRequest {
        location_ids: texts(ids),
        context: None,
    }
}

/// On the condition that the subject is at this revision.
pub fn expecting(revision: u64) -> Option<ChangeContext> {
    Some(ChangeContext {
        expected_revision: Some(revision),
        ..ChangeContext::default()
    })
}

/// With a key by which a repetition is recognised.
pub fn keyed(key: &str) -> Option<ChangeContext> {
    Some(ChangeContext {
        idempotency_key: key.to_owned(),
        ..ChangeContext::default()
    })
}

/// By somebody, for a reason.
pub fn by(actor: &str, comment: &str) -> Option<ChangeContext> {
    Some(ChangeContext {
        actor: actor.to_owned(),
        comment: comment.to_owned(),
        ..ChangeContext::default()
    })
}
