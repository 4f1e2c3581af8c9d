//! Answers while policies change, compared with the naive model at every revision that they allow.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use portcullis::app::StoreChoice;
use portcullis::proto::v1::{
    self, AccountKind, Decision, Effect, Reason, Setting, SupportProvider,
};

use super::Dice;
use super::naive::{self, World};
use super::support::policies::{Policies, markets, own, update};
use super::support::requests::{catalog, check, ids};
use super::support::server::{self, Client, Server};
use super::support::{self, within};

const PARTNERS: usize = 5;
const ACCOUNTS: usize = 40;
const LOCATIONS: usize = 50;
const CODES: [&str; 5] = ["AU", "NZ", "UK", "US", "FR"];
/// Also an alias, a market that does not exist, and none.
const MARKETS: [&str; 8] = ["AU", "NZ", "UK", "US", "FR", "GB", "XX", ""];
const FEATURES: [&str; 5] = [
    "pricing.view",
    "company_profile.view",
    "company_profile.edit",
    "support_chat.use",
    "dashboard.view",
];
/// Pairs of an account and a location that are compared.
const PAIRS: usize = 100_000;

/// The world at one revision, and in which market each location lies.
#[derive(Debug, Clone, Default)]
struct Moment {
    world: World,
    places: Vec<&'static str>,
}

/// The world at every revision. The last may not be committed yet.
type Moments = Mutex<Vec<Moment>>;

fn account(number: usize) -> String {
    format!("a-{number:02}")
}

fn partner(number: usize) -> String {
    format!("p-{number}")
}

fn location(number: usize) -> String {
    format!("l-{number:02}")
}

/// Several replicas answer while one changes policies, accounts and the catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_and_check_agree_with_the_naive_model_while_policies_change() {
    const REPLICAS: usize = 2;
    let database = support::database("agreement").await;
    let mut servers = Vec::new();
    for _ in 0..REPLICAS {
        let store = StoreChoice::Postgres(support::patient(&database));
        servers.push(Server::start(server::config(store)).await);
    }
    let moments = Arc::new(Moments::default());
    let mut policies = servers[0].policies().await;
    let first = set_up(&mut policies).await;
    // Revision 0 and those of the set-up are not asked about.
    moments
        .lock()
        .unwrap()
        .extend(std::iter::repeat_n(Moment::default(), first.0));
    moments.lock().unwrap().push(first.1);

    let done = Arc::new(AtomicBool::new(false));
    let changing = tokio::spawn({
        let (moments, done) = (Arc::clone(&moments), Arc::clone(&done));
        async move {
            let dice = Dice::new("changes");
            while !done.load(Ordering::Acquire) {
                change(&mut policies, &moments, &dice).await;
            }
        }
    });
    let mut asking = Vec::new();
    for server in &servers {
        let (client, moments) = (server.client().await, Arc::clone(&moments));
        asking.push(tokio::spawn(ask(
            client,
            moments,
            PAIRS / REPLICAS,
            first.0 as u64,
        )));
    }
    let mut latest = 0;
    for asked in asking {
        latest += asked.await.unwrap();
    }
    done.store(true, Ordering::Release);
    changing.await.unwrap();
    let revisions = moments.lock().unwrap().len() - first.0;
    println!(
        "{PAIRS} pairs of an account and a location over {revisions} revisions: all agree; {latest} answers \
         were of a later state than the revision that they gave"
    );
    assert!(
        revisions > 100,
        "hardly anything changed: {revisions} revisions"
    );
}

/// Asks until so many pairs were compared. Answers how often only a later revision explained what
/// was answered.
async fn ask(mut client: Client, moments: Arc<Moments>, pairs: usize, first: u64) -> usize {
    let dice = Dice::new("questions");
    let (mut compared, mut latest) = (0, 0);
    while compared < pairs {
        let id = account(dice.roll(ACCOUNTS));
        let feature = *dice.choose(&FEATURES);
        let mut filter = ids(catalog(&id));
        let mut question = check(&id, feature);
        if dice.roll(10) == 0 {
            filter.consistency = support::requests::fully_consistent(true);
            question.consistency = support::requests::fully_consistent(true);
        }
        let filtered = within("the catalogue", client.filter_catalog(filter))
            .await
            .unwrap()
            .into_inner();
        let at = allowed(&moments, filtered.revision.max(first), |moment| {
            moment.filtered(&id) == told(&filtered)
        });
        latest += at.unwrap_or_else(|| panic!("{id}: {filtered:?} at no revision that it allows"));
        let checked = within("the check", client.check_feature(question))
            .await
            .unwrap()
            .into_inner();
        let said = words(checked.effect(), checked.reason());
        let at = allowed(&moments, checked.revision.max(first), |moment| {
            moment.world.decide(&id, feature) == said
        });
        latest += at
            .unwrap_or_else(|| panic!("{id} {feature}: {checked:?} at no revision that it allows"));
        assert!(!filtered.stale && !checked.stale);
        compared += LOCATIONS;
    }
    latest
}

/// Whether `is_so` at one of the revisions from `revision` to the last that there may be: 0 where at
/// the first of them already, 1 where at a later one.
fn allowed(moments: &Moments, revision: u64, is_so: impl Fn(&Moment) -> bool) -> Option<usize> {
    let moments = moments.lock().unwrap();
    let from = usize::try_from(revision).unwrap();
    let place = moments[from..].iter().position(is_so)?;
    Some(usize::from(place > 0))
}

/// What a FilterCatalog says: the locations, and both decisions.
type Filtered = (BTreeSet<String>, naive::Verdict, naive::Verdict);

fn told(answer: &v1::FilterCatalogResponse) -> Filtered {
    let verdict = |decision: &Option<Decision>| {
        let decision = decision.as_ref().unwrap();
        words(decision.effect(), decision.reason())
    };
    let visible: BTreeSet<_> = answer.location_ids.iter().cloned().collect();
    assert_eq!(visible.len() + answer.hidden_count as usize, LOCATIONS);
    assert_eq!(answer.prices_redacted, verdict(&answer.pricing).0 == "deny");
    (visible, verdict(&answer.ordering), verdict(&answer.pricing))
}

fn words(effect: Effect, reason: Reason) -> naive::Verdict {
    let effect = match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::Unspecified => panic!("no effect"),
    };
    (
        effect,
        reason.as_str_name().strip_prefix("REASON_").unwrap(),
    )
}

impl Moment {
    fn filtered(&self, id: &str) -> Filtered {
        let visible = (0..LOCATIONS).filter(|number| self.world.sees(id, self.places[*number]));
        let decide = |feature| self.world.decide(id, feature);
        (
            visible.map(location).collect(),
            decide("services.order"),
            decide("pricing.view"),
        )
    }
}

/// Makes the world through the API, and tells its revision.
async fn set_up(policies: &mut Policies) -> (usize, Moment) {
    let mut moment = Moment::default();
    moment.world.features = Arc::new(naive::features(naive::BUILT_IN));
    let mut revision = 0;
    let market = |code: &&str| v1::BillingMarket {
        code: (*code).to_owned(),
        name: (*code).to_owned(),
        currency: "EUR".to_owned(),
        aliases: if *code == "UK" {
            vec!["GB".to_owned()]
        } else {
            Vec::new()
        },
    };
    let put = v1::PutBillingMarketsRequest {
        markets: CODES.iter().map(market).collect(),
        context: None,
    };
    policies.put_billing_markets(put).await.unwrap();
    for code in CODES {
        moment
            .world
            .markets
            .insert(code.to_owned(), code.to_owned());
    }
    moment
        .world
        .markets
        .insert("GB".to_owned(), "UK".to_owned());
    moment.places = (0..LOCATIONS)
        .map(|number| MARKETS[number % MARKETS.len()])
        .collect();
    let places = (0..LOCATIONS).map(|number| place(number, moment.places[number]));
    let put = v1::PutLocationsRequest {
        locations: places.collect(),
        context: None,
    };
    policies.put_locations(put).await.unwrap();
    for number in 0..PARTNERS {
        let naive = naive::Account {
            kind: "partner".to_owned(),
            ..naive::Account::default()
        };
        moment
            .world
            .policies
            .insert(partner(number), naive::Policy::default());
        revision = put_account(policies, &partner(number), &naive).await;
        moment.world.accounts.insert(partner(number), naive);
    }
    for number in 0..ACCOUNTS {
        let naive = some_account(number, number % PARTNERS, number % 3);
        revision = put_account(policies, &account(number), &naive).await;
        moment.world.accounts.insert(account(number), naive);
    }
    (revision, moment)
}

fn place(number: usize, market: &str) -> v1::Location {
    v1::Location {
        id: location(number),
        name: "Somewhere".to_owned(),
        market: market.to_owned(),
        ..v1::Location::default()
    }
}

/// A direct account, or a managed one that one or the other supports.
fn some_account(number: usize, of: usize, kind: usize) -> naive::Account {
    let (kind, support) = match kind {
        _ if number == 0 => ("direct", ""),
        0 | 1 => ("managed", "partner"),
        _ => ("managed", "platform"),
    };
    naive::Account {
        kind: kind.to_owned(),
        partner: if kind == "managed" {
            partner(of)
        } else {
            String::new()
        },
        support: support.to_owned(),
        ..naive::Account::default()
    }
}

async fn put_account(policies: &mut Policies, id: &str, naive: &naive::Account) -> usize {
    let kind = match naive.kind.as_str() {
        "direct" => AccountKind::Direct,
        "partner" => AccountKind::Partner,
        _ => AccountKind::Managed,
    };
    let support = match naive.support.as_str() {
        "" => SupportProvider::Unspecified,
        "partner" => SupportProvider::Partner,
        _ => SupportProvider::Platform,
    };
    let put = v1::PutAccountRequest {
        account: Some(v1::Account {
            id: id.to_owned(),
            kind: kind.into(),
            partner_id: naive.partner.clone(),
            support_provider: support.into(),
            display_name: String::new(),
        }),
        context: None,
    };
    let put = policies.put_account(put).await.unwrap().into_inner();
    usize::try_from(put.revision).unwrap()
}

/// Makes one change, in the model first: an answer may show it before its writer is told.
async fn change(policies: &mut Policies, moments: &Moments, dice: &Dice) {
    let now = moments.lock().unwrap().last().unwrap().clone();
    let mut next = now.clone();
    let (id, owner) = (account(dice.roll(ACCOUNTS)), partner(dice.roll(PARTNERS)));
    let feature = *dice.choose(&FEATURES);
    let (setting, word) = *dice.choose(&[
        (Setting::On, "on"),
        (Setting::Off, "off"),
        (Setting::Unset, ""),
    ]);
    let made = match dice.roll(10) {
        0..=2 => {
            put(
                &mut next.world.policies.get_mut(&owner).unwrap().settings,
                feature,
                word,
            );
            moments.lock().unwrap().push(next);
            let made = policies
                .update_partner_policy(update(&owner, [(feature, setting)]))
                .await;
            made.unwrap().into_inner().revision
        }
        3..=5 => {
            let code = *dice.choose(&CODES);
            let enabled = &mut next.world.policies.get_mut(&owner).unwrap().markets;
            let is_new = enabled.insert(code.to_owned());
            if !is_new {
                enabled.remove(code);
            }
            moments.lock().unwrap().push(next);
            let (enable, disable): (&[&str], &[&str]) = if is_new {
                (&[code], &[])
            } else {
                (&[], &[code])
            };
            let made = policies
                .update_partner_policy(markets(&owner, enable, disable))
                .await;
            made.unwrap().into_inner().revision
        }
        6 | 7 => {
            if next.world.accounts[&id].kind != "managed" {
                return;
            }
            put(
                &mut next.world.accounts.get_mut(&id).unwrap().settings,
                feature,
                word,
            );
            moments.lock().unwrap().push(next);
            let made = policies
                .update_account_settings(own(&id, [(feature, setting)]))
                .await;
            made.unwrap().into_inner().revision
        }
        8 => {
            let number = dice.roll(ACCOUNTS);
            let mut moved = some_account(number, dice.roll(PARTNERS), dice.roll(3));
            let before = &next.world.accounts[&account(number)];
            if before.partner == moved.partner {
                moved.settings.clone_from(&before.settings);
            }
            next.world.accounts.insert(account(number), moved.clone());
            moments.lock().unwrap().push(next);
            put_account(policies, &account(number), &moved).await as u64
        }
        _ => {
            let (number, market) = (dice.roll(LOCATIONS), *dice.choose(&MARKETS));
            next.places[number] = market;
            moments.lock().unwrap().push(next);
            let put = v1::PutLocationsRequest {
                locations: vec![place(number, market)],
                context: None,
            };
            policies
                .put_locations(put)
                .await
                .unwrap()
                .into_inner()
                .revision
        }
    };
    let mut moments = moments.lock().unwrap();
    // What changed nothing made no revision.
    if usize::try_from(made).unwrap() + 1 < moments.len() {
        moments.pop();
    }
    assert!(usize::try_from(made).unwrap() < moments.len());
}

fn put(settings: &mut naive::Settings, feature: &str, setting: &str) {
    if setting.is_empty() {
        settings.remove(feature);
    } else {
        settings.insert(feature.to_owned(), setting.to_owned());
    }
}
