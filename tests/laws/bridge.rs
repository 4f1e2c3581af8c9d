//! From the naive model's world to the crate's values, and from the crate's answers back to words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use portcullis::domain::{
    Account, AccountId, AccountKind, AccountProfile, BillingMarket, CatalogAccess, CurrencyCode,
    Decision, Delivery, Effect, FeatureKey, FeatureMatrix, MarketCode, Markets, NotificationKind,
    PartnerPolicy, Reason, Recipients, Setting, SettingMap, Settings, Subject, SupportProvider,
    catalog_access, decide, deliver,
};

use crate::naive::{self, AUDIENCES, Features, Routes, Verdict, World};

/// One account and one feature in a world, with the crate's matrix of the same features.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) matrix: Arc<FeatureMatrix>,
    pub(crate) account: String,
    pub(crate) feature: String,
}

impl Place {
    /// The crate's decision.
    pub(crate) fn decide(&self) -> Verdict {
        self.decide_on(&self.feature)
    }

    /// The crate's decision on another feature for the same account.
    pub(crate) fn decide_on(&self, feature: &str) -> Verdict {
        let index = self.matrix.find(feature).unwrap();
        self.judged(|subject| words(decide(&self.matrix, index, subject)))
    }

    /// The crate's view of what the account sees of a catalogue.
    pub(crate) fn catalog<T>(&self, look: impl FnOnce(&CatalogAccess<'_>) -> T) -> T {
        self.judged(|subject| look(&catalog_access(&self.matrix, subject)))
    }

    /// The rule for the account and the feature, by the naive model.
    pub(crate) fn rule(&self) -> &str {
        self.world.rule(&self.account, &self.feature)
    }

    /// The naive model's decision, if the settings made of this feature were worth `alone`.
    pub(crate) fn gate(&self, alone: Verdict) -> Verdict {
        self.world.gate(&self.account, &self.feature, alone)
    }

    /// The same place in a world that differs.
    pub(crate) fn with(&self, change: impl FnOnce(&mut World)) -> Self {
        let mut place = self.clone();
        change(&mut place.world);
        place
    }

    /// The same place with other settings of one feature: the account's and its partner's.
    pub(crate) fn with_settings(&self, feature: &str, account: &str, partner: &str) -> Self {
        self.with(|world| {
            let mine = world.accounts.get_mut(&self.account).unwrap();
            put(&mut mine.settings, feature, account);
            if let Some(policy) = world.policies.get_mut(&mine.partner) {
                put(&mut policy.settings, feature, partner);
            }
        })
    }

    fn judged<T>(&self, ask: impl FnOnce(Subject<'_>) -> T) -> T {
        let profile = profile(&self.world, &self.matrix, &self.account);
        let policy = policy(&self.world, &self.matrix, &self.account);
        ask(Subject::new(&profile, policy.as_ref()).unwrap())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` and `{}`", self.account, self.feature)
    }
}

/// Sets a feature; what is neither `on` nor `off` is unset.
pub(crate) fn put(settings: &mut naive::Settings, feature: &str, setting: &str) {
    match setting {
        "on" | "off" => settings.insert(feature.to_owned(), setting.to_owned()),
        _ => settings.remove(feature),
    };
}

/// The crate's matrix of the same features, by way of a matrix file.
pub(crate) fn matrix(features: &Features) -> FeatureMatrix {
    let mut yaml = String::from("features:\n");
    for (key, feature) in features {
        writeln!(yaml, "  - feature: {key}").unwrap();
        writeln!(yaml, "    requires: [{}]", feature.requires.join(", ")).unwrap();
        for audience in AUDIENCES {
            writeln!(yaml, "    {audience}: {}", feature.rules[audience]).unwrap();
        }
    }
    FeatureMatrix::parse(&yaml).unwrap_or_else(|error| panic!("{error}:\n{yaml}"))
}

/// The account with its own settings.
pub(crate) fn profile(world: &World, matrix: &FeatureMatrix, id: &str) -> AccountProfile {
    let account = &world.accounts[id];
    let kind = match account.kind.as_str() {
        "direct" => AccountKind::Direct,
        "partner" => AccountKind::Partner,
        _ => AccountKind::Managed {
            partner: account_id(&account.partner),
            support: SupportProvider::try_from(account.support.as_str()).unwrap(),
        },
    };
    AccountProfile {
        account: Account {
            id: account_id(id),
            kind,
            display_name: String::new(),
        },
        settings: settings(matrix, &account.settings),
    }
}

/// The policy of the account's partner. An account without a partner gets the one that could
/// mislead most: a partner its own, a direct account anybody's.
pub(crate) fn policy(world: &World, matrix: &FeatureMatrix, id: &str) -> Option<PartnerPolicy> {
    let account = &world.accounts[id];
    let policy = match account.kind.as_str() {
        "direct" => world.policies.values().next(),
        "partner" => world.policies.get(id),
        _ => world.policies.get(&account.partner),
    };
    policy.map(|policy| PartnerPolicy {
        settings: settings(matrix, &policy.settings),
        markets: policy.markets.iter().map(|name| code(name)).collect(),
    })
}

/// Every market with its aliases.
pub(crate) fn markets(world: &World) -> Markets {
    let mut by_code = BTreeMap::new();
    for meant in world.markets.values().collect::<BTreeSet<_>>() {
        let names = world.markets.iter().filter(|(_, code)| *code == meant);
        let aliases = names.filter(|(name, code)| name != code);
        let aliases = aliases.map(|(name, _)| code(name)).collect();
        let currency = CurrencyCode::try_from("USD").unwrap();
        let market = BillingMarket::new(code(meant), String::new(), currency, aliases).unwrap();
        by_code.insert(market.code, market);
    }
    Markets::new(by_code).unwrap()
}

/// Where the crate sends a notification for some accounts, and how many entries it made of it.
pub(crate) fn route(
    world: &World,
    matrix: &FeatureMatrix,
    kind: NotificationKind,
    accounts: &[String],
) -> (Routes, usize) {
    let mut recipients = Recipients::default();
    let mut routes = Routes::default();
    for id in accounts {
        let profile = profile(world, matrix, id);
        let policy = policy(world, matrix, id);
        let subject = Subject::new(&profile, policy.as_ref()).unwrap();
        match deliver(matrix, kind, &profile, subject) {
            Delivery::Itself => recipients.add_direct(account_id(id)),
            Delivery::Partner(partner) => recipients.add_on_behalf(partner, account_id(id)),
            Delivery::Nobody => {
                routes.unresolved.insert(id.clone());
            }
        }
    }
    let mut entries = 0;
    for (id, recipient) in recipients {
        entries += 1;
        if recipient.directly_affected {
            routes.direct.insert(id.as_str().to_owned());
        }
        let behalf = recipient.on_behalf_of.iter();
        let behalf = behalf.map(|account| (id.as_str().to_owned(), account.as_str().to_owned()));
        routes.on_behalf.extend(behalf);
    }
    (routes, entries)
}

/// A decision in the API's words.
pub(crate) fn words(decision: Decision) -> Verdict {
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
    (effect, reason)
}

fn settings(matrix: &FeatureMatrix, settings: &naive::Settings) -> Settings {
    let stored: SettingMap = settings
        .iter()
        .map(|(key, setting)| {
            let setting = match setting.as_str() {
                "on" => Setting::On,
                _ => Setting::Off,
            };
            (FeatureKey::try_from(key.as_str()).unwrap(), setting)
        })
        .collect();
    Settings::compile(matrix, &stored)
}

fn account_id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

fn code(text: &str) -> MarketCode {
    MarketCode::try_from(text).unwrap()
}
