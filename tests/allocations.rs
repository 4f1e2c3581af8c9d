#![cfg(test)]
//! That a decision takes no memory, and a cached check none either: what a call takes is for its
//! messages.

use std::alloc::System;
use std::sync::Arc;

use portcullis::authorizer::Authorizer;
use portcullis::directory::{Consistency, Directory, DirectoryConfig};
use portcullis::domain::{
    Account, AccountId, AccountKind, AccountProfile, FeatureIndex, FeatureMatrix, PartnerPolicy,
    Setting, Settings, Subject, SupportProvider, decide,
};
use portcullis::store::memory::MemoryStore;
use portcullis::store::{Import, Line, Store};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time: what is counted is the whole process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How often `work` allocates: the least of some tries, because a thread that waits for this one may
/// write a line meanwhile.
fn allocations(mut work: impl FnMut()) -> usize {
    let tries = (0..5).map(|_| {
        let region = Region::new(ALLOCATOR);
        work();
        region.change().allocations
    });
    tries.min().unwrap()
}

fn id(text: &str) -> AccountId {
    text.try_into().unwrap()
}

fn account(name: &str, kind: AccountKind) -> Account {
    Account {
        id: id(name),
        kind,
        display_name: "Somebody".to_owned(),
    }
}

fn kinds() -> [AccountKind; 4] {
    let managed = |support| AccountKind::Managed {
        partner: id("partner-00001"),
        support,
    };
    [
        AccountKind::Direct,
        AccountKind::Partner,
        managed(SupportProvider::Partner),
        managed(SupportProvider::Platform),
    ]
}

#[tokio::test]
async fn a_decision_allocates_nothing() {
    let _alone = ALONE.lock().await;
    let matrix = FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap();
    let features: Vec<FeatureIndex> = matrix.features().map(|(index, _)| index).collect();
    let mut settings = Settings::NONE;
    settings.set(features[0], Setting::Off);
    let policy = PartnerPolicy {
        settings: settings.clone(),
        ..PartnerPolicy::default()
    };
    let profiles = kinds().map(|kind| AccountProfile {
        account: account("account-0000001", kind),
        settings: settings.clone(),
    });
    let decided = allocations(|| {
        for profile in &profiles {
            let subject = Subject::new(profile, Some(&policy)).unwrap();
            for feature in &features {
                std::hint::black_box(decide(&matrix, *feature, subject));
            }
        }
    });
    assert_eq!(decided, 0);
}

#[tokio::test]
async fn a_cached_check_allocates_nothing() {
    let _alone = ALONE.lock().await;
    let [_, partner, managed, _] = kinds();
    let line = |value| Line { line: 1, value };
    let store = MemoryStore::default();
    let import = Import {
        actor: "test".to_owned(),
        accounts: vec![
            line(account("partner-00001", partner)),
            line(account("account-0000001", managed)),
        ],
        ..Import::default()
    };
    store.import(&import, &|_| {}).await.unwrap();
    let matrix = Arc::new(FeatureMatrix::parse(FeatureMatrix::BUILT_IN).unwrap());
    let config = DirectoryConfig::default();
    let (directory, keep_true) = Directory::new(Arc::new(store), matrix, config);
    tokio::spawn(keep_true);
    let authorizer = Authorizer::new(directory);
    let check = || {
        let account = id("account-0000001");
        authorizer.check_feature(account, "pricing.view", Consistency::Fastest)
    };
    check().await.unwrap();
    // It is answered at its first poll: nobody else runs meanwhile.
    let checked = allocations(|| {
        let answer = futures_util::FutureExt::now_or_never(check());
        assert!(answer.expect("it is cached").is_ok());
    });
    assert_eq!(checked, 0);
}
