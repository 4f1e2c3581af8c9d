//! What a write changes, and what it must not.

use std::sync::Arc;

use portcullis::domain::{
    AccountKind, BillingMarket, CurrencyCode, FeatureKey, Location, LocationId, MarketCode,
    Revision, Setting,
};
use portcullis::store::{ChangeSubject, ChangedKeys, Write, WriteError, WriteRefusal};

use super::{
    TestStore, account, all_changes, codes, expecting, filled, head, id, made, make, managed, own,
    parsed, policy, refused, request, stored, told,
};

pub(crate) async fn a_policy_is_changed_where_it_is_named(store: TestStore) {
    filled(&store).await;
    let write = policy("northwind", &["dashboard.view=off"], &["UK"], &[]);
    let written = make(&store, request(write)).await.unwrap();
    assert_eq!(written.revision, Revision(2));
    let settings = ["dashboard.view=off", "pricing.view=on"].map(str::to_owned);
    let markets = ["AU", "UK"].map(str::to_owned);
    assert_eq!(told(&written), (settings.into(), markets.into()));

    let write = policy("northwind", &["pricing.view=unset"], &[], &["AU", "XX"]);
    let written = make(&store, request(write)).await.unwrap();
    assert_eq!(told(&written).0, ["dashboard.view=off"]);
    assert_eq!(told(&written).1, ["UK"]);
    let reading = stored(&store, "northwind").await;
    let kept = &reading.state.policies[&id("northwind")];
    assert_eq!(kept.settings.len(), 1);
    assert_eq!(kept.markets, codes(&["UK"]));
    assert_eq!(
        reading.revision_of(&ChangeSubject::Partner(id("northwind"))),
        Revision(3)
    );
    // The account was created by the import, and its policy is not itself.
    assert_eq!(
        reading.revision_of(&ChangeSubject::Account(id("northwind"))),
        Revision(1)
    );

    let written = make(
        &store,
        request(own("retail", &["dashboard.view=unset", "pricing.view=off"])),
    );
    assert_eq!(told(&written.await.unwrap()).0, ["pricing.view=off"]);
    let reading = stored(&store, "retail").await;
    assert_eq!(
        reading.revision_of(&ChangeSubject::Account(id("retail"))),
        Revision(4)
    );
    for (write, refusal) in [
        (
            policy("acme", &[], &[], &[]),
            WriteRefusal::PartnerUnknown(id("acme")),
        ),
        (
            policy("nobody", &[], &[], &[]),
            WriteRefusal::PartnerUnknown(id("nobody")),
        ),
        (
            own("nobody", &[]),
            WriteRefusal::AccountUnknown(id("nobody")),
        ),
        (
            policy("northwind", &[], &["XX"], &[]),
            WriteRefusal::MarketUnknown(MarketCode::try_from("XX").unwrap()),
        ),
    ] {
        assert_eq!(refused(&store, request(write)).await, refusal);
    }
    assert_eq!(head(&store).await, 4);
}

pub(crate) async fn what_changes_nothing_makes_no_revision(store: TestStore) {
    filled(&store).await;
    // Other revisions, so that the subject's is told from the present.
    assert_eq!(made(&store, own("retail", &["pricing.view=on"])).await, 2);
    let again = [
        (
            policy("northwind", &["pricing.view=on"], &["AU"], &["UK"]),
            1,
        ),
        (policy("contoso", &["pricing.view=unset"], &[], &[]), 0),
        (own("retail", &[]), 2),
        (Write::PutAccount(managed("retail", "northwind")), 2),
        (Write::PutAccount(account("acme", AccountKind::Direct)), 1),
        (Write::PutMarkets(Vec::new()), 1),
        (Write::PutLocations(Vec::new()), 1),
        (Write::DeleteLocations([].into()), 1),
    ];
    for (write, revision) in again {
        let written = make(&store, request(write.clone())).await.unwrap();
        assert_eq!(written.revision, Revision(revision), "{write:?}");
    }
    assert_eq!(head(&store).await, 2);
    assert_eq!(all_changes(&store).await.len(), 2);
}

pub(crate) async fn markets_are_stored_by_code_whatever_alias_enabled_them(store: TestStore) {
    filled(&store).await;
    let written = make(&store, request(policy("northwind", &[], &["GB"], &[])))
        .await
        .unwrap();
    assert_eq!(told(&written).1, ["AU", "UK"]);
    let refusal = refused(&store, request(policy("northwind", &[], &["UK"], &["GB"]))).await;
    assert!(matches!(&refusal, WriteRefusal::Invalid { field, .. } if field == "disable_markets"));
    let written = make(&store, request(policy("northwind", &[], &[], &["GB"])))
        .await
        .unwrap();
    assert_eq!(told(&written).1, ["AU"]);
}

pub(crate) async fn features_that_no_partner_may_decide_are_refused(store: TestStore) {
    filled(&store).await;
    for setting in ["quoting_tool.use=on", "quoting_tool.use=unset"] {
        for write in [
            policy("northwind", &[setting], &[], &[]),
            own("retail", &[setting]),
        ] {
            let refusal = refused(&store, request(write)).await;
            assert!(
                matches!(refusal, WriteRefusal::FeatureNotConfigurable(_)),
                "{refusal:?}"
            );
        }
    }
    for setting in ["no.such=off", "no.such=unset", "not a key=on"] {
        for write in [
            policy("northwind", &[setting], &[], &[]),
            own("retail", &[setting]),
        ] {
            let refusal = refused(&store, request(write)).await;
            assert!(
                matches!(refusal, WriteRefusal::FeatureUnknown(_)),
                "{refusal:?}"
            );
        }
    }
    // No partner decides anything for these.
    for name in ["acme", "northwind"] {
        for setting in ["pricing.view=on", "pricing.view=unset"] {
            let refusal = refused(&store, request(own(name, &[setting]))).await;
            assert!(
                matches!(refusal, WriteRefusal::FeatureNotConfigurable(_)),
                "{refusal:?}"
            );
        }
    }
    // The feature is looked at before the account.
    let refusal = refused(&store, request(own("nobody", &["no.such=on"]))).await;
    assert!(
        matches!(refusal, WriteRefusal::FeatureUnknown(_)),
        "{refusal:?}"
    );
    // support_chat.use is decided for accounts that the partner supports; retail may have a setting
    // that a change of its support makes one of no effect.
    assert_eq!(
        made(&store, own("retail", &["support_chat.use=on"])).await,
        2
    );
}

pub(crate) async fn what_is_stored_may_be_unset_whatever_the_matrix_says(store: TestStore) {
    let import = parsed(
        "accounts: [{ id: p, kind: partner }, { id: m, kind: managed, partner: p, support: partner }]
policies:
  - partner: p
    settings: { gone.feature: on, invoices.pay: on }
    accounts: { m: { gone.feature: off } }",
    );
    store.import(&import, &|_| {}).await.unwrap();
    let refusal = refused(
        &store,
        request(policy("p", &["gone.feature=off"], &[], &[])),
    )
    .await;
    assert!(matches!(refusal, WriteRefusal::FeatureUnknown(_)));
    assert_eq!(made(&store, own("m", &["gone.feature=unset"])).await, 2);
    let unset = ["gone.feature=unset", "invoices.pay=unset"];
    assert_eq!(made(&store, policy("p", &unset, &[], &[])).await, 3);
    assert!(stored(&store, "p").await.state.policies.is_empty());
}

pub(crate) async fn an_account_needs_a_partner_that_is_one(store: TestStore) {
    filled(&store).await;
    for partner in ["nobody", "acme", "retail", "new"] {
        let write = Write::PutAccount(managed("new", partner));
        let refusal = refused(&store, request(write)).await;
        assert_eq!(refusal, WriteRefusal::PartnerUnknown(id(partner)));
    }
    assert_eq!(
        made(&store, Write::PutAccount(managed("new", "contoso"))).await,
        2
    );
    let reading = stored(&store, "new").await;
    assert_eq!(
        reading.state.accounts[&id("new")],
        managed("new", "contoso")
    );
}

pub(crate) async fn a_partner_that_manages_accounts_stays_one(store: TestStore) {
    filled(&store).await;
    for write in [
        Write::PutAccount(account("northwind", AccountKind::Direct)),
        Write::PutAccount(managed("northwind", "contoso")),
        Write::DeleteAccount(id("northwind")),
    ] {
        let refusal = refused(&store, request(write)).await;
        let (partner, account) = (id("northwind"), id("retail"));
        assert_eq!(refusal, WriteRefusal::AccountInUse { partner, account });
    }
    made(&store, Write::PutAccount(managed("retail", "contoso"))).await;
    made(
        &store,
        Write::PutAccount(account("northwind", AccountKind::Direct)),
    )
    .await;
    assert!(stored(&store, "northwind").await.state.policies.is_empty());
    // A partner again, and nothing of what it had set.
    made(
        &store,
        Write::PutAccount(account("northwind", AccountKind::Partner)),
    )
    .await;
    let reading = stored(&store, "northwind").await;
    assert_eq!(
        reading.revision_of(&ChangeSubject::Partner(id("northwind"))),
        Revision(0)
    );
}

pub(crate) async fn settings_go_with_the_partner_who_made_them(store: TestStore) {
    filled(&store).await;
    let mut named = managed("retail", "northwind");
    named.display_name = "Retail".to_owned();
    made(&store, Write::PutAccount(named)).await;
    assert_eq!(
        stored(&store, "retail").await.state.account_settings.len(),
        1
    );
    made(&store, Write::PutAccount(managed("retail", "contoso"))).await;
    assert!(
        stored(&store, "retail")
            .await
            .state
            .account_settings
            .is_empty()
    );
}

pub(crate) async fn a_deleted_account_is_gone_with_all_that_was_its(store: TestStore) {
    filled(&store).await;
    made(&store, Write::DeleteAccount(id("retail"))).await;
    made(&store, Write::DeleteAccount(id("northwind"))).await;
    let state = store.export().await.unwrap();
    assert_eq!(state.accounts.len(), 2);
    assert!(state.policies.is_empty() && state.account_settings.is_empty());
    for name in ["retail", "northwind"] {
        let refusal = refused(&store, request(Write::DeleteAccount(id(name)))).await;
        assert_eq!(refusal, WriteRefusal::AccountUnknown(id(name)));
        assert_eq!(
            stored(&store, name)
                .await
                .revision_of(&ChangeSubject::Account(id(name))),
            Revision(0)
        );
    }
}

fn market(code: &str, aliases: &[&str]) -> BillingMarket {
    let code = MarketCode::try_from(code).unwrap();
    let currency = CurrencyCode::try_from("EUR").unwrap();
    BillingMarket::new(
        code,
        "Name".to_owned(),
        currency,
        codes(aliases).into_iter().collect(),
    )
    .unwrap()
}

pub(crate) async fn markets_stand_together_or_are_refused(store: TestStore) {
    filled(&store).await;
    let many = (0..511)
        .map(|number| market(&format!("M{number}"), &[]))
        .collect();
    for (markets, field) in [
        (vec![market("NZ", &[]), market("FR", &["GB"])], "markets[1]"),
        (vec![market("GB", &[])], "markets[0]"),
        (vec![market("FR", &["AU"])], "markets[0]"),
        (many, "markets"),
    ] {
        let refusal = refused(&store, request(Write::PutMarkets(markets))).await;
        assert!(
            matches!(&refusal, WriteRefusal::Invalid { field: found, .. } if found == field),
            "{refusal:?}"
        );
    }
    // An alias that moves in one call.
    let markets = vec![market("UK", &["EN"]), market("FR", &["GB"])];
    assert_eq!(made(&store, Write::PutMarkets(markets.clone())).await, 2);
    let reading = stored(&store, "acme").await;
    assert_eq!(reading.state.markets[&markets[0].code], markets[0]);
    assert_eq!(reading.at.catalog.revision, Revision(2));
}

pub(crate) async fn a_market_that_is_enabled_stays(store: TestStore) {
    filled(&store).await;
    let refusal = refused(&store, request(Write::DeleteMarkets(codes(&["AU", "UK"])))).await;
    let (market, partner) = (MarketCode::try_from("AU").unwrap(), id("northwind"));
    assert_eq!(refusal, WriteRefusal::MarketInUse { market, partner });
    // By code alone.
    let gb = MarketCode::try_from("GB").unwrap();
    let refusal = refused(&store, request(Write::DeleteMarkets([gb].into()))).await;
    assert_eq!(refusal, WriteRefusal::MarketUnknown(gb));
    assert_eq!(made(&store, Write::DeleteMarkets(codes(&["UK"]))).await, 2);
    let state = store.export().await.unwrap();
    assert_eq!(
        (state.markets.len(), state.locations.len()),
        (1, 2),
        "locations stay"
    );
    let policy = &stored(&store, "northwind").await.state.policies[&id("northwind")];
    assert_eq!(
        policy.settings.len(),
        1,
        "what was not read for it is not written"
    );
}

pub(crate) async fn locations_are_deleted_all_or_none(store: TestStore) {
    filled(&store).await;
    let place = |name: &str| LocationId::try_from(name).unwrap();
    let unknown = Write::DeleteLocations([place("lon"), place("nowhere")].into());
    let refusal = refused(&store, request(unknown)).await;
    assert_eq!(refusal, WriteRefusal::LocationUnknown(place("nowhere")));
    let new = Location {
        id: place("per"),
        name: "Perth".to_owned(),
        metro: "Perth".to_owned(),
        country: "AU".to_owned(),
        market: None,
        status: None,
        offers: Vec::new(),
    };
    assert_eq!(
        made(&store, Write::PutLocations(vec![new.clone()])).await,
        2
    );
    assert_eq!(
        made(
            &store,
            Write::DeleteLocations([place("lon"), place("syd")].into())
        )
        .await,
        3
    );
    let state = store.export().await.unwrap();
    assert_eq!(state.locations.into_values().collect::<Vec<_>>(), [new]);
}

pub(crate) async fn the_expected_revision_is_that_of_the_subject(store: TestStore) {
    filled(&store).await;
    let mismatch = |expected, actual| WriteRefusal::RevisionMismatch {
        expected: Revision(expected),
        actual: Revision(actual),
    };
    let on = || policy("northwind", &["dashboard.view=on"], &[], &[]);
    assert_eq!(refused(&store, expecting(on(), 0)).await, mismatch(0, 1));
    assert_eq!(refused(&store, expecting(on(), 2)).await, mismatch(2, 1));
    assert_eq!(
        make(&store, expecting(on(), 1)).await.unwrap().revision,
        Revision(2)
    );
    // Compared also where nothing would change.
    assert_eq!(refused(&store, expecting(on(), 1)).await, mismatch(1, 2));
    // A policy that was never changed, an account that does not exist.
    let other = policy("contoso", &["dashboard.view=on"], &[], &[]);
    assert_eq!(
        make(&store, expecting(other, 0)).await.unwrap().revision,
        Revision(3)
    );
    let new = || Write::PutAccount(account("new", AccountKind::Direct));
    assert_eq!(refused(&store, expecting(new(), 3)).await, mismatch(3, 0));
    assert_eq!(
        make(&store, expecting(new(), 0)).await.unwrap().revision,
        Revision(4)
    );
    assert_eq!(refused(&store, expecting(new(), 0)).await, mismatch(0, 4));
    let gone = Write::DeleteAccount(id("new"));
    assert_eq!(
        make(&store, expecting(gone, 4)).await.unwrap().revision,
        Revision(5)
    );
    assert_eq!(
        make(&store, expecting(new(), 0)).await.unwrap().revision,
        Revision(6)
    );
    // A move of the partner does not raise its accounts.
    let retail = own("retail", &["pricing.view=off"]);
    assert_eq!(
        make(&store, expecting(retail, 1)).await.unwrap().revision,
        Revision(7)
    );
    // The catalogue has one revision for markets and locations.
    let markets = Write::PutMarkets(vec![market("NZ", &[])]);
    assert_eq!(
        make(&store, expecting(markets, 1)).await.unwrap().revision,
        Revision(8)
    );
    let places = Write::DeleteLocations([LocationId::try_from("lon").unwrap()].into());
    assert_eq!(
        refused(&store, expecting(places.clone(), 1)).await,
        mismatch(1, 8)
    );
    assert_eq!(
        make(&store, expecting(places, 8)).await.unwrap().revision,
        Revision(9)
    );
}

/// Fifty writers read a policy and try to change what they read; one of them gets there each round.
pub(crate) async fn of_many_writers_that_expect_one_revision_one_wins(store: TestStore) {
    const WRITERS: usize = 50;
    const ROUNDS: u64 = 10;
    filled(&store).await;
    for round in 0..ROUNDS {
        let expected = stored(&store, "northwind")
            .await
            .revision_of(&ChangeSubject::Partner(id("northwind")));
        let setting = if round % 2 == 0 {
            "dashboard.view=on"
        } else {
            "dashboard.view=off"
        };
        let attempts = (0..WRITERS).map(|_| {
            let store = Arc::clone(&store);
            let request = expecting(policy("northwind", &[setting], &[], &[]), expected.0);
            tokio::spawn(async move { make(&store, request).await })
        });
        let mut won = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(written) => {
                    assert_eq!(written.revision, Revision(2 + round));
                    won += 1;
                }
                Err(WriteError::Refused(WriteRefusal::RevisionMismatch { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    let changes = all_changes(&store).await;
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision.0).collect();
    assert_eq!(revisions, (1..=ROUNDS + 1).collect::<Vec<_>>());
}

pub(crate) async fn a_change_names_what_it_touched(store: TestStore) {
    filled(&store).await;
    let named = |accounts: &[&str], partners: &[&str], catalog| ChangedKeys::Named {
        accounts: accounts.iter().map(|text| id(text)).collect(),
        partners: partners.iter().map(|text| id(text)).collect(),
        catalog,
    };
    let partner = |name: &str| ChangeSubject::Partner(id(name));
    let on_account = |name: &str| ChangeSubject::Account(id(name));
    let steps = [
        (
            policy("northwind", &["pricing.view=off"], &[], &[]),
            partner("northwind"),
            named(&[], &["northwind"], false),
        ),
        (
            own("retail", &["pricing.view=off"]),
            on_account("retail"),
            named(&["retail"], &[], false),
        ),
        (
            Write::PutAccount(managed("retail", "contoso")),
            on_account("retail"),
            named(&["retail"], &[], false),
        ),
        (
            Write::DeleteAccount(id("northwind")),
            on_account("northwind"),
            named(&["northwind"], &["northwind"], false),
        ),
        (
            Write::PutMarkets(vec![market("NZ", &[])]),
            ChangeSubject::Catalog,
            named(&[], &[], true),
        ),
    ];
    let before = store.poll(None).await.unwrap().at.head;
    for (write, _, _) in &steps {
        made(&store, write.clone()).await;
    }
    let poll = store.poll(Some(before)).await.unwrap();
    assert_eq!(poll.seen, Some(before.change));
    assert_eq!(poll.changes.len(), steps.len());
    for ((_, subject, keys), (entry, revision)) in steps.iter().zip(poll.changes.iter().zip(2..)) {
        assert_eq!((&entry.subject, &entry.keys), (subject, keys));
        assert_eq!(entry.head.revision, Revision(revision));
    }
    assert_eq!(
        poll.changes.last().map(|last| last.head),
        Some(poll.at.head)
    );
    let feature = FeatureKey::try_from("pricing.view").unwrap();
    assert!(
        !stored(&store, "retail")
            .await
            .state
            .account_settings
            .values()
            .any(|own| own.get(&feature) == Some(&Setting::Off))
    );
}
