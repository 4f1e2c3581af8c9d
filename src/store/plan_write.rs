//! What a write makes of a state, decided before anything is written. Pure, as
//! [`plan()`](super::plan()) is for imports: both stores write what this says.

use std::collections::BTreeSet;

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, FeatureKey, FeatureMatrix, Invalid, MarketCode,
    MarketConflict, Markets, SettingMap, quote,
};

use super::{
    Delta, Now, Reading, Scope, Selection, SettingChanges, State, StoredPolicy, Write,
    WriteRefusal, WriteRequest, plan,
};

impl Write {
    /// What [`plan_write`] has to know.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::PartnerPolicy { partner, .. } => Scope {
                accounts: Selection::from_iter([partner.clone()]),
                markets: true,
                ..Scope::default()
            },
            Self::AccountSettings { account, .. } => Scope {
                accounts: Selection::from_iter([account.clone()]),
                ..Scope::default()
            },
            Self::PutAccount(account) => Scope {
                accounts: [Some(&account.id), account.partner()]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect(),
                any_managed_by: [account.id.clone()].into(),
                ..Scope::default()
            },
            Self::DeleteAccount(account) => Scope {
                accounts: Selection::from_iter([account.clone()]),
                any_managed_by: [account.clone()].into(),
                ..Scope::default()
            },
            Self::PutMarkets(_) => Scope {
                markets: true,
                ..Scope::default()
            },
            Self::DeleteMarkets(codes) => Scope {
                markets: true,
                any_enabling: codes.clone(),
                ..Scope::default()
            },
            Self::PutLocations(locations) => Scope {
                locations: locations
                    .iter()
                    .map(|location| location.id.clone())
                    .collect(),
                ..Scope::default()
            },
            Self::DeleteLocations(ids) => Scope {
                locations: Selection::Named(ids.clone()),
                ..Scope::default()
            },
        }
    }
}

/// What a write comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePlan {
    /// What it changes.
    pub delta: Delta,
    /// What its subject says then.
    pub now: Now,
}

/// The change that `request` makes to what `current` holds, which is at least its
/// [`Write::scope`].
///
/// In this order: the features that are named, the subject, its expected revision, the rest.
///
/// # Errors
/// [`WriteRefusal`] where it cannot be or may not be.
pub fn plan_write(current: &Reading, request: &WriteRequest) -> Result<WritePlan, WriteRefusal> {
    let WriteRequest { write, matrix, .. } = request;
    let state = &current.state;
    let mut next = state.clone();
    match write {
        Write::PartnerPolicy {
            partner,
            settings,
            enable,
            disable,
        } => {
            check_features(matrix, settings)?;
            check_partner(state, partner)?;
            check_revision(current, request)?;
            let mut policy = next.policies.remove(partner).unwrap_or_default();
            check_unset(matrix, settings, &policy.settings)?;
            choose(&mut policy.settings, settings);
            enable_markets(state, &mut policy, enable, disable)?;
            next.policies.insert(partner.clone(), policy);
        }
        Write::AccountSettings { account, settings } => {
            check_features(matrix, settings)?;
            let Some(known) = state.accounts.get(account) else {
                return Err(WriteRefusal::AccountUnknown(account.clone()));
            };
            check_revision(current, request)?;
            check_managed(known, matrix, settings)?;
            let mut own = next.account_settings.remove(account).unwrap_or_default();
            check_unset(matrix, settings, &own)?;
            choose(&mut own, settings);
            next.account_settings.insert(account.clone(), own);
        }
        Write::PutAccount(account) => {
            check_revision(current, request)?;
            if let Some(partner) = account.partner() {
                if *partner == account.id {
                    return Err(WriteRefusal::PartnerUnknown(partner.clone()));
                }
                check_partner(state, partner)?;
            }
            if !matches!(account.kind, AccountKind::Partner) {
                check_manages_nobody(state, &account.id)?;
            }
            plan::put_account(&mut next, account);
        }
        Write::DeleteAccount(account) => {
            if !state.accounts.contains_key(account) {
                return Err(WriteRefusal::AccountUnknown(account.clone()));
            }
            check_revision(current, request)?;
            check_manages_nobody(state, account)?;
            next.accounts.remove(account);
            next.account_settings.remove(account);
            next.policies.remove(account);
        }
        Write::PutMarkets(markets) => {
            check_revision(current, request)?;
            put_markets(&mut next, markets)?;
        }
        Write::DeleteMarkets(codes) => {
            check_revision(current, request)?;
            check_known(codes, |code| state.markets.contains_key(code))
                .map_err(WriteRefusal::MarketUnknown)?;
            for code in codes {
                check_enabled_by_nobody(state, *code)?;
                next.markets.remove(code);
            }
        }
        Write::PutLocations(locations) => {
            check_revision(current, request)?;
            let locations = locations.iter().cloned();
            next.locations
                .extend(locations.map(|location| (location.id.clone(), location)));
        }
        Write::DeleteLocations(ids) => {
            check_revision(current, request)?;
            check_known(ids, |id| state.locations.contains_key(id))
                .map_err(WriteRefusal::LocationUnknown)?;
            next.locations.retain(|id, _| !ids.contains(id));
        }
    }
    next.drop_empty();
    Ok(WritePlan {
        delta: Delta::between(state, &next),
        now: now(next, write),
    })
}

/// What the subject of `write` says where `state` is what is stored.
fn now(mut state: State, write: &Write) -> Now {
    match write {
        Write::PartnerPolicy { partner, .. } => {
            let policy = state.policies.remove(partner).unwrap_or_default();
            Now::Policy {
                settings: policy.settings,
                markets: policy.markets,
            }
        }
        Write::AccountSettings { account, .. } => {
            Now::Settings(state.account_settings.remove(account).unwrap_or_default())
        }
        Write::PutAccount(_)
        | Write::DeleteAccount(_)
        | Write::PutMarkets(_)
        | Write::DeleteMarkets(_)
        | Write::PutLocations(_)
        | Write::DeleteLocations(_) => Now::Untold,
    }
}

fn check_revision(current: &Reading, request: &WriteRequest) -> Result<(), WriteRefusal> {
    let actual = current.revision_of(&request.write.subject());
    match request.expected {
        Some(expected) if expected != actual => {
            Err(WriteRefusal::RevisionMismatch { expected, actual })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether each feature that is to be set may be decided by a partner at all. Unsetting one is
/// [`check_unset`]'s to judge, for it depends on what is stored.
fn check_features(matrix: &FeatureMatrix, settings: &SettingChanges) -> Result<(), WriteRefusal> {
    settings
        .iter()
        .filter(|(_, setting)| setting.is_some())
        .try_for_each(|(feature, _)| check_configurable(matrix, feature))
}

fn check_configurable(matrix: &FeatureMatrix, feature: &str) -> Result<(), WriteRefusal> {
    let row = matrix.find(feature).and_then(|index| matrix.row(index));
    match row {
        None => Err(WriteRefusal::FeatureUnknown(quote(feature))),
        Some(row) if row.rules.is_configurable() => Ok(()),
        Some(_) => Err(WriteRefusal::FeatureNotConfigurable(format!(
            "no partner may decide {}: no setting changes the platform's rule",
            quote(feature)
        ))),
    }
}

/// Whatever is stored may be unset, whether the matrix still has it or not.
fn check_unset(
    matrix: &FeatureMatrix,
    settings: &SettingChanges,
    stored: &SettingMap,
) -> Result<(), WriteRefusal> {
    settings
        .iter()
        .filter(|(feature, setting)| setting.is_none() && !stored.contains_key(feature.as_str()))
        .try_for_each(|(feature, _)| check_configurable(matrix, feature))
}

/// Settings of one account are its partner's choices: another account has none.
fn check_managed(
    account: &Account,
    matrix: &FeatureMatrix,
    settings: &SettingChanges,
) -> Result<(), WriteRefusal> {
    let Some((feature, _)) = settings.first_key_value() else {
        return Ok(());
    };
    if account.partner().is_some() {
        return Ok(());
    }
    check_configurable(matrix, feature)?;
    Err(WriteRefusal::FeatureNotConfigurable(format!(
        "account `{}` is not a managed account: no partner decides {} for it",
        account.id,
        quote(feature)
    )))
}

fn check_partner(state: &State, partner: &AccountId) -> Result<(), WriteRefusal> {
    match state.accounts.get(partner).map(|account| &account.kind) {
        Some(AccountKind::Partner) => Ok(()),
        Some(AccountKind::Direct | AccountKind::Managed { .. }) | None => {
            Err(WriteRefusal::PartnerUnknown(partner.clone()))
        }
    }
}

fn check_manages_nobody(state: &State, id: &AccountId) -> Result<(), WriteRefusal> {
    let managed = state
        .accounts
        .values()
        .find(|account| account.partner() == Some(id));
    match managed {
        None => Ok(()),
        Some(account) => Err(WriteRefusal::AccountInUse {
            partner: id.clone(),
            account: account.id.clone(),
        }),
    }
}

fn check_enabled_by_nobody(state: &State, market: MarketCode) -> Result<(), WriteRefusal> {
    let enables = |(_, policy): &(&AccountId, &StoredPolicy)| policy.markets.contains(&market);
    match state.policies.iter().find(enables) {
        None => Ok(()),
        Some((partner, _)) => Err(WriteRefusal::MarketInUse {
            market,
            partner: partner.clone(),
        }),
    }
}

/// # Errors
/// The first of `names` that is not known.
fn check_known<T: Clone>(names: &BTreeSet<T>, is_known: impl Fn(&T) -> bool) -> Result<(), T> {
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(unknown) => Err(unknown.clone()),
    }
}

fn choose(settings: &mut SettingMap, changes: &SettingChanges) {
    for (feature, setting) in changes {
        match (setting, FeatureKey::try_from(feature.as_str())) {
            (None, _) => {
                settings.remove(feature.as_str());
            }
            (Some(setting), Ok(key)) => {
                settings.insert(key, *setting);
            }
            // No matrix has such a feature, so it was refused.
            (Some(_), Err(_)) => {}
        }
    }
}

fn enable_markets(
    state: &State,
    policy: &mut StoredPolicy,
    enable: &BTreeSet<MarketCode>,
    disable: &BTreeSet<MarketCode>,
) -> Result<(), WriteRefusal> {
    // What is stored stands together; where it does not, no code is known.
    let markets = Markets::new(state.markets.clone()).ok();
    let resolve = |name: MarketCode| markets.as_ref().and_then(|markets| markets.resolve(name));
    let mut enabled = BTreeSet::new();
    for name in enable {
        let code = resolve(*name).ok_or(WriteRefusal::MarketUnknown(*name))?;
        enabled.insert(code);
    }
    for name in disable {
        let code = resolve(*name).unwrap_or(*name);
        if enabled.contains(&code) {
            return Err(WriteRefusal::Invalid {
                field: "disable_markets".to_owned(),
                why: Invalid::new(format!(
                    "has `{name}`, which is the market `{code}` that enable_markets has too"
                )),
            });
        }
        policy.markets.remove(&code);
    }
    policy.markets.extend(enabled);
    Ok(())
}

fn put_markets(next: &mut State, markets: &[BillingMarket]) -> Result<(), WriteRefusal> {
    next.markets
        .extend(markets.iter().map(|market| (market.code, market.clone())));
    let Err(conflict) = Markets::new(next.markets.clone()) else {
        return Ok(());
    };
    let is_named = |market: &BillingMarket| match &conflict {
        MarketConflict::UsedTwice { first, second, .. } => [first, second].contains(&&market.code),
        MarketConflict::TooMany(_) => false,
    };
    let field = match markets.iter().rposition(is_named) {
        Some(index) => format!("markets[{index}]"),
        None => "markets".to_owned(),
    };
    let why = Invalid::new(format!("cannot be: {conflict}"));
    Err(WriteRefusal::Invalid { field, why })
}
