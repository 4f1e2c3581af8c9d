//! States for property tests: valid as a whole, with texts that are hard to write down.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::domain::{
    Account, AccountId, AccountKind, BillingMarket, CurrencyCode, FeatureKey, Location, LocationId,
    LocationStatus, MarketCode, Money, Offer, Price, Product, Setting, SettingMap, SupportProvider,
};
use crate::store::{MarketSet, State, StoredPolicy};

/// Any text without NUL, often one that YAML reads as something else.
pub(super) fn text() -> impl Strategy<Value = String> {
    let hard = select(vec![
        "", " ", "null", "~", "TRUE", "False", "NO", "on", "007", "1e3", "0x1F", ".inf", "-",
        "- a", "a: b", "a #b", "<<", "'", "\"", "\\", "\n", "a\r\nb", "\u{85}", "\u{2028}",
        "\u{feff}", "{a}", "x, y", "é", "😀",
    ]);
    prop_oneof![
        2 => hard.prop_map(str::to_owned),
        1 => "[0-9a-fxoeE_.+:-]{1,8}",
        1 => r#"[-#:,&*!|>%@`'"\\{}\[\]?~ a\n\t]{1,8}"#,
        2 => vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().filter(|char| *char != '\0').collect()),
    ]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}",
        "[A-Za-z0-9._:-]{1,8}",
        select(vec![
            "007", "1e3", "null", "true", "-", ":", "...", "---", "0x1F", "on"
        ])
        .prop_map(str::to_owned),
    ]
}

fn money() -> impl Strategy<Value = Money> {
    let units = prop_oneof![any::<i64>(), -2_000..2_000_i64, Just(i64::MIN)];
    let nanos = prop_oneof![
        Just(0),
        0..1_000_000_000,
        select(vec![1, 500_000_000, 999_999_999])
    ];
    ("[A-Z]{3}", units, nanos, any::<bool>()).prop_map(|(currency, units, nanos, negative)| {
        let nanos = if units < 0 || units == 0 && negative {
            -nanos
        } else {
            nanos
        };
        Money::new(
            CurrencyCode::try_from(currency.as_str()).unwrap(),
            units,
            nanos,
        )
        .unwrap()
    })
}

fn offer(product: &str, monthly: Option<Money>, setup: Option<Money>) -> Offer {
    let price = (monthly.is_some() || setup.is_some()).then_some(Price { monthly, setup });
    Offer {
        product: Product::try_from(product).unwrap(),
        price,
    }
}

fn location() -> impl Strategy<Value = Location> {
    let offers =
        btree_map(id(), (option::of(money()), option::of(money())), 0..4).prop_map(|offers| {
            let offers = offers.into_iter();
            offers
                .map(|(product, (monthly, setup))| offer(&product, monthly, setup))
                .collect()
        });
    let status = option::of(select(LocationStatus::ALL.to_vec()));
    (
        id(),
        text(),
        text(),
        text(),
        option::of("[A-Z0-9_]{2,6}"),
        status,
        offers,
    )
        .prop_map(
            |(id, name, metro, country, market, status, offers): (_, _, _, _, _, _, Vec<Offer>)| {
                Location {
                    id: LocationId::try_from(id).unwrap(),
                    name,
                    metro,
                    country,
                    market: market.map(|code| MarketCode::try_from(code.as_str()).unwrap()),
                    status,
                    // As they were put, which need not be by product.
                    offers: offers.into_iter().rev().collect(),
                }
            },
        )
}

fn markets() -> impl Strategy<Value = BTreeMap<MarketCode, BillingMarket>> {
    let market = (text(), "[A-Z]{3}", 1..4_usize);
    (btree_set("[A-Z0-9_]{2,4}", 0..12), vec(market, 0..6)).prop_map(|(codes, markets)| {
        let mut codes = codes
            .iter()
            .map(|code| MarketCode::try_from(code.as_str()).unwrap());
        let mut all = BTreeMap::new();
        for (name, currency, names) in markets {
            let Some(code) = codes.next() else { break };
            let currency = CurrencyCode::try_from(currency.as_str()).unwrap();
            let aliases = codes.by_ref().take(names - 1).collect();
            all.insert(
                code,
                BillingMarket::new(code, name, currency, aliases).unwrap(),
            );
        }
        all
    })
}

fn settings() -> impl Strategy<Value = SettingMap> {
    let known =
        select(vec!["pricing.view", "dashboard.view", "services.order"]).prop_map(str::to_owned);
    let feature = prop_oneof![known, "[a-z][a-z0-9_]{0,5}\\.[a-z][a-z0-9_]{0,5}"];
    let setting = prop_oneof![Just(Setting::On), Just(Setting::Off)];
    btree_map(feature, setting, 0..4).prop_map(|settings| {
        let settings = settings.into_iter();
        settings
            .map(|(key, setting)| (FeatureKey::try_from(key.as_str()).unwrap(), setting))
            .collect()
    })
}

/// What an account is made of: its kind as a number, a choice of partner, whether the partner
/// supports it, a name, settings, and a choice of markets.
type Draft = (u8, Index, bool, String, SettingMap, Vec<usize>);

fn draft() -> impl Strategy<Value = Draft> {
    let choice = subsequence((0..6).collect::<Vec<_>>(), 0..6);
    (
        0..4_u8,
        any::<Index>(),
        any::<bool>(),
        text(),
        settings(),
        choice,
    )
}

/// A state that a store could hold.
pub(super) fn state() -> impl Strategy<Value = State> {
    let locations = vec(location(), 0..4);
    (markets(), locations, btree_map(id(), draft(), 0..8)).prop_map(
        |(markets, locations, drafts)| {
            let locations = locations
                .into_iter()
                .map(|location| (location.id.clone(), location));
            let mut state = State {
                markets,
                locations: locations.collect(),
                ..State::default()
            };
            let partners: Vec<AccountId> = drafts
                .iter()
                .filter(|(_, draft)| draft.0 == 0)
                .map(|(id, _)| AccountId::try_from(id.as_str()).unwrap())
                .collect();
            for (id, draft) in drafts {
                add(
                    &mut state,
                    &partners,
                    AccountId::try_from(id).unwrap(),
                    draft,
                );
            }
            state
        },
    )
}

fn add(state: &mut State, partners: &[AccountId], id: AccountId, draft: Draft) {
    let (kind, partner, supports, display_name, settings, choice) = draft;
    let kind = match kind {
        0 => AccountKind::Partner,
        1 => AccountKind::Direct,
        _ if partners.is_empty() => AccountKind::Direct,
        _ => AccountKind::Managed {
            partner: partner.get(partners).clone(),
            support: if supports {
                SupportProvider::Partner
            } else {
                SupportProvider::Platform
            },
        },
    };
    match kind {
        AccountKind::Partner => {
            let codes: BTreeSet<MarketCode> = state.markets.keys().copied().collect();
            let markets: MarketSet = choice
                .iter()
                .filter_map(|at| codes.iter().nth(*at))
                .copied()
                .collect();
            let policy = StoredPolicy { settings, markets };
            if !policy.is_empty() {
                state.policies.insert(id.clone(), policy);
            }
        }
        AccountKind::Managed { .. } if !settings.is_empty() => {
            state.account_settings.insert(id.clone(), settings);
        }
        AccountKind::Managed { .. } | AccountKind::Direct => {}
    }
    let account = Account {
        id: id.clone(),
        kind,
        display_name,
    };
    state.accounts.insert(id, account);
}
