//! prost and the generated messages, as the oracle of both directions.

use proptest::prelude::*;

use super::*;
use crate::domain::{Effect, Reason};
use crate::grpc::shape::MAX_FIELDS;

fn check() -> impl Strategy<Value = v1::FeatureCheck> {
    (
        "[a-z0-9:.]{0,8}|\\PC{0,4}",
        "[a-z]{0,5}(\\.[a-z]{1,5})?|\\PC{0,4}",
    )
        .prop_map(|(account_id, feature)| v1::FeatureCheck {
            account_id,
            feature,
        })
}

fn decision() -> impl Strategy<Value = Decision> {
    let effects = prop::sample::select(vec![Effect::Allow, Effect::Deny]);
    let reasons = prop::sample::select(vec![
        Reason::PlatformRule,
        Reason::PlatformDefault,
        Reason::PartnerSetting,
        Reason::AccountSetting,
        Reason::RequiredFeature,
    ]);
    (effects, reasons).prop_map(|(effect, reason)| Decision { effect, reason })
}

fn request() -> impl Strategy<Value = v1::BatchCheckFeaturesRequest> {
    let requirement = prop_oneof![
        any::<u64>().prop_map(v1::consistency::Requirement::AtLeastRevision),
        any::<bool>().prop_map(v1::consistency::Requirement::FullyConsistent),
    ];
    let consistency = proptest::option::of(
        proptest::option::of(requirement).prop_map(|requirement| v1::Consistency { requirement }),
    );
    (proptest::collection::vec(check(), 0..6), consistency).prop_map(|(checks, consistency)| {
        v1::BatchCheckFeaturesRequest {
            checks,
            consistency,
        }
    })
}

/// The request that was read.
fn told(read: &ReadBatch) -> v1::BatchCheckFeaturesRequest {
    let check = |(account_id, feature): (&str, &str)| v1::FeatureCheck {
        account_id: account_id.to_owned(),
        feature: feature.to_owned(),
    };
    v1::BatchCheckFeaturesRequest {
        checks: read.checks().map(check).collect(),
        consistency: read.consistency,
    }
}

/// Bytes of a request with some of them changed, cut off or twice there.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
    (
        request(),
        request(),
        changes,
        any::<proptest::sample::Index>(),
        0..4_u8,
    )
        .prop_map(|(one, two, changes, place, how)| {
            let mut bytes = one.encode_to_vec();
            for (place, byte) in changes {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            match how {
                0 => bytes.truncate(place.index(bytes.len() + 1)),
                1 => bytes.extend(two.encode_to_vec()),
                _ => {}
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn bytes_are_read_as_the_generated_message_reads_them(bytes in damaged()) {
        let read = ReadBatch::decode(bytes.clone().into());
        match v1::BatchCheckFeaturesRequest::decode(&*bytes) {
            Ok(whole) => prop_assert_eq!(told(&read.unwrap()), whole),
            Err(error) => {
                let (read, want) = (read.unwrap_err(), undecodable(&error));
                prop_assert_eq!((read.code(), read.message()), (want.code(), want.message()));
                prop_assert_eq!(read.details(), want.details());
            }
        }
    }

    #[test]
    fn results_are_written_as_the_generated_message_writes_them(
        results in proptest::collection::vec(
            (any::<bool>(), decision(), "[a-z.]{0,40}|[a-z.]{90,140}"), 0..20),
        revision: u64,
        stale: bool,
    ) {
        let mut answer = BatchAnswer::new(results.len() / 2, Revision(revision), stale);
        let mut whole = v1::BatchCheckFeaturesResponse { results: Vec::new(), revision, stale };
        for (is_decided, decision, text) in results {
            let error = tonic_types::Status { code: 5, message: text.clone(), details: Vec::new() };
            let result = if is_decided {
                answer.decided(&text, decision);
                Checked::Decision(encode::decision(text, decision))
            } else {
                answer.failed(error.clone());
                Checked::Error(error)
            };
            whole.results.push(v1::FeatureCheckResult { result: Some(result) });
        }
        let mut bytes = Vec::new();
        answer.encode(&mut bytes).unwrap();
        prop_assert_eq!(answer.encoded_len(), bytes.len());
        prop_assert_eq!(bytes, whole.encode_to_vec());
    }
}

#[test]
fn batches_as_clients_write_them_are_read_in_one_pass() {
    let check = |account_id: &str, feature: &str| v1::FeatureCheck {
        account_id: account_id.to_owned(),
        feature: feature.to_owned(),
    };
    let at_least = v1::consistency::Requirement::AtLeastRevision(u64::MAX);
    let consistency = Some(v1::Consistency {
        requirement: Some(at_least),
    });
    let request = |checks: &[v1::FeatureCheck]| v1::BatchCheckFeaturesRequest {
        checks: checks.to_vec(),
        consistency,
    };
    let usual = check("account-1", "pricing.view");
    let longest = check(&"x".repeat(64), &"y".repeat(59));
    for (what, check, is_plain) in [
        ("both names", usual.clone(), true),
        ("no account", check("", "pricing.view"), true),
        ("no feature", check("account-1", ""), true),
        ("no name", check("", ""), true),
        ("as long as a byte can say", longest, true),
        ("longer", check(&"x".repeat(64), &"y".repeat(60)), false),
        ("not ASCII", check("Zürich", "pricing.view"), false),
    ] {
        let whole = request(&[usual.clone(), check, usual.clone()]);
        let bytes = Bytes::from(whole.encode_to_vec());
        assert_eq!(ReadBatch::plain(&bytes).is_some(), is_plain, "{what}");
        assert_eq!(told(&ReadBatch::decode(bytes).unwrap()), whole, "{what}");
    }
    assert!(ReadBatch::plain(&[]).is_some());
}

#[test]
fn too_many_fields_are_refused() {
    // Of a number that no message has.
    let bytes = [0x78, 0].repeat(MAX_FIELDS + 1);
    assert!(v1::BatchCheckFeaturesRequest::decode(&*bytes).is_ok());
    assert!(ReadBatch::decode(bytes.into()).is_err());
}
