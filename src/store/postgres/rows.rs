//! The rows that go, come and change where one state becomes another.

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, Location, Offer, Setting, SettingMap,
};
use crate::store::{Delta, Edit, StoredPolicy};

/// An owner's setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct SettingRow<'a> {
    pub(super) owner: &'a str,
    pub(super) feature: &'a str,
    pub(super) setting: Setting,
}

/// A location's offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfferRow<'a> {
    pub(super) location: &'a str,
    pub(super) position: i16,
    pub(super) offer: &'a Offer,
}

/// Two keys: an owner, and what of it.
type Pair<'a> = (&'a str, &'a str);

/// Rows by table. A setting that stays as it is has none, so that it keeps its revision.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    pub(super) gone_account_settings: Vec<Pair<'a>>,
    pub(super) gone_partner_settings: Vec<Pair<'a>>,
    pub(super) gone_partner_markets: Vec<Pair<'a>>,
    /// Of those who are no partners any more.
    pub(super) gone_policies: Vec<&'a str>,
    pub(super) gone_offers_of: Vec<&'a str>,
    pub(super) gone_locations: Vec<&'a str>,
    pub(super) gone_aliases_of: Vec<&'a str>,
    pub(super) gone_markets: Vec<&'a str>,
    pub(super) gone_accounts: Vec<&'a str>,
    pub(super) markets: Vec<&'a BillingMarket>,
    /// Alias and market.
    pub(super) aliases: Vec<Pair<'a>>,
    pub(super) locations: Vec<&'a Location>,
    pub(super) offers: Vec<OfferRow<'a>>,
    pub(super) accounts: Vec<&'a Account>,
    /// Accounts of which only the settings change.
    pub(super) touched_accounts: Vec<&'a str>,
    /// Partners whose policy changes.
    pub(super) policies: Vec<&'a str>,
    pub(super) account_settings: Vec<SettingRow<'a>>,
    pub(super) partner_settings: Vec<SettingRow<'a>>,
    pub(super) partner_markets: Vec<Pair<'a>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(delta: &'a Delta) -> Self {
        let mut rows = Self::default();
        rows.catalog(delta);
        for (id, edit) in &delta.accounts {
            match &edit.after {
                Some(account) => rows.accounts.push(account),
                None => rows.gone_accounts.push(id.as_str()),
            }
            if is_partner(edit.before.as_ref()) && !is_partner(edit.after.as_ref()) {
                rows.gone_policies.push(id.as_str());
            }
        }
        for (id, edit) in &delta.account_settings {
            if !delta.accounts.contains_key(id) {
                rows.touched_accounts.push(id.as_str());
            }
            let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
            let (gone, put) = (&mut rows.gone_account_settings, &mut rows.account_settings);
            settings(id, before, after, gone, put);
        }
        for (id, edit) in &delta.policies {
            rows.policy(delta, id, edit);
        }
        rows
    }

    fn catalog(&mut self, delta: &'a Delta) {
        for (code, edit) in &delta.markets {
            if edit.before.is_some() {
                self.gone_aliases_of.push(code.as_str());
            }
            match &edit.after {
                Some(market) => {
                    let aliases = market.aliases.iter();
                    self.aliases
                        .extend(aliases.map(|alias| (alias.as_str(), code.as_str())));
                    self.markets.push(market);
                }
                None => self.gone_markets.push(code.as_str()),
            }
        }
        for (id, edit) in &delta.locations {
            let before = edit.before.as_ref().map(|location| &location.offers);
            let after = edit.after.as_ref().map(|location| &location.offers);
            if before != after {
                if before.is_some() {
                    self.gone_offers_of.push(id.as_str());
                }
                let offers = after.into_iter().flatten();
                self.offers
                    .extend((0..).zip(offers).map(|(position, offer)| OfferRow {
                        location: id.as_str(),
                        position,
                        offer,
                    }));
            }
            match &edit.after {
                Some(location) => self.locations.push(location),
                None => self.gone_locations.push(id.as_str()),
            }
        }
    }

    fn policy(&mut self, delta: &'a Delta, id: &'a AccountId, edit: &'a Edit<StoredPolicy>) {
        // A policy that says nothing keeps its row, which has the revision of its last change,
        // for as long as its owner is a partner.
        let owner = delta.accounts.get(id);
        if owner.is_none_or(|owner| is_partner(owner.after.as_ref())) {
            self.policies.push(id.as_str());
        }
        let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
        settings(
            id,
            before.map(|policy| &policy.settings),
            after.map(|policy| &policy.settings),
            &mut self.gone_partner_settings,
            &mut self.partner_settings,
        );
        let enabled =
            |policy: Option<&'a StoredPolicy>| policy.into_iter().flat_map(|p| &p.markets);
        let has = |policy: Option<&StoredPolicy>, market| {
            policy.is_some_and(|policy| policy.markets.contains(market))
        };
        let gone = enabled(before).filter(|market| !has(after, market));
        self.gone_partner_markets
            .extend(gone.map(|market| (id.as_str(), market.as_str())));
        let new = enabled(after).filter(|market| !has(before, market));
        self.partner_markets
            .extend(new.map(|market| (id.as_str(), market.as_str())));
    }

    /// How many there are, as progress is counted.
    pub(super) fn count(&self) -> usize {
        [
            self.gone_account_settings.len(),
            self.gone_partner_settings.len(),
            self.gone_partner_markets.len(),
            self.gone_policies.len(),
            self.gone_offers_of.len(),
            self.gone_locations.len(),
            self.gone_aliases_of.len(),
            self.gone_markets.len(),
            self.gone_accounts.len(),
            self.markets.len(),
            self.aliases.len(),
            self.locations.len(),
            self.offers.len(),
            self.accounts.len(),
            self.touched_accounts.len(),
            self.policies.len(),
            self.account_settings.len(),
            self.partner_settings.len(),
            self.partner_markets.len(),
        ]
        .iter()
        .sum()
    }
}

fn is_partner(account: Option<&Account>) -> bool {
    account.is_some_and(|account| matches!(account.kind, AccountKind::Partner))
}

fn settings<'a>(
    owner: &'a AccountId,
    before: Option<&'a SettingMap>,
    after: Option<&'a SettingMap>,
    gone: &mut Vec<Pair<'a>>,
    put: &mut Vec<SettingRow<'a>>,
) {
    let stays = |key| after.is_some_and(|after| after.contains_key(key));
    let keys = before.into_iter().flatten().map(|(key, _)| key);
    gone.extend(
        keys.filter(|key| !stays(*key))
            .map(|key| (owner.as_str(), key.as_str())),
    );
    let differs =
        |key, setting| before.and_then(|before| before.get(key)).copied() != Some(setting);
    let all = after.into_iter().flatten();
    put.extend(
        all.filter(|(key, setting)| differs(*key, **setting))
            .map(|(key, setting)| SettingRow {
                owner: owner.as_str(),
                feature: key.as_str(),
                setting: *setting,
            }),
    );
}
