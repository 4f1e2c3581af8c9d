#![cfg(test)]
//! The golden decisions of `tests/cases/*.yaml`, put to the bare domain, to gRPC over memory and to
//! gRPC over Postgres with its cache. All agree.

#[path = "cases/domain.rs"]
mod domain;
mod support;
#[path = "cases/wire.rs"]
mod wire;

use std::collections::BTreeSet;

use domain::Domain;
use portcullis::app::StoreChoice;
use portcullis::datafile;
use portcullis::domain::{Audience, FeatureMatrix};
use portcullis::store::{Import, State, Store as _, plan};
use support::cases::{self, CaseFile};
use support::server::{Server, config};
use support::{database, patient, store};
use wire::Wire;

#[tokio::test]
async fn the_domain_answers_every_case() {
    for file in cases::load() {
        file.run(&Domain::new(&file)).await;
    }
}

#[tokio::test]
async fn grpc_over_memory_answers_every_case() {
    for file in cases::load() {
        let (matrix, import) = read(&file);
        ask(&file, matrix, StoreChoice::Memory(import)).await;
    }
}

#[tokio::test]
async fn grpc_over_postgres_answers_every_case() {
    for file in cases::load() {
        let database = database(&format!("cases_{}", file.topic)).await;
        let (matrix, import) = read(&file);
        store(&database).import(&import, &|_| {}).await.unwrap();
        ask(&file, matrix, StoreChoice::Postgres(patient(&database))).await;
    }
}

/// Puts every case to a server, twice: what was loaded the first time is cached the second.
async fn ask(file: &CaseFile, matrix: FeatureMatrix, store: StoreChoice) {
    let mut config = config(store);
    config.matrix = matrix;
    let server = Server::start(config).await;
    let wire = Wire(server.client().await);
    file.run(&wire).await;
    file.run(&wire).await;
}

fn read(file: &CaseFile) -> (FeatureMatrix, Import) {
    let matrix = file.matrix.as_deref().unwrap_or(FeatureMatrix::BUILT_IN);
    let matrix = FeatureMatrix::parse(matrix).unwrap();
    let (import, _warnings) = datafile::parse(&file.data, &matrix)
        .unwrap_or_else(|error| panic!("{}: {error}", file.topic));
    (matrix, import)
}

#[test]
fn the_data_of_every_case_is_consistent() {
    for file in cases::load() {
        plan(&State::default(), &read(&file).1)
            .unwrap_or_else(|error| panic!("{}: {error}", file.topic));
    }
}

#[test]
fn every_cell_of_the_built_in_matrix_has_a_case() {
    let mut seen = BTreeSet::new();
    for file in cases::load().iter().filter(|file| file.matrix.is_none()) {
        let domain = Domain::new(file);
        for case in &file.checks {
            let Some(account) = domain.account(&case.account) else {
                continue;
            };
            let audience = account.audience().as_str();
            let features = case.want.keys();
            seen.extend(features.map(|feature| (feature.clone(), audience)));
        }
    }
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    for (_, row) in matrix.features() {
        for audience in Audience::ALL {
            let cell = (row.key.to_string(), audience.as_str());
            assert!(seen.contains(&cell), "no case: {cell:?}");
        }
    }
}

#[test]
fn every_reason_has_a_case_of_each_effect() {
    let files = cases::load();
    let checks = files.iter().flat_map(|file| &file.checks);
    let seen: BTreeSet<&str> = checks
        .flat_map(|case| case.want.values().map(String::as_str))
        .collect();
    let mut want = BTreeSet::from(["deny REQUIRED_FEATURE"]);
    want.extend(["error ACCOUNT_UNKNOWN", "error FEATURE_UNKNOWN"]);
    want.extend(["allow PLATFORM_RULE", "deny PLATFORM_RULE"]);
    want.extend(["allow PLATFORM_DEFAULT", "deny PLATFORM_DEFAULT"]);
    want.extend(["allow PARTNER_SETTING", "deny PARTNER_SETTING"]);
    want.extend(["allow ACCOUNT_SETTING", "deny ACCOUNT_SETTING"]);
    assert_eq!(seen, want);
}
