//! The bytes of requests.

use bytes::{BufMut as _, Bytes, BytesMut};
use portcullis::proto::v1;
use prost::Message;

use crate::world;

/// How many checks there are at least before it begins again.
const ASKED: usize = 65_536;

/// Requests to one method.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Its path.
    pub path: &'static str,
    /// Framed as gRPC does.
    pub messages: Vec<Bytes>,
}

/// A message as gRPC frames it.
#[must_use]
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(length.try_into().unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

/// A check of one feature of an account.
#[must_use]
pub fn check(account: usize) -> v1::CheckFeatureRequest {
    v1::CheckFeatureRequest {
        account_id: world::account(account),
        feature: "pricing.view".to_owned(),
        consistency: None,
    }
}

impl Requests {
    /// Checks of accounts that are chosen at random of so many; as many as there are accounts, so
    /// that none is asked about again soon.
    #[must_use]
    pub fn checks(accounts: usize) -> Self {
        let message = |number| framed(&check(world::random(number, accounts)));
        Self {
            path: "/portcullis.v1.AuthorizationService/CheckFeature",
            messages: (0..ASKED.max(accounts)).map(message).collect(),
        }
    }

    /// The same in batches.
    #[must_use]
    pub fn batches(accounts: usize, size: usize) -> Self {
        let one = |number| {
            let v1::CheckFeatureRequest {
                account_id,
                feature,
                ..
            } = check(world::random(number, accounts));
            v1::FeatureCheck {
                account_id,
                feature,
            }
        };
        let message = |number: usize| {
            framed(&v1::BatchCheckFeaturesRequest {
                checks: (number * size..(number + 1) * size).map(one).collect(),
                consistency: None,
            })
        };
        Self {
            path: "/portcullis.v1.AuthorizationService/BatchCheckFeatures",
            messages: (0..accounts.div_ceil(size).min(4_096))
                .map(message)
                .collect(),
        }
    }

    /// The whole stored catalogue, as accounts see it that are chosen at random of so many.
    #[must_use]
    pub fn filters(accounts: usize) -> Self {
        let message = |number| {
            framed(&v1::FilterCatalogRequest {
                account_id: world::account(world::random(number, accounts)),
                ..v1::FilterCatalogRequest::default()
            })
        };
        Self {
            path: "/portcullis.v1.AuthorizationService/FilterCatalog",
            messages: (0..4_096).map(message).collect(),
        }
    }

    /// Batches that ask about every account once: afterwards all of them are cached.
    #[must_use]
    pub fn every(accounts: usize) -> Self {
        const SIZE: usize = 1_000;
        let one = |number| v1::FeatureCheck {
            account_id: world::account(number),
            feature: "pricing.view".to_owned(),
        };
        let message = |from: usize| {
            framed(&v1::BatchCheckFeaturesRequest {
                checks: (from..accounts.min(from + SIZE)).map(one).collect(),
                consistency: None,
            })
        };
        Self {
            path: "/portcullis.v1.AuthorizationService/BatchCheckFeatures",
            messages: (0..accounts).step_by(SIZE).map(message).collect(),
        }
    }
}
