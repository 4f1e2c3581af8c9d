//! What a replica needs: memory for what is cached, and time for a check. Figures for
//! `docs/operations.md`; `make soak` takes a million accounts, and ARGS=--release those of the program
//! as it is shipped.

use std::time::Duration;

use portcullis::metrics::{Counters, Histograms};
use portcullis::proto::v1::{BatchCheckFeaturesRequest, CheckFeatureRequest, FeatureCheck};
use tokio::time::Instant;

use crate::exposition::Page;
use crate::support::process::Process;
use crate::support::soak::lasting;
use crate::support::{database, probe};

/// The most of a batch.
const BATCH: usize = 1_000;
/// Checks that are made one after the other.
const CHECKS: u32 = 2_000;

fn account(number: usize) -> String {
    format!("account-{number:07}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_account_takes_less_than_three_quarters_of_a_kibibyte() {
    let accounts = lasting(30_000, 1_000_000);
    let partners = accounts / 100;
    let database = database("operations_sizing").await;
    database.write(&format!(
        "INSERT INTO account (id, kind, revision)
            SELECT 'partner-' || n, 'partner', revision
            FROM generate_series(0, {partners} - 1) n, policy_revision;
        INSERT INTO account (id, kind, partner_id, support, revision)
            SELECT 'account-' || lpad(n::text, 7, '0'), 'managed', 'partner-' || n % {partners},
                'partner', revision
            FROM generate_series(0, {accounts} - 1) n, policy_revision"
    ));
    database.sql("ANALYZE account");
    let folder = tempfile::tempdir().unwrap();
    // On a busy machine: this is not about time.
    let flags = ["--store-timeout=5s", "--request-timeout=1m"];
    let server = Process::serve(&database, &flags, &[], folder.path());
    probe::until_ready(server.http).await;
    let mut client = server.client().await;
    let batch = |from: usize| BatchCheckFeaturesRequest {
        checks: (from..from + BATCH)
            .map(|number| FeatureCheck {
                account_id: account(number),
                feature: "pricing.view".to_owned(),
            })
            .collect(),
        consistency: None,
    };
    // What the first calls need besides is not the caches'.
    client.batch_check_features(batch(0)).await.unwrap();
    let (before, began) = (server.resident(), Instant::now());
    for from in (BATCH..accounts).step_by(BATCH) {
        let answer = client.batch_check_features(batch(from)).await.unwrap();
        let results = answer.into_inner().results;
        let is_decision = |result: &portcullis::proto::v1::FeatureCheckResult| {
            use portcullis::proto::v1::feature_check_result::Result;
            matches!(result.result, Some(Result::Decision(_)))
        };
        assert!(results.iter().all(is_decision));
    }
    let cold = began.elapsed();
    let page = all_cached(&server, accounts).await;
    let resident = server.resident();
    let each = resident.saturating_sub(before) * 1024 / u64::try_from(accounts - BATCH).unwrap();

    let computed = server.computed();
    for number in 0..CHECKS {
        let request = CheckFeatureRequest {
            account_id: account(usize::try_from(number).unwrap() * 7 % accounts),
            feature: "pricing.view".to_owned(),
            consistency: None,
        };
        client.check_feature(request).await.unwrap();
    }
    let check = (server.computed() - computed) / CHECKS;
    let counting = counting();
    let misses = page.sum("portcullis_cache_misses_total", &[("cache", "accounts")]);
    println!(
        "{accounts} accounts of {partners} partners\n  {before} KiB before, {resident} KiB with all of \
         them cached: {each} bytes each\n  {misses} misses in {cold:?}: {:.0} a second\n  {check:?} \
         of a processor for a check, one after the other; {counting:?} of it are counting, 1/{:.0}",
        misses / cold.as_secs_f64(),
        check.as_secs_f64() / counting.as_secs_f64()
    );
    assert!(each < 768, "{each} bytes");
    assert!(check < Duration::from_millis(5), "{check:?}");
    assert!(counting * 20 < check, "{counting:?} of {check:?}");
}

/// The page of metrics once all accounts are cached: a load is answered before it is kept.
async fn all_cached(server: &Process, accounts: usize) -> Page {
    let wanted = f64::from(u32::try_from(accounts).unwrap());
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let page = Page::of(server.http).await;
        let cached = page.sum("portcullis_cache_entries", &[("cache", "accounts")]);
        if cached >= wanted || Instant::now() >= give_up {
            assert_eq!(cached, wanted);
            return page;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How long it takes to count what is counted of a check that is cached: that it began, ended and
/// how long it took, what was decided, and where it was looked for.
fn counting() -> Duration {
    const BOUNDS: [Duration; 4] = [
        Duration::from_micros(1),
        Duration::from_micros(10),
        Duration::from_micros(100),
        Duration::from_millis(1),
    ];
    const TIMES: u32 = 100_000;
    let (counters, times) = (Counters::new(64), Histograms::new(4, &BOUNDS));
    let began = Instant::now();
    for call in 0..TIMES {
        for counter in [1, 20, 40, 60] {
            counters.add_one(counter);
        }
        times.observe(2, Duration::from_nanos(u64::from(call)));
    }
    let took = began.elapsed() / TIMES;
    assert_eq!(counters.total(40), u64::from(TIMES));
    took
}
