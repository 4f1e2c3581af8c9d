//! The bare domain, with a reader of data files of its own: small, and independent of the crate's.

use std::collections::BTreeMap;

use portcullis::domain::{
    Account, AccountId, AccountKind, AccountProfile, BillingMarket, Catalog, CatalogAccess,
    CatalogFilter, CurrencyCode, Decision, Delivery, Effect, FeatureKey, FeatureMatrix, Location,
    LocationId, LocationStatus, MarketCode, Markets, Money, NotificationKind, Offer, PartnerPolicy,
    Price, Product, Reason, Recipients, Setting, SettingMap, Settings, Subject, SupportProvider,
    catalog_access, decide, deliver,
};
use serde::Deserialize;

use crate::support::cases::{
    Answers, CaseFile, CatalogAnswer, CatalogAsked, Kind, LocationText, PriceText, Prices,
    RecipientText, RecipientsAnswer, UnresolvedText,
};

/// A data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    #[serde(default)]
    billing_markets: Vec<MarketText>,
    #[serde(default)]
    locations: Vec<LocationText>,
    accounts: Vec<AccountText>,
    #[serde(default)]
    policies: Vec<PolicyText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketText {
    code: String,
    name: String,
    currency: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountText {
    id: String,
    kind: String,
    #[serde(default)]
    partner: String,
    #[serde(default)]
    support: String,
    #[serde(default)]
    display_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    partner: String,
    #[serde(default)]
    billing_markets: Vec<String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    accounts: BTreeMap<String, BTreeMap<String, String>>,
}

/// The domain over the data of one file of cases.
#[derive(Debug)]
pub(crate) struct Domain {
    matrix: FeatureMatrix,
    profiles: BTreeMap<String, AccountProfile>,
    policies: BTreeMap<String, PartnerPolicy>,
    catalog: Catalog,
}

impl Domain {
    pub(crate) fn new(file: &CaseFile) -> Self {
        let matrix = file.matrix.as_deref().unwrap_or(FeatureMatrix::BUILT_IN);
        let matrix = FeatureMatrix::parse(matrix).unwrap();
        let data: Data = serde_saphyr::from_str(&file.data).unwrap();

        let markets = data.billing_markets.iter().map(|market| {
            let aliases = market.aliases.iter().map(|alias| code(alias)).collect();
            let currency = CurrencyCode::try_from(market.currency.as_str()).unwrap();
            let name = market.name.clone();
            let market = BillingMarket::new(code(&market.code), name, currency, aliases).unwrap();
            (market.code, market)
        });
        let markets = Markets::new(markets.collect()).unwrap();
        let own: BTreeMap<&String, &BTreeMap<String, String>> = data
            .policies
            .iter()
            .flat_map(|policy| &policy.accounts)
            .collect();
        let profiles = data.accounts.iter().map(|account| {
            let profile = AccountProfile {
                account: account.read(),
                settings: own
                    .get(&account.id)
                    .map_or(Settings::NONE, |own| settings(&matrix, own)),
            };
            (account.id.clone(), profile)
        });
        let profiles = profiles.collect();

        // A partner has a policy from the moment that it exists.
        let partners = data
            .accounts
            .iter()
            .filter(|account| account.kind == "partner");
        let mut policies: BTreeMap<String, PartnerPolicy> = partners
            .map(|partner| (partner.id.clone(), PartnerPolicy::default()))
            .collect();
        for policy in &data.policies {
            let enabled = policy.billing_markets.iter();
            let enabled = enabled.map(|name| markets.resolve_text(name).unwrap());
            let read = PartnerPolicy {
                settings: settings(&matrix, &policy.settings),
                markets: enabled.collect(),
            };
            policies.insert(policy.partner.clone(), read).unwrap();
        }
        let locations = data.locations.iter().map(location).collect();
        Self {
            matrix,
            profiles,
            policies,
            catalog: Catalog::new(markets, locations),
        }
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Account> {
        self.profiles.get(id).map(|profile| &profile.account)
    }

    fn subject(&self, id: &str) -> Result<(&AccountProfile, Subject<'_>), String> {
        let unknown = || "ACCOUNT_UNKNOWN".to_owned();
        let profile = self.profiles.get(id).ok_or_else(unknown)?;
        let partner = profile.account.partner().map_or(id, AccountId::as_str);
        let subject = Subject::new(profile, self.policies.get(partner));
        let inconsistent = |_| "ACCOUNT_INCONSISTENT".to_owned();
        subject
            .map(|subject| (profile, subject))
            .map_err(inconsistent)
    }

    fn inline(&self, sent: &[LocationText], access: &CatalogAccess<'_>) -> (Vec<Location>, usize) {
        let markets = self.catalog.markets();
        let visible: Vec<Location> = sent
            .iter()
            .filter(|location| access.shows(markets.resolve_text(&location.market)))
            .map(location)
            .collect();
        let hidden = sent.len() - visible.len();
        (visible, hidden)
    }

    fn stored(
        &self,
        asked: &CatalogAsked,
        access: &CatalogAccess<'_>,
    ) -> Result<(Vec<Location>, usize), String> {
        let mut filter = CatalogFilter::default();
        for name in &asked.markets {
            let market = self.catalog.markets().resolve_text(name);
            filter.markets.insert(market.ok_or("MARKET_UNKNOWN")?);
        }
        filter.metros.extend(asked.metros.iter().cloned());
        let page = self.catalog.page(access, &filter, None, usize::MAX);
        let visible = page.locations().cloned().collect();
        Ok((visible, page.hidden))
    }
}

impl Answers for Domain {
    async fn check(&self, account: &str, feature: &str) -> String {
        let Some(feature) = self.matrix.find(feature) else {
            return "error FEATURE_UNKNOWN".to_owned();
        };
        match self.subject(account) {
            Ok((_, subject)) => words(decide(&self.matrix, feature, subject)),
            Err(error) => format!("error {error}"),
        }
    }

    async fn catalog(&self, account: &str, asked: &CatalogAsked) -> Result<CatalogAnswer, String> {
        let (_, subject) = self.subject(account)?;
        let access = catalog_access(&self.matrix, subject);
        let (visible, hidden) = match &asked.inline {
            Some(sent) => self.inline(sent, &access),
            None => self.stored(asked, &access)?,
        };
        let mut offers = BTreeMap::new();
        for location in &visible {
            for offer in &location.offers {
                let price = offer.price.filter(|_| access.shows_prices());
                let price = price.map(|price| PriceText {
                    monthly: price.monthly.map(|money| money.to_string()),
                    setup: price.setup.map(|money| money.to_string()),
                });
                offers.insert(format!("{}/{}", location.id, offer.product), price);
            }
        }
        Ok(CatalogAnswer {
            visible: visible
                .iter()
                .map(|location| location.id.to_string())
                .collect(),
            hidden: hidden.try_into().unwrap(),
            prices: if access.shows_prices() {
                Prices::Shown
            } else {
                Prices::Redacted
            },
            ordering: words(access.ordering),
            pricing: words(access.pricing),
            offers,
        })
    }

    async fn recipients(&self, kind: Kind, accounts: &[String]) -> RecipientsAnswer {
        let kind = match kind {
            Kind::Maintenance => NotificationKind::Maintenance,
            Kind::Security => NotificationKind::Security,
        };
        let mut answer = RecipientsAnswer::default();
        let mut recipients = Recipients::default();
        for (place, account) in accounts.iter().enumerate() {
            if accounts[..place].contains(account) {
                continue;
            }
            let delivery = self.subject(account).map(|(profile, subject)| {
                let id = profile.account.id.clone();
                (id, deliver(&self.matrix, kind, profile, subject))
            });
            let error = match delivery {
                Ok((id, Delivery::Itself)) => {
                    recipients.add_direct(id);
                    continue;
                }
                Ok((id, Delivery::Partner(partner))) => {
                    recipients.add_on_behalf(partner, id);
                    continue;
                }
                Ok((_, Delivery::Nobody)) => "NO_RECIPIENT".to_owned(),
                Err(error) => error,
            };
            answer.unresolved.push(UnresolvedText {
                account: account.clone(),
                error,
            });
        }
        for (account, recipient) in recipients {
            let behalf = recipient.on_behalf_of.iter();
            answer.recipients.push(RecipientText {
                account: account.to_string(),
                directly: recipient.directly_affected,
                on_behalf_of: behalf.map(ToString::to_string).collect(),
            });
        }
        answer
    }

    async fn billing_account(&self, account: &str) -> String {
        match self.subject(account) {
            Ok((profile, _)) => profile.account.billing_account().to_string(),
            Err(error) => format!("error {error}"),
        }
    }
}

fn words(decision: Decision) -> String {
    let effect = match decision.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let reason = match decision.reason {
        Reason::PlatformRule => "PLATFORM_RULE",
        Reason::PlatformDefault => "PLATFORM_DEFAULT",
        Reason::PartnerSetting => "PARTNER_SETTING",
        Reason::AccountSetting => "ACCOUNT_SETTING",
        Reason::RequiredFeature => "REQUIRED_FEATURE",
    };
    format!("{effect} {reason}")
}

impl AccountText {
    fn read(&self) -> Account {
        let kind = match self.kind.as_str() {
            "direct" => AccountKind::Direct,
            "partner" => AccountKind::Partner,
            "managed" => AccountKind::Managed {
                partner: AccountId::try_from(self.partner.as_str()).unwrap(),
                support: SupportProvider::try_from(self.support.as_str()).unwrap(),
            },
            other => panic!("no such kind: {other}"),
        };
        Account {
            id: AccountId::try_from(self.id.as_str()).unwrap(),
            kind,
            display_name: self.display_name.clone(),
        }
    }
}

fn settings(matrix: &FeatureMatrix, words: &BTreeMap<String, String>) -> Settings {
    let stored: SettingMap = words
        .iter()
        .map(|(key, word)| {
            let setting = match word.as_str() {
                "on" => Setting::On,
                "off" => Setting::Off,
                other => panic!("no such setting: {other}"),
            };
            (FeatureKey::try_from(key.as_str()).unwrap(), setting)
        })
        .collect();
    Settings::compile(matrix, &stored)
}

fn location(text: &LocationText) -> Location {
    let money = |text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| Money::try_from(text).unwrap())
    };
    let offers = text.offers.iter().map(|offer| {
        let (monthly, setup) = (money(&offer.monthly), money(&offer.setup));
        let priced = monthly.is_some() || setup.is_some();
        Offer {
            product: Product::try_from(offer.product.as_str()).unwrap(),
            price: priced.then_some(Price { monthly, setup }),
        }
    });
    let status = text.status.as_deref();
    Location {
        id: LocationId::try_from(text.id.as_str()).unwrap(),
        name: text.name.clone(),
        metro: text.metro.clone(),
        country: text.country.clone(),
        // An inline location may hold what is no code; the market decides before this is read.
        market: MarketCode::try_from(text.market.as_str()).ok(),
        status: status.map(|status| LocationStatus::try_from(status).unwrap()),
        offers: offers.collect(),
    }
}

fn code(text: &str) -> MarketCode {
    MarketCode::try_from(text).unwrap()
}
