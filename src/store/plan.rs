//! What an import makes of a state, decided before anything is written. Pure: both stores write
//! what this says, so they cannot differ in what they accept.

use crate::domain::{Account, AccountId, AccountKind, MarketConflict, Markets};

use super::{
    AccountSettings, Delta, Import, ImportMode, Line, PolicyImport, Problem, State, StoredPolicy,
};

/// The change that `import` makes to `current`.
///
/// For a merge, `current` need not be everything: it has to hold all markets, what the import
/// names (its accounts, the partners of those, its policies' partners and accounts, its
/// locations), and the managed accounts of every partner that would become another kind.
///
/// # Errors
/// [`Problem`] where the result would not be consistent: a partner that is missing or is no
/// partner, a market that does not exist, a policy for another partner's account, a code that two
/// markets use.
pub fn plan(current: &State, import: &Import) -> Result<Delta, Problem> {
    let mut next = match import.mode {
        ImportMode::Merge => current.clone(),
        ImportMode::Replace => State::default(),
    };
    next.markets.extend(
        import
            .markets
            .iter()
            .map(|market| (market.value.code, market.value.clone())),
    );
    next.locations.extend(
        import
            .locations
            .iter()
            .map(|location| (location.value.id.clone(), location.value.clone())),
    );
    for account in &import.accounts {
        put_account(&mut next, &account.value);
    }

    let markets = check_markets(&next, import)?;
    check_partners(&next, import)?;
    for (index, policy) in import.policies.iter().enumerate() {
        put_policy(&mut next, &markets, index, policy)?;
    }
    next.drop_empty();
    Ok(Delta::between(current, &next))
}

/// Puts an account. Settings were a partner's choice for its account, a policy is a partner's:
/// each goes when the account stops being that.
pub(super) fn put_account(next: &mut State, account: &Account) {
    let id = &account.id;
    let before = next.accounts.insert(id.clone(), account.clone());
    let Some(before) = before else { return };
    if before.partner() != account.partner() {
        next.account_settings.remove(id);
    }
    if !matches!(account.kind, AccountKind::Partner) {
        next.policies.remove(id);
    }
}

fn problem(line: u64, field: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem {
        line,
        field: field.into(),
        message: message.into(),
    }
}

fn check_markets(next: &State, import: &Import) -> Result<Markets, Problem> {
    Markets::new(next.markets.clone()).map_err(|conflict| {
        // Of the markets in conflict the import names at least one, or there would have been a
        // conflict before.
        let culprit = import
            .markets
            .iter()
            .enumerate()
            .rev()
            .find(|(_, market)| match &conflict {
                MarketConflict::UsedTwice { first, second, .. } => {
                    [first, second].contains(&&market.value.code)
                }
                MarketConflict::TooMany(_) => true,
            });
        let (line, field) = culprit.map_or((1, "billing_markets".to_owned()), |(i, market)| {
            (market.line, format!("billing_markets[{i}]"))
        });
        problem(line, field, conflict.to_string())
    })
}

/// Every managed account has a partner that is one: those that the import names, and those that
/// it would leave behind by turning their partner into something else.
fn check_partners(next: &State, import: &Import) -> Result<(), Problem> {
    let is_partner = |id: &AccountId| {
        next.accounts
            .get(id)
            .is_some_and(|account| matches!(account.kind, AccountKind::Partner))
    };
    for (index, account) in import.accounts.iter().enumerate() {
        if let Some(partner) = account.value.partner()
            && !is_partner(partner)
        {
            let what = if next.accounts.contains_key(partner) {
                "is not a partner"
            } else {
                "does not exist"
            };
            let message = format!("account `{partner}` {what}; a managed account needs a partner");
            return Err(problem(
                account.line,
                format!("accounts[{index}].partner"),
                message,
            ));
        }
    }
    let orphan = next.accounts.values().find(|account| {
        account
            .partner()
            .is_some_and(|partner| !is_partner(partner))
    });
    let Some((orphan, partner)) = orphan.and_then(|orphan| Some((orphan, orphan.partner()?)))
    else {
        return Ok(());
    };
    let culprit = import
        .accounts
        .iter()
        .enumerate()
        .find(|(_, account)| account.value.id == *partner);
    let (line, field) = culprit.map_or((1, "accounts".to_owned()), |(i, account)| {
        (account.line, format!("accounts[{i}].kind"))
    });
    let message = format!(
        "`{partner}` manages the account `{}` and has to stay a partner",
        orphan.id
    );
    Err(problem(line, field, message))
}

fn put_policy(
    next: &mut State,
    markets: &Markets,
    index: usize,
    policy: &Line<PolicyImport>,
) -> Result<(), Problem> {
    let PolicyImport {
        partner,
        settings,
        markets: enabled,
        accounts,
    } = &policy.value;
    let field = |rest: &str| format!("policies[{index}]{rest}");
    match next.accounts.get(partner).map(|account| &account.kind) {
        Some(AccountKind::Partner) => {}
        Some(AccountKind::Direct | AccountKind::Managed { .. }) => {
            return Err(problem(
                policy.line,
                field(".partner"),
                format!("account `{partner}` is not a partner"),
            ));
        }
        None => {
            return Err(problem(
                policy.line,
                field(".partner"),
                format!("account `{partner}` does not exist"),
            ));
        }
    }

    let mut stored = StoredPolicy {
        settings: settings.clone(),
        ..StoredPolicy::default()
    };
    for market in enabled {
        let Some(code) = markets.resolve(market.value) else {
            let message = format!("billing market `{}` does not exist", market.value);
            return Err(problem(market.line, field(".billing_markets"), message));
        };
        stored.markets.insert(code);
    }
    next.policies.insert(partner.clone(), stored);

    for account in accounts {
        let AccountSettings {
            account: id,
            settings,
        } = &account.value;
        let its_partner = next.accounts.get(id).map(Account::partner);
        let wrong = match its_partner {
            Some(Some(own)) if own == partner => None,
            Some(Some(own)) => Some(format!(
                "account `{id}` is managed by `{own}`, not by `{partner}`"
            )),
            Some(None) => Some(format!(
                "account `{id}` is not a managed account of `{partner}`"
            )),
            None => Some(format!("account `{id}` does not exist")),
        };
        if let Some(message) = wrong {
            return Err(problem(
                account.line,
                field(&format!(".accounts[{id}]")),
                message,
            ));
        }
        next.account_settings.insert(id.clone(), settings.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FeatureKey, MarketCode, Setting, SettingMap, SupportProvider};

    fn id(text: &str) -> AccountId {
        AccountId::try_from(text).unwrap()
    }

    fn line<T>(value: T) -> Line<T> {
        Line { line: 7, value }
    }

    fn account(name: &str, partner: Option<&str>) -> Account {
        let kind = match partner {
            Some(partner) => AccountKind::Managed {
                partner: id(partner),
                support: SupportProvider::Partner,
            },
            None => AccountKind::Partner,
        };
        Account {
            id: id(name),
            kind,
            display_name: String::new(),
        }
    }

    fn direct(name: &str) -> Account {
        Account {
            id: id(name),
            kind: AccountKind::Direct,
            display_name: String::new(),
        }
    }

    fn pricing(setting: Setting) -> SettingMap {
        [(FeatureKey::try_from("pricing.view").unwrap(), setting)].into()
    }

    fn policy(
        partner: &str,
        settings: SettingMap,
        accounts: &[(&str, SettingMap)],
    ) -> Line<PolicyImport> {
        let accounts = accounts
            .iter()
            .map(|(account, settings)| {
                line(AccountSettings {
                    account: id(account),
                    settings: settings.clone(),
                })
            })
            .collect();
        line(PolicyImport {
            partner: id(partner),
            settings,
            markets: Vec::new(),
            accounts,
        })
    }

    fn accounts(all: Vec<Account>) -> Import {
        Import {
            accounts: all.into_iter().map(line).collect(),
            ..Import::default()
        }
    }

    /// A state with two partners and an account of the first that has a setting.
    fn before() -> State {
        let mut import = accounts(vec![
            account("p", None),
            account("q", None),
            account("m", Some("p")),
        ]);
        import.policies = vec![policy(
            "p",
            pricing(Setting::On),
            &[("m", pricing(Setting::Off))],
        )];
        after(&State::default(), &import).unwrap()
    }

    fn after(current: &State, import: &Import) -> Result<State, Problem> {
        let delta = plan(current, import)?;
        let mut state = current.clone();
        state.apply(delta);
        Ok(state)
    }

    #[test]
    fn an_import_repeated_changes_nothing() {
        let import = Import {
            policies: vec![policy("p", pricing(Setting::On), &[])],
            ..Import::default()
        };
        assert!(plan(&before(), &import).unwrap().is_empty());
    }

    #[test]
    fn what_a_merge_does_not_name_stays_and_what_a_replacement_does_not_name_goes() {
        let mut import = accounts(vec![direct("d")]);
        let merged = after(&before(), &import).unwrap();
        assert_eq!(merged.accounts.len(), 4);
        assert_eq!(merged.account_settings, before().account_settings);
        import.mode = ImportMode::Replace;
        let replaced = after(&before(), &import).unwrap();
        assert_eq!(
            replaced,
            State {
                accounts: [(id("d"), direct("d"))].into(),
                ..State::default()
            }
        );
    }

    #[test]
    fn a_policy_is_replaced_whole_and_settings_of_accounts_only_where_named() {
        let import = Import {
            policies: vec![policy("p", SettingMap::new(), &[])],
            ..Import::default()
        };
        let state = after(&before(), &import).unwrap();
        assert!(state.policies.is_empty());
        assert_eq!(state.account_settings, before().account_settings);
    }

    #[test]
    fn settings_go_with_the_partner_who_made_them() {
        for moved in [account("m", Some("q")), direct("m"), account("m", None)] {
            let state = after(&before(), &accounts(vec![moved])).unwrap();
            assert!(state.account_settings.is_empty());
        }
        let renamed = Account {
            display_name: "M".to_owned(),
            ..account("m", Some("p"))
        };
        assert_eq!(
            after(&before(), &accounts(vec![renamed]))
                .unwrap()
                .account_settings,
            before().account_settings
        );
    }

    #[test]
    fn a_partner_that_becomes_something_else_loses_its_policy() {
        let state = after(
            &before(),
            &accounts(vec![direct("p"), account("m", Some("q"))]),
        )
        .unwrap();
        assert!(state.policies.is_empty());
    }

    #[test]
    fn what_would_be_inconsistent_is_refused_with_its_line() {
        let with_policy = |policy: Line<PolicyImport>| Import {
            policies: vec![policy],
            ..Import::default()
        };
        let market = Line {
            line: 9,
            value: PolicyImport {
                markets: vec![line(MarketCode::try_from("XX").unwrap())],
                ..policy("p", SettingMap::new(), &[]).value
            },
        };
        for (import, field, part) in [
            (
                accounts(vec![account("n", Some("nobody"))]),
                "accounts[0].partner",
                "does not exist",
            ),
            (
                accounts(vec![account("n", Some("m"))]),
                "accounts[0].partner",
                "is not a partner",
            ),
            (
                accounts(vec![account("n", Some("n"))]),
                "accounts[0].partner",
                "is not a partner",
            ),
            (
                accounts(vec![direct("q"), direct("p")]),
                "accounts[1].kind",
                "`p` manages the account `m`",
            ),
            (
                with_policy(policy("nobody", SettingMap::new(), &[])),
                "policies[0].partner",
                "does not exist",
            ),
            (
                with_policy(policy("m", SettingMap::new(), &[])),
                "policies[0].partner",
                "is not a partner",
            ),
            (
                with_policy(policy("q", SettingMap::new(), &[("m", SettingMap::new())])),
                "policies[0].accounts[m]",
                "managed by `p`",
            ),
            (
                with_policy(policy("q", SettingMap::new(), &[("p", SettingMap::new())])),
                "policies[0].accounts[p]",
                "not a managed",
            ),
            (
                with_policy(policy("q", SettingMap::new(), &[("x", SettingMap::new())])),
                "policies[0].accounts[x]",
                "does not exist",
            ),
            (
                with_policy(market),
                "policies[0].billing_markets",
                "`XX` does not exist",
            ),
        ] {
            let problem = plan(&before(), &import).unwrap_err();
            assert_eq!(
                (problem.line, problem.field.as_str()),
                (7, field),
                "{problem}"
            );
            assert!(problem.message.contains(part), "{problem}");
        }
    }
}
