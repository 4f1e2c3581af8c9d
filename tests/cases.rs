#![cfg(test)]
//! The golden decisions of `tests/cases/*.yaml`, put to the bare domain.

#[path = "cases/domain.rs"]
mod domain;
mod support;

use std::collections::BTreeSet;

use domain::Domain;
use portcullis::domain::{Audience, FeatureMatrix};
use portcullis::store::{State, plan};
use support::cases;

#[tokio::test]
async fn the_domain_answers_every_case() {
    for file in cases::load() {
        file.run(&Domain::new(&file)).await;
    }
}

/// What the domain is asked here can be put to a server as well.
#[test]
fn the_data_of_every_case_is_a_data_file() {
    for file in cases::load() {
        let matrix = file.matrix.as_deref().unwrap_or(FeatureMatrix::BUILT_IN);
        let matrix = FeatureMatrix::parse(matrix).unwrap();
        let (import, _warnings) = portcullis::datafile::parse(&file.data, &matrix)
            .unwrap_or_else(|error| panic!("{}: {error}", file.topic));
        plan(&State::default(), &import).unwrap_or_else(|error| panic!("{}: {error}", file.topic));
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
