//! Who writes, why and under which conditions; and by what a repetition is known.

use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::administrator::Circumstances;
use crate::domain::{Invalid, Revision, Text, quote};
use crate::grpc::caller::Caller;
use crate::grpc::status::Violations;
use crate::proto::v1;
use crate::store::{Idempotency, MAX_ACTOR, MAX_COMMENT, MAX_IDEMPOTENCY_KEY};

/// A request to write.
pub(super) trait WriteMessage: Message {
    /// The method that it is sent to.
    const METHOD: &'static str;

    /// Its context.
    fn context(&mut self) -> &mut Option<v1::ChangeContext>;
}

macro_rules! write_messages {
    ($($message:ident $method:literal)*) => {
        $(
            impl WriteMessage for v1::$message {
                const METHOD: &'static str = $method;

                fn context(&mut self) -> &mut Option<v1::ChangeContext> {
                    &mut self.context
                }
            }
        )*
    };
}

write_messages! {
    UpdatePartnerPolicyRequest "UpdatePartnerPolicy"
    UpdateAccountSettingsRequest "UpdateAccountSettings"
    PutAccountRequest "PutAccount"
    DeleteAccountRequest "DeleteAccount"
    PutBillingMarketsRequest "PutBillingMarkets"
    DeleteBillingMarketsRequest "DeleteBillingMarkets"
    PutLocationsRequest "PutLocations"
    DeleteLocationsRequest "DeleteLocations"
}

/// Takes the context out of `message`, whose fields are named with `prefix`.
pub(super) fn take<M: WriteMessage>(
    violations: &mut Violations,
    message: &mut M,
    caller: Caller,
    prefix: &str,
) -> Option<Circumstances> {
    let at = |field: &str| format!("{prefix}context.{field}");
    let idempotency = violations.take(|| at("idempotency_key"), idempotency(message));
    let v1::ChangeContext {
        actor,
        comment,
        expected_revision,
        idempotency_key: _,
    } = message.context().take().unwrap_or_default();
    let Caller(caller) = caller;
    let text = |text: String, max| Text::check(&text, max).map(|()| text);
    let actor = violations.take(|| at("actor"), text(actor, MAX_ACTOR));
    let comment = violations.take(|| at("comment"), text(comment, MAX_COMMENT));
    Some(Circumstances {
        actor: actor.map(|actor| match actor.as_str() {
            // The name of who called may be longer than the history takes.
            "" => caller.chars().take(MAX_ACTOR).collect(),
            _ => actor,
        })?,
        caller,
        comment: comment?,
        expected: expected_revision.map(Revision),
        idempotency: idempotency?,
    })
}

/// The key with the digest of all else; none where there is no key.
fn idempotency<M: WriteMessage>(message: &mut M) -> Result<Option<Idempotency>, Invalid> {
    let key = message
        .context()
        .as_mut()
        .map(|context| std::mem::take(&mut context.idempotency_key))
        .unwrap_or_default();
    if key.is_empty() {
        return Ok(None);
    }
    check_key(&key)?;
    Ok(Some(Idempotency {
        method: M::METHOD,
        key,
        digest: digest(message),
    }))
}

fn check_key(key: &str) -> Result<(), Invalid> {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if key.len() <= MAX_IDEMPOTENCY_KEY && key.bytes().all(printable) {
        return Ok(());
    }
    Err(Invalid::new(format!(
        "{} is not a key: 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters are accepted",
        quote(key)
    )))
}

/// SHA-256 of what the message says, its key cleared. As it is encoded here, not as it was sent:
/// fields in the order of their numbers, maps in that of their keys, nothing that is not declared.
fn digest(message: &impl Message) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use prost::encoding::{WireType, encode_key, encode_varint};

    use super::*;

    const FEATURES: [&str; 5] = ["a.a", "a.b", "b.a", "pricing.view", "z.z"];

    fn push(message: &mut Vec<u8>, number: u32, content: &[u8]) {
        encode_key(number, WireType::LengthDelimited, message);
        encode_varint(content.len() as u64, message);
        message.extend(content);
    }

    /// The fields of a request as they may be sent: each by itself, in any order.
    fn fields(
        settings: &[&str],
        markets: &[&str],
        comment: &str,
        key: &str,
    ) -> Vec<(u32, Vec<u8>)> {
        let mut fields = vec![(1, b"northwind".to_vec())];
        for feature in settings {
            let mut entry = Vec::new();
            push(&mut entry, 1, feature.as_bytes());
            encode_key(2, WireType::Varint, &mut entry);
            encode_varint(1, &mut entry);
            fields.push((2, entry));
        }
        fields.extend(markets.iter().map(|market| (3, market.as_bytes().to_vec())));
        let context = v1::ChangeContext {
            comment: comment.to_owned(),
            idempotency_key: key.to_owned(),
            ..v1::ChangeContext::default()
        };
        fields.push((5, context.encode_to_vec()));
        // One that is not declared.
        fields.push((99, b"x".to_vec()));
        fields
    }

    fn digest_of(fields: &[(u32, Vec<u8>)]) -> [u8; 32] {
        let mut bytes = Vec::new();
        for (number, content) in fields {
            push(&mut bytes, *number, content);
        }
        let mut message = v1::UpdatePartnerPolicyRequest::decode(bytes.as_slice()).unwrap();
        idempotency(&mut message).unwrap().unwrap().digest
    }

    proptest! {
        #[test]
        fn a_digest_does_not_depend_on_how_a_request_was_written(
            settings in subsequence(&FEATURES[..], 0..=5).prop_shuffle(),
            comment in "[a-c]{0,2}",
            seed in any::<proptest::sample::Index>(),
        ) {
            let sent = fields(&settings, &["AU"], &comment, "one");
            let mut other = fields(&settings, &["AU"], &comment, "another");
            let by = seed.index(other.len());
            other.rotate_left(by);
            prop_assert_eq!(digest_of(&sent), digest_of(&other));
        }

        #[test]
        fn another_request_has_another_digest(
            settings in subsequence(&FEATURES[..], 0..=5),
            others in subsequence(&FEATURES[..], 0..=5),
            comment in "[a-c]{0,2}",
            another in "[a-c]{0,2}",
        ) {
            let same = settings == others && comment == another;
            let one = digest_of(&fields(&settings, &["AU"], &comment, "k"));
            let two = digest_of(&fields(&others, &["AU"], &another, "k"));
            prop_assert_eq!(one == two, same);
            // Markets are a list, whose order is a part of it.
            let [there, back] = [["AU", "NZ"], ["NZ", "AU"]]
                .map(|markets| digest_of(&fields(&settings, &markets, &comment, "k")));
            prop_assert_ne!(there, back);
        }
    }
}
