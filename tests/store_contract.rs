#![cfg(test)]
//! One suite over every store: whatever a store is made of, it keeps the same promises.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use portcullis::domain::{
    Account, AccountId, AccountKind, BillingMarket, ChangeId, CurrencyCode, FeatureKey, Head,
    Location, LocationId, LocationStatus, MarketCode, Money, Offer, Price, Product, Revision,
    Setting, SettingMap, SupportProvider,
};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{
    AccountRecord, AccountSettings, ChangeEntry, ChangeSubject, ChangedKeys, Counts, Import,
    ImportError, ImportMode, Line, MAX_LOAD, MAX_POLLED, PolicyImport, Poll, Signal, State, Store,
    StoredPolicy,
};

macro_rules! scenarios {
    ($($name:ident)*) => {
        /// Each scenario over the memory store.
        mod memory {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(std::sync::Arc::new(super::MemoryStore::default())).await;
                }
            )*
        }

        /// Each scenario over Postgres.
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = super::support::database(stringify!($name)).await;
                    super::$name(std::sync::Arc::new(super::support::store(&database))).await;
                }
            )*
        }
    };
}

scenarios! {
    a_new_store_is_at_revision_0_and_empty
    unknown_ids_are_absent
    a_load_returns_settings_and_the_partners_policy_once
    a_partner_without_a_policy_has_an_empty_one
    one_load_takes_a_thousand_accounts
    the_catalogue_is_ordered_and_whole
    a_poll_sees_the_revision_and_the_id_of_an_earlier_one
    a_poll_brings_the_changes_since_and_what_they_made_wrong
    a_change_is_signalled
    a_merge_leaves_what_it_does_not_name
    a_replacement_leaves_only_what_it_names
    an_import_that_changes_nothing_makes_no_revision
    only_changes_to_the_catalogue_move_its_head
    a_refused_import_writes_nothing
    an_export_imported_again_changes_nothing
    settings_go_with_the_account_that_moves
    a_partner_that_becomes_direct_loses_its_policy
    markets_trade_aliases_in_one_import
    partners_and_accounts_change_places_in_one_import
    an_emptied_policy_is_no_policy
    imports_at_once_are_made_one_after_another
    an_import_takes_a_hundred_thousand_accounts
}

type TestStore = Arc<dyn Store>;

fn id(text: &str) -> AccountId {
    AccountId::try_from(text).unwrap()
}

fn code(text: &str) -> MarketCode {
    MarketCode::try_from(text).unwrap()
}

fn line<T>(value: T) -> Line<T> {
    Line { line: 1, value }
}

fn direct(name: &str) -> Account {
    Account {
        id: id(name),
        kind: AccountKind::Direct,
        display_name: format!("{name} & Søn"),
    }
}

fn partner(name: &str) -> Account {
    Account {
        kind: AccountKind::Partner,
        ..direct(name)
    }
}

fn managed(name: &str, partner: &str) -> Account {
    let kind = AccountKind::Managed {
        partner: id(partner),
        support: SupportProvider::Platform,
    };
    Account {
        kind,
        ..direct(name)
    }
}

fn settings(text: &[(&str, Setting)]) -> SettingMap {
    text.iter()
        .map(|(key, setting)| (FeatureKey::try_from(*key).unwrap(), *setting))
        .collect()
}

fn market(name: &str, aliases: &[&str]) -> BillingMarket {
    let currency = CurrencyCode::try_from("EUR").unwrap();
    let aliases = aliases.iter().copied().map(code).collect();
    BillingMarket::new(code(name), format!("Market {name}"), currency, aliases).unwrap()
}

fn location(name: &str, market: Option<&str>) -> Location {
    let money = |text| Some(Money::try_from(text).unwrap());
    let offer = |product, price| Offer {
        product: Product::try_from(product).unwrap(),
        price,
    };
    Location {
        id: LocationId::try_from(name).unwrap(),
        name: format!("Hall {name}"),
        metro: "São Paulo".to_owned(),
        country: "BR".to_owned(),
        market: market.map(code),
        status: Some(LocationStatus::Extended),
        // Not in the order of their names: the order is part of what is kept.
        offers: vec![
            offer(
                "PORT_10G",
                Some(Price {
                    monthly: money("1200.50 AUD"),
                    setup: money("0 AUD"),
                }),
            ),
            offer("CROSS_CONNECT", None),
            offer(
                "MCR_2500",
                Some(Price {
                    monthly: None,
                    setup: money("-0.000000001 JPY"),
                }),
            ),
            offer(
                "A_LAST_ONE",
                Some(Price {
                    monthly: None,
                    setup: None,
                }),
            ),
        ],
    }
}

fn policy(
    partner: &str,
    own: &[(&str, Setting)],
    markets: &[&str],
    accounts: &[(&str, &[(&str, Setting)])],
) -> Line<PolicyImport> {
    let accounts = accounts.iter().map(|(account, own)| {
        line(AccountSettings {
            account: id(account),
            settings: settings(own),
        })
    });
    line(PolicyImport {
        partner: id(partner),
        settings: settings(own),
        markets: markets.iter().copied().map(code).map(line).collect(),
        accounts: accounts.collect(),
    })
}

fn accounts(all: impl IntoIterator<Item = Account>) -> Import {
    Import {
        actor: "tests".to_owned(),
        accounts: all.into_iter().map(line).collect(),
        ..Import::default()
    }
}

/// Two partners, one with a policy; accounts of every kind; markets and locations.
fn sample() -> Import {
    Import {
        markets: vec![
            line(market("UK", &["GB", "XI"])),
            line(market("AU", &[])),
            line(market("NO", &[])),
        ],
        locations: vec![
            line(location("syd-1", Some("AU"))),
            line(location("lon-1", Some("GB"))),
            line(location("LON-1", Some("GONE"))),
            line(Location {
                status: None,
                offers: Vec::new(),
                ..location("nowhere", None)
            }),
        ],
        policies: vec![policy(
            "p",
            &[("pricing.view", Setting::On), ("long.gone", Setting::Off)],
            &["GB", "AU"],
            &[("m", &[("dashboard.view", Setting::Off)])],
        )],
        ..accounts([
            partner("p"),
            partner("q"),
            managed("m", "p"),
            managed("n", "q"),
            direct("d"),
        ])
    }
}

async fn import(store: &TestStore, import: &Import) -> (Revision, Counts) {
    let outcome = store.import(import, &|_| ()).await.unwrap();
    (outcome.revision, outcome.changed)
}

async fn head(store: &TestStore) -> Head {
    store.poll(None).await.unwrap().at.head
}

/// What an import of an export is.
fn import_of(state: State, mode: ImportMode) -> Import {
    let mut policies: std::collections::BTreeMap<AccountId, PolicyImport> = state
        .policies
        .into_iter()
        .map(|(partner, policy)| {
            let import = PolicyImport {
                partner: partner.clone(),
                settings: policy.settings,
                markets: policy.markets.into_iter().map(line).collect(),
                accounts: Vec::new(),
            };
            (partner, import)
        })
        .collect();
    for (account, own) in state.account_settings {
        let partner = state.accounts[&account].partner().unwrap();
        let policy = policies
            .entry(partner.clone())
            .or_insert_with(|| PolicyImport {
                partner: partner.clone(),
                settings: SettingMap::new(),
                markets: Vec::new(),
                accounts: Vec::new(),
            });
        policy.accounts.push(line(AccountSettings {
            account,
            settings: own,
        }));
    }
    Import {
        mode,
        actor: "tests".to_owned(),
        comment: String::new(),
        markets: state.markets.into_values().map(line).collect(),
        locations: state.locations.into_values().map(line).collect(),
        accounts: state.accounts.into_values().map(line).collect(),
        policies: policies.into_values().map(line).collect(),
    }
}

async fn a_new_store_is_at_revision_0_and_empty(store: TestStore) {
    let poll = store.poll(None).await.unwrap();
    assert_eq!(poll.at.head.revision, Revision(0));
    assert_eq!(poll.at.catalog, poll.at.head);
    assert!(poll.at.primary);
    assert_eq!(poll.seen, None);
    assert_eq!(store.export().await.unwrap(), State::default());
    assert!(store.load_catalog().await.unwrap().locations.is_empty());
}

async fn unknown_ids_are_absent(store: TestStore) {
    import(&store, &sample()).await;
    let snapshot = store.load(&[id("d"), id("D"), id("x")]).await.unwrap();
    assert_eq!(snapshot.accounts.len(), 1);
    assert!(snapshot.accounts.contains_key("d"));
    assert!(snapshot.policies.is_empty());
    let nothing = store.load(&[]).await.unwrap();
    assert!(nothing.accounts.is_empty());
    assert_eq!(nothing.at, snapshot.at);
}

async fn a_load_returns_settings_and_the_partners_policy_once(store: TestStore) {
    let mut data = sample();
    data.accounts.push(line(managed("m2", "p")));
    import(&store, &data).await;
    let ids = [id("m"), id("m2"), id("m")];
    let snapshot = store.load(&ids).await.unwrap();
    assert_eq!(
        snapshot.accounts,
        [
            (
                id("m"),
                AccountRecord::Sound {
                    account: managed("m", "p"),
                    settings: settings(&[("dashboard.view", Setting::Off)]),
                }
            ),
            (
                id("m2"),
                AccountRecord::Sound {
                    account: managed("m2", "p"),
                    settings: SettingMap::new(),
                }
            ),
        ]
        .into()
    );
    assert_eq!(
        snapshot.policies,
        [(
            id("p"),
            StoredPolicy {
                settings: settings(&[("pricing.view", Setting::On), ("long.gone", Setting::Off)]),
                // An alias is stored as its market's code.
                markets: [code("AU"), code("UK")].into(),
            }
        )]
        .into()
    );
    assert_eq!(snapshot.at, store.poll(None).await.unwrap().at);
}

async fn a_partner_without_a_policy_has_an_empty_one(store: TestStore) {
    import(&store, &sample()).await;
    let snapshot = store.load(&[id("n"), id("p"), id("q")]).await.unwrap();
    assert_eq!(snapshot.accounts.len(), 3);
    // A partner's own policy is of no use to itself, and is not loaded with it.
    assert_eq!(
        snapshot.policies,
        [(id("q"), StoredPolicy::default())].into()
    );
}

async fn one_load_takes_a_thousand_accounts(store: TestStore) {
    let many = (0..MAX_LOAD).map(|i| managed(&format!("m-{i}"), "p"));
    import(&store, &accounts(many.chain([partner("p")]))).await;
    let ids: Vec<_> = (0..MAX_LOAD).map(|i| id(&format!("m-{i}"))).collect();
    let snapshot = store.load(&ids).await.unwrap();
    assert!(
        snapshot
            .accounts
            .keys()
            .eq(ids.iter().collect::<BTreeSet<_>>())
    );
    assert_eq!(snapshot.policies.len(), 1);
}

async fn the_catalogue_is_ordered_and_whole(store: TestStore) {
    import(&store, &sample()).await;
    let catalog = store.load_catalog().await.unwrap();
    let mut wanted: Vec<_> = sample().locations.into_iter().map(|l| l.value).collect();
    // Byte by byte: capitals first.
    wanted.sort_by(|a, b| a.id.as_str().as_bytes().cmp(b.id.as_str().as_bytes()));
    assert_eq!(catalog.locations, wanted);
    assert_eq!(catalog.locations[0].id.as_str(), "LON-1");
    let markets: Vec<_> = catalog.markets.iter().cloned().collect();
    assert_eq!(
        markets,
        [
            market("AU", &[]),
            market("NO", &[]),
            market("UK", &["GB", "XI"])
        ]
    );
    assert_eq!(catalog.markets.resolve(code("XI")), Some(code("UK")));
    assert_eq!(catalog.at, store.poll(None).await.unwrap().at);
}

async fn a_poll_sees_the_revision_and_the_id_of_an_earlier_one(store: TestStore) {
    let before = head(&store).await;
    import(&store, &accounts([direct("a")])).await;
    let poll = store.poll(Some(before)).await.unwrap();
    assert_eq!(poll.at.head.revision, Revision(1));
    assert_ne!(poll.at.head.change, before.change);
    assert_eq!(poll.seen, Some(before.change));

    // Another history at the same number: the store says what it has, and the caller compares.
    let other = Head {
        change: ChangeId(7),
        ..before
    };
    assert_eq!(
        store.poll(Some(other)).await.unwrap().seen,
        Some(before.change)
    );
    let future = Head {
        revision: Revision(99),
        ..before
    };
    assert_eq!(store.poll(Some(future)).await.unwrap().seen, None);
    let beyond = Head {
        revision: Revision(u64::MAX),
        ..before
    };
    assert_eq!(store.poll(Some(beyond)).await.unwrap().seen, None);
}

async fn a_poll_brings_the_changes_since_and_what_they_made_wrong(store: TestStore) {
    assert_eq!(store.poll(None).await.unwrap().changes, []);
    let genesis = head(&store).await;
    import(
        &store,
        &accounts([partner("p"), managed("m", "p"), direct("d")]),
    )
    .await;
    let first = head(&store).await;
    let own: [(&str, &[(&str, Setting)]); 1] = [("m", &[("pricing.view", Setting::On)])];
    let policies = Import {
        policies: vec![policy("p", &[("pricing.view", Setting::Off)], &[], &own)],
        ..Import::default()
    };
    import(&store, &policies).await;
    let second = head(&store).await;
    let catalog = Import {
        markets: vec![line(market("AU", &[]))],
        ..Import::default()
    };
    import(&store, &catalog).await;
    let third = head(&store).await;

    let named = |accounts: &[&str], partners: &[&str], catalog| ChangedKeys::Named {
        accounts: accounts.iter().map(|name| id(name)).collect(),
        partners: partners.iter().map(|name| id(name)).collect(),
        catalog,
    };
    let entry = |head, keys| ChangeEntry {
        head,
        subject: ChangeSubject::Everything,
        keys,
    };
    let all = [
        entry(first, named(&["p", "m", "d"], &["p"], false)),
        entry(second, named(&["m"], &["p"], false)),
        entry(third, named(&[], &[], true)),
    ];
    let recalled = [
        entry(first, named(&[], &[], false)),
        entry(second, named(&[], &[], false)),
        entry(third, named(&[], &[], true)),
    ];
    for (seen, wanted) in [
        (None, &recalled[..]),
        (Some(genesis), &all[..]),
        (Some(first), &all[1..]),
        (Some(second), &all[2..]),
        (Some(third), &[]),
    ] {
        let poll = store.poll(seen).await.unwrap();
        assert_eq!(poll.changes, wanted, "after {seen:?}");
        assert_eq!(poll.at.head, third);
    }
}

/// Over memory alone: Postgres takes half a minute to make that many changes. What it brings of a
/// long history is in `tests/postgres/feed.rs`.
#[tokio::test]
async fn a_poll_brings_so_many_changes_and_no_more() {
    let store: TestStore = Arc::new(MemoryStore::default());
    let genesis = head(&store).await;
    let count = MAX_POLLED as u64 + 6;
    for number in 1..=count {
        let renamed = Account {
            display_name: number.to_string(),
            ..direct("d")
        };
        import(&store, &accounts([renamed])).await;
    }
    let revisions = |poll: &Poll| -> Vec<u64> {
        let revisions = poll.changes.iter().map(|change| change.head.revision.0);
        revisions.collect()
    };
    let last = MAX_POLLED as u64;
    let poll = store.poll(Some(genesis)).await.unwrap();
    assert_eq!(revisions(&poll), (1..=last).collect::<Vec<_>>());
    assert_eq!(poll.at.head.revision, Revision(count));
    let reached = poll.changes.last().unwrap().head;
    let rest = store.poll(Some(reached)).await.unwrap();
    assert_eq!(rest.seen, Some(reached.change));
    assert_eq!(revisions(&rest), (last + 1..=count).collect::<Vec<_>>());
    // Of all, the last ones.
    let poll = store.poll(None).await.unwrap();
    assert_eq!(revisions(&poll), (7..=count).collect::<Vec<_>>());
}

async fn a_change_is_signalled(store: TestStore) {
    let mut signals = store.signals();
    let first = support::within("a signal", signals.next()).await;
    assert!(matches!(first, Some(Signal::Listening)));
    import(&store, &accounts([direct("d")])).await;
    let second = support::within("a signal", signals.next()).await;
    assert!(matches!(second, Some(Signal::Changed)));
}

async fn a_merge_leaves_what_it_does_not_name(store: TestStore) {
    import(&store, &sample()).await;
    let mut want = store.export().await.unwrap();
    let renamed = Account {
        display_name: "Renamed".to_owned(),
        ..managed("m", "p")
    };
    let data = Import {
        markets: vec![line(market("AU", &["NZ"]))],
        locations: vec![line(Location {
            offers: Vec::new(),
            ..location("syd-1", Some("NZ"))
        })],
        policies: vec![policy("q", &[], &["NZ"], &[])],
        ..accounts([renamed.clone()])
    };
    let (revision, changed) = import(&store, &data).await;
    assert_eq!(revision, Revision(2));
    assert_eq!(
        changed,
        Counts {
            markets: 1,
            locations: 1,
            accounts: 1,
            policies: 1,
            account_settings: 0
        }
    );
    want.markets.insert(code("AU"), market("AU", &["NZ"]));
    want.locations.insert(
        data.locations[0].value.id.clone(),
        data.locations[0].value.clone(),
    );
    want.accounts.insert(id("m"), renamed);
    want.policies.insert(
        id("q"),
        StoredPolicy {
            settings: SettingMap::new(),
            markets: [code("AU")].into(),
        },
    );
    assert_eq!(store.export().await.unwrap(), want);
}

async fn a_replacement_leaves_only_what_it_names(store: TestStore) {
    import(&store, &sample()).await;
    let data = Import {
        mode: ImportMode::Replace,
        locations: vec![line(location("lon-1", None))],
        ..accounts([direct("p"), direct("new")])
    };
    import(&store, &data).await;
    let want = State {
        locations: [(
            LocationId::try_from("lon-1").unwrap(),
            location("lon-1", None),
        )]
        .into(),
        accounts: [(id("p"), direct("p")), (id("new"), direct("new"))].into(),
        ..State::default()
    };
    assert_eq!(store.export().await.unwrap(), want);
    let nothing = Import {
        mode: ImportMode::Replace,
        ..Import::default()
    };
    import(&store, &nothing).await;
    assert_eq!(store.export().await.unwrap(), State::default());
}

async fn an_import_that_changes_nothing_makes_no_revision(store: TestStore) {
    let (_, changed) = import(&store, &sample()).await;
    assert_eq!(changed.total(), 14);
    let before = head(&store).await;
    for data in [sample(), Import::default()] {
        assert_eq!(
            import(&store, &data).await,
            (Revision(1), Counts::default())
        );
    }
    assert_eq!(head(&store).await, before);
}

async fn only_changes_to_the_catalogue_move_its_head(store: TestStore) {
    import(&store, &sample()).await;
    let first = store.poll(None).await.unwrap().at;
    assert_eq!(first.catalog, first.head);
    import(&store, &accounts([direct("e")])).await;
    let second = store.poll(None).await.unwrap().at;
    assert_eq!(second.head.revision, Revision(2));
    assert_eq!(second.catalog, first.catalog);
    let data = Import {
        locations: vec![line(location("syd-1", None))],
        ..Import::default()
    };
    import(&store, &data).await;
    let third = store.poll(None).await.unwrap().at;
    assert_eq!(third.head.revision, Revision(3));
    assert_eq!(third.catalog, third.head);
    assert_eq!(store.load_catalog().await.unwrap().at, third);
    assert_eq!(store.load(&[]).await.unwrap().at, third);
}

async fn a_refused_import_writes_nothing(store: TestStore) {
    import(&store, &sample()).await;
    let (before, kept) = (head(&store).await, store.export().await.unwrap());
    let refused = [
        accounts([direct("new"), managed("x", "nobody")]),
        accounts([direct("new"), managed("x", "d")]),
        // `p` manages `m`, which is not named.
        accounts([direct("new"), direct("p")]),
        Import {
            policies: vec![policy("p", &[], &["XX"], &[])],
            ..accounts([direct("new")])
        },
        Import {
            policies: vec![policy("p", &[], &[], &[("n", &[])])],
            ..accounts([direct("new")])
        },
        Import {
            markets: vec![line(market("IE", &["GB"]))],
            ..accounts([direct("new")])
        },
    ];
    for data in refused {
        let error = store.import(&data, &|_| ()).await.unwrap_err();
        assert!(matches!(error, ImportError::Invalid(_)), "{error}");
        assert_eq!(head(&store).await, before);
        assert_eq!(store.export().await.unwrap(), kept);
    }
}

async fn an_export_imported_again_changes_nothing(store: TestStore) {
    import(&store, &sample()).await;
    let state = store.export().await.unwrap();
    assert_eq!(state.accounts.len(), 5);
    for mode in [ImportMode::Merge, ImportMode::Replace] {
        let again = import_of(state.clone(), mode);
        assert_eq!(
            import(&store, &again).await,
            (Revision(1), Counts::default())
        );
    }
    // From empty, it makes the same state.
    let nothing = Import {
        mode: ImportMode::Replace,
        ..Import::default()
    };
    import(&store, &nothing).await;
    import(&store, &import_of(state.clone(), ImportMode::Merge)).await;
    assert_eq!(store.export().await.unwrap(), state);
}

async fn settings_go_with_the_account_that_moves(store: TestStore) {
    for moved in [managed("m", "q"), direct("m"), partner("m")] {
        let reset = Import {
            mode: ImportMode::Replace,
            ..sample()
        };
        import(&store, &reset).await;
        let before = store.load(&[id("m")]).await.unwrap();
        let AccountRecord::Sound { settings, .. } = &before.accounts[&id("m")] else {
            panic!("{before:?}");
        };
        assert_eq!(settings.len(), 1);
        import(&store, &accounts([moved.clone()])).await;
        let after = store.load(&[id("m")]).await.unwrap();
        assert_eq!(
            after.accounts[&id("m")],
            AccountRecord::Sound {
                account: moved,
                settings: SettingMap::new()
            }
        );
    }
}

async fn a_partner_that_becomes_direct_loses_its_policy(store: TestStore) {
    import(&store, &sample()).await;
    import(&store, &accounts([direct("p"), managed("m", "q")])).await;
    assert!(store.export().await.unwrap().policies.is_empty());
    import(&store, &accounts([partner("p"), managed("m", "p")])).await;
    let snapshot = store.load(&[id("m")]).await.unwrap();
    assert_eq!(snapshot.policies[&id("p")], StoredPolicy::default());
}

async fn markets_trade_aliases_in_one_import(store: TestStore) {
    import(&store, &sample()).await;
    let data = Import {
        markets: vec![
            line(market("AU", &["GB"])),
            line(market("UK", &["XI", "AA"])),
        ],
        ..Import::default()
    };
    import(&store, &data).await;
    let markets = store.load_catalog().await.unwrap().markets;
    assert_eq!(markets.resolve(code("GB")), Some(code("AU")));
    assert_eq!(markets.resolve(code("AA")), Some(code("UK")));
}

async fn partners_and_accounts_change_places_in_one_import(store: TestStore) {
    import(&store, &sample()).await;
    let data = Import {
        policies: vec![policy("m", &[("pricing.view", Setting::Off)], &["NO"], &[])],
        ..accounts([partner("m"), managed("p", "m"), managed("a-first", "m")])
    };
    import(&store, &data).await;
    let snapshot = store.load(&[id("p"), id("a-first")]).await.unwrap();
    assert_eq!(snapshot.accounts.len(), 2);
    assert_eq!(
        snapshot.policies,
        [(
            id("m"),
            StoredPolicy {
                settings: settings(&[("pricing.view", Setting::Off)]),
                markets: [code("NO")].into(),
            }
        )]
        .into()
    );
}

async fn an_emptied_policy_is_no_policy(store: TestStore) {
    import(&store, &sample()).await;
    let data = Import {
        policies: vec![policy("p", &[], &[], &[("m", &[])])],
        ..Import::default()
    };
    let (revision, changed) = import(&store, &data).await;
    assert_eq!(revision, Revision(2));
    assert_eq!((changed.policies, changed.account_settings), (1, 1));
    let state = store.export().await.unwrap();
    assert!(state.policies.is_empty());
    assert!(state.account_settings.is_empty());
    let snapshot = store.load(&[id("m")]).await.unwrap();
    assert_eq!(snapshot.policies[&id("p")], StoredPolicy::default());
    // Then it can go, or be set again.
    import(&store, &sample()).await;
    import(&store, &accounts([direct("p"), managed("m", "q")])).await;
}

/// Each of eight adds one setting to the same partner, beside the ones that are there.
async fn imports_at_once_are_made_one_after_another(store: TestStore) {
    import(&store, &sample()).await;
    let first = head(&store).await;
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let name = format!("extra-{i}");
                let data = Import {
                    policies: vec![policy(
                        &name,
                        &[("pricing.view", Setting::On)],
                        &["NO"],
                        &[],
                    )],
                    // All of them rename `d`, so that each is planned on what another changes.
                    ..accounts([
                        partner(&name),
                        Account {
                            display_name: name.clone(),
                            ..direct("d")
                        },
                    ])
                };
                import(&store, &data).await.0
            })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for task in tasks {
        revisions.insert(task.await.unwrap());
    }
    assert_eq!(revisions, (2..=9).map(Revision).collect());
    let poll = store.poll(Some(first)).await.unwrap();
    assert_eq!(poll.at.head.revision, Revision(9));
    assert_eq!(poll.seen, Some(first.change));
    let state = store.export().await.unwrap();
    assert_eq!(state.policies.len(), 1 + 8);
    assert_eq!(state.accounts.len(), 5 + 8);
}

async fn an_import_takes_a_hundred_thousand_accounts(store: TestStore) {
    let partners = (0..100).map(|i| partner(&format!("p-{i}")));
    let many = (0..100_000).map(|i| managed(&format!("m-{i}"), &format!("p-{}", i % 100)));
    let mut data = accounts(partners.chain(many));
    data.policies = (0..100)
        .map(|i| {
            let own = format!("m-{i}");
            let own: [(&str, &[(&str, Setting)]); 1] = [(&own, &[("pricing.view", Setting::On)])];
            policy(
                &format!("p-{i}"),
                &[("dashboard.view", Setting::On)],
                &[],
                &own,
            )
        })
        .collect();
    let (mut events, start) = (Vec::new(), tokio::time::Instant::now());
    let outcome = {
        let events = std::sync::Mutex::new(&mut events);
        store
            .import(&data, &|event| events.lock().unwrap().push(event))
            .await
            .unwrap()
    };
    println!("100,000 accounts imported in {:?}", start.elapsed());
    assert_eq!(outcome.changed.accounts, 100_100);
    assert!(!events.is_empty());
    let start = tokio::time::Instant::now();
    assert_eq!(
        import(&store, &data).await,
        (Revision(1), Counts::default())
    );
    println!("the same again, without a change, in {:?}", start.elapsed());
    let snapshot = store.load(&[id("m-99999"), id("m-7")]).await.unwrap();
    assert_eq!(snapshot.accounts.len(), 2);
    assert_eq!(snapshot.policies.len(), 2);
    let nothing = Import {
        mode: ImportMode::Replace,
        ..Import::default()
    };
    let start = tokio::time::Instant::now();
    import(&store, &nothing).await;
    println!("all removed in {:?}", start.elapsed());
}
