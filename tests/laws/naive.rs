//! The rules once more, told as simply as they can be: strings, maps and recursion. Shares no code
//! with the crate, so that one misunderstanding or one slip cannot be in both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The features of a matrix by key.
pub(crate) type Features = BTreeMap<String, Feature>;
/// `on` or `off` by feature; what is unset is not there.
pub(crate) type Settings = BTreeMap<String, String>;

/// One row of a matrix.
#[derive(Debug, Clone)]
pub(crate) struct Feature {
    /// `allow`, `deny`, `on` or `off`, by audience.
    pub(crate) rules: BTreeMap<String, String>,
    pub(crate) requires: Vec<String>,
}

/// An account. `partner` and `support` are empty unless it is managed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) kind: String,
    pub(crate) partner: String,
    pub(crate) support: String,
    pub(crate) settings: Settings,
}

/// What a partner chose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) settings: Settings,
    /// Market codes, never aliases.
    pub(crate) markets: BTreeSet<String>,
}

/// Everything that an answer depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) features: Arc<Features>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) policies: BTreeMap<String, Policy>,
    /// The market that each code and each alias means.
    pub(crate) markets: BTreeMap<String, String>,
}

/// The audiences, as matrix files call them.
pub(crate) const AUDIENCES: [&str; 4] = [
    "direct",
    "partner",
    "managed_partner_supported",
    "managed_platform_supported",
];

/// The table of the rules in the README, typed by hand: the rules in the order of [`AUDIENCES`], then what the
/// feature requires.
pub(crate) const BUILT_IN: &str = "
    billing_markets.view                allow  allow  deny   deny
    support_chat.use                    allow  allow  off    allow
    company_profile.view                allow  allow  off    off
    company_profile.edit                allow  allow  off    off    company_profile.view
    dashboard.view                      allow  allow  off    off
    quoting_tool.use                    allow  allow  deny   deny
    invoices.pay                        allow  allow  deny   deny
    marketplace_profile.view            allow  allow  deny   deny
    marketplace_profile.edit            allow  allow  deny   deny
    maintenance_notifications.receive   allow  allow  deny   deny
    security_notifications.receive      allow  allow  allow  allow
    services.order                      allow  allow  allow  allow
    pricing.view                        allow  allow  off    off
    support_details.view                allow  allow  allow  deny
    support_details.edit                allow  allow  deny   deny   support_details.view
";

/// Reads a table like [`BUILT_IN`].
pub(crate) fn features(table: &str) -> Features {
    let rows = table.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let key = words.next().unwrap();
        let rules = AUDIENCES.map(|audience| (audience.to_owned(), words.next().unwrap()));
        let rules = rules.into_iter().collect();
        let requires = words.collect();
        (key, Feature { rules, requires })
    })
    .collect()
}

/// `allow` or `deny`, and the reason as the API calls it.
pub(crate) type Verdict = (&'static str, &'static str);

/// What a setting or a default comes to.
pub(crate) fn effect(setting: &str) -> &'static str {
    match setting {
        "on" => "allow",
        "off" => "deny",
        other => panic!("no such setting: {other}"),
    }
}

/// Where a notification for some accounts goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    /// Told for themselves.
    pub(crate) direct: BTreeSet<String>,
    /// Told for others: the partner and the account that it is about.
    pub(crate) on_behalf: BTreeSet<(String, String)>,
    /// Nobody is told.
    pub(crate) unresolved: BTreeSet<String>,
}

impl World {
    pub(crate) fn audience(&self, account: &str) -> &'static str {
        let account = &self.accounts[account];
        match (account.kind.as_str(), account.support.as_str()) {
            ("direct", "") => "direct",
            ("partner", "") => "partner",
            ("managed", "partner") => "managed_partner_supported",
            ("managed", "platform") => "managed_platform_supported",
            other => panic!("no such account: {other:?}"),
        }
    }

    /// The rule's own word for it: `allow`, `deny`, `on` or `off`.
    pub(crate) fn rule(&self, account: &str, feature: &str) -> &str {
        &self.features[feature].rules[self.audience(account)]
    }

    /// Every feature that `feature` requires, directly or not.
    pub(crate) fn required(&self, feature: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for required in &self.features[feature].requires {
            all.insert(required.clone());
            all.extend(self.required(required));
        }
        all
    }

    pub(crate) fn decide(&self, account: &str, feature: &str) -> Verdict {
        self.gate(account, feature, self.decide_alone(account, feature))
    }

    /// What becomes of a verdict on `feature` by what the feature requires.
    pub(crate) fn gate(&self, account: &str, feature: &str, alone: Verdict) -> Verdict {
        let mut requires = self.features[feature].requires.iter();
        let gated = requires.any(|required| self.decide(account, required).0 == "deny");
        if alone.0 == "allow" && gated {
            ("deny", "REQUIRED_FEATURE")
        } else {
            alone
        }
    }

    /// Without what the feature requires.
    pub(crate) fn decide_alone(&self, account: &str, feature: &str) -> Verdict {
        let default = match self.rule(account, feature) {
            "allow" => return ("allow", "PLATFORM_RULE"),
            "deny" => return ("deny", "PLATFORM_RULE"),
            default => default,
        };
        let account = &self.accounts[account];
        if let Some(setting) = account.settings.get(feature) {
            return (effect(setting), "ACCOUNT_SETTING");
        }
        match self.policies[&account.partner].settings.get(feature) {
            Some(setting) => (effect(setting), "PARTNER_SETTING"),
            None => (effect(default), "PLATFORM_DEFAULT"),
        }
    }

    /// Whether the account sees a location in `market`: a code, an alias, empty or nonsense.
    pub(crate) fn sees(&self, account: &str, market: &str) -> bool {
        if self.decide(account, "services.order").0 == "deny" {
            return false;
        }
        let account = &self.accounts[account];
        if account.kind != "managed" {
            return true;
        }
        match self.markets.get(market) {
            Some(code) => self.policies[&account.partner].markets.contains(code),
            None => false,
        }
    }

    pub(crate) fn route(&self, kind: &str, accounts: &[String]) -> Routes {
        let feature = format!("{kind}_notifications.receive");
        let may = |account: &str| self.decide(account, &feature).0 == "allow";
        let mut routes = Routes::default();
        for id in accounts {
            let partner = &self.accounts[id].partner;
            if may(id) {
                routes.direct.insert(id.clone());
            } else if !partner.is_empty() && may(partner) {
                routes.on_behalf.insert((partner.clone(), id.clone()));
            } else {
                routes.unresolved.insert(id.clone());
            }
        }
        routes
    }

    pub(crate) fn billing_account<'a>(&'a self, account: &'a str) -> &'a str {
        let partner = &self.accounts[account].partner;
        if partner.is_empty() { account } else { partner }
    }
}
