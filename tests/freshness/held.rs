//! A load that is held up while a permission is withdrawn.

use std::time::Duration;

use portcullis::app::StoreChoice;
use portcullis::proto::v1::{
    CheckFeatureRequest, CheckFeatureResponse, Consistency, Effect, Setting,
};
use portcullis::store::postgres::{PostgresConfig, PostgresLimits};

use super::support::policies::{Policies, update};
use super::support::proxy::{Network, Proxy};
use super::support::requests::{at_least, check};
use super::support::server::{self, Client, Server};
use super::support::{self, Database, within};
use super::{Dice, world};

/// How often.
const ROUNDS: usize = 50;

/// Each round a load is held up on its way to or from Postgres for as long as it takes to withdraw what
/// it asks for. Whatever it is answered then, the next check has to be a denial: what the held load
/// read must not have come into the cache behind the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_held_across_a_revoke_leaves_nothing_behind() {
    let dice = Dice::new("held loads");
    let database = world("held").await;

    // The replica asked reaches Postgres through a network that can be slow, the one that writes
    // does not.
    let proxy = Proxy::start(database.port()).await;
    let asked = Server::start(server::config(StoreChoice::Postgres(through(
        &database, &proxy,
    ))))
    .await;
    let writer = StoreChoice::Postgres(support::patient(&database));
    let writer = Server::start(server::config(writer)).await;
    let (client, mut policies) = (asked.client().await, writer.policies().await);

    let (mut of_before, mut stale) = (0, 0);
    for round in 0..ROUNDS {
        let on = switch(&mut policies, Setting::On).await;
        // Of another account: so that the change has come here, and the load is still to be made.
        ask(&client, "d", at_least(on)).await;
        proxy.set(Network::Delays(Duration::from_millis(
            20 + dice.roll(150) as u64,
        )));
        let held = tokio::spawn({
            let client = client.clone();
            async move { ask(&client, "q-1", None).await }
        });
        tokio::time::sleep(Duration::from_millis(dice.roll(200) as u64)).await;
        let off = switch(&mut policies, Setting::Off).await;
        proxy.set(Network::Passes);
        let held = within("the held check", held).await.unwrap();
        // It may be of before the change, and then says so.
        if held.effect() == Effect::Allow {
            assert!(
                (on..off).contains(&held.revision),
                "round {round}: {held:?}"
            );
            of_before += 1;
        }
        for consistency in [at_least(off), None, None] {
            let answer = ask(&client, "q-1", consistency).await;
            assert!(answer.revision >= off, "round {round}: {answer:?}");
            stale += usize::from(answer.effect() == Effect::Allow);
        }
    }
    println!(
        "{ROUNDS} loads held across a revoke, {of_before} of before it: {stale} stale answers"
    );
    assert!(of_before > 0, "no load was held across a change");
    assert_eq!(stale, 0);
}

fn through(database: &Database, proxy: &Proxy) -> PostgresConfig {
    let (direct, proxied) = (database.port().to_string(), proxy.port().to_string());
    let limits = PostgresLimits {
        store_timeout: Duration::from_secs(20),
        ..PostgresLimits::default()
    };
    PostgresConfig::parse(&database.url().replace(&direct, &proxied), None, limits).unwrap()
}

async fn switch(policies: &mut Policies, setting: Setting) -> u64 {
    let update = policies.update_partner_policy(update("q", [("pricing.view", setting)]));
    within("a change", update)
        .await
        .unwrap()
        .into_inner()
        .revision
}

async fn ask(
    client: &Client,
    account: &str,
    consistency: Option<Consistency>,
) -> CheckFeatureResponse {
    let request = CheckFeatureRequest {
        consistency,
        ..check(account, "pricing.view")
    };
    let answer = client.clone().check_feature(request).await;
    answer.unwrap().into_inner()
}
