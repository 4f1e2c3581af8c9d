//! Page tokens: where a listing goes on, bound to what it lists.
//!
//! A token holds the last id of its page and a digest over that id, the account and the filters.
//! It needs no secret and no memory: it is good on every replica and after a restart, a damaged
//! one is noticed, and what a page holds is decided anew when it is asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::domain::{AccountId, LocationId, MarketCode};

const VERSION: u8 = 1;
const DIGEST: usize = 16;

/// What a listing is of: a token is good for that alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listing<'a> {
    pub(super) account: &'a AccountId,
    /// As they were sent; their order and repetitions do not matter.
    pub(super) markets: &'a [MarketCode],
    pub(super) metros: &'a [String],
}

impl Listing<'_> {
    /// The token to go on with after `last`.
    pub(super) fn token(&self, last: &LocationId) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.digest(last));
        bytes.extend(last.as_str().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where `token` goes on; nothing where it is empty.
    pub(super) fn position(&self, token: &str) -> Result<Option<LocationId>, &'static str> {
        const WRONG: &str = "is damaged, or was made for another account or other filters; \
                             a next_page_token of this listing is accepted";
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().ok_or(WRONG)?;
        let (version, rest) = bytes.split_first().ok_or(WRONG)?;
        let (digest, last) = rest.split_at_checked(DIGEST).ok_or(WRONG)?;
        let last = String::from_utf8(last.to_vec())
            .ok()
            .and_then(|last| LocationId::try_from(last).ok())
            .ok_or(WRONG)?;
        if *version != VERSION || digest != self.digest(&last) {
            return Err(WRONG);
        }
        Ok(Some(last))
    }

    fn digest(&self, last: &LocationId) -> [u8; DIGEST] {
        let mut markets: Vec<_> = self.markets.iter().map(MarketCode::as_str).collect();
        let mut metros: Vec<_> = self.metros.iter().map(String::as_str).collect();
        for list in [&mut markets, &mut metros] {
            list.sort_unstable();
            list.dedup();
        }
        let mut hash = Sha256::new();
        // Lengths before contents, so that no two listings are written alike.
        for list in [
            &[self.account.as_str()][..],
            &[last.as_str()],
            &markets,
            &metros,
        ] {
            hash.update((list.len() as u64).to_le_bytes());
            for text in list {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        let mut digest = [0; DIGEST];
        digest
            .iter_mut()
            .zip(hash.finalize())
            .for_each(|(to, from)| *to = from);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_good_for_its_listing_alone() {
        let (acme, other) = (
            AccountId::try_from("acme").unwrap(),
            AccountId::try_from("other").unwrap(),
        );
        let [au, nz] = ["AU", "NZ"].map(|code| MarketCode::try_from(code).unwrap());
        let metros = ["Sydney".to_owned()];
        let last = LocationId::try_from("eqsy3").unwrap();
        let listing = Listing {
            account: &acme,
            markets: &[au, nz],
            metros: &metros,
        };
        let token = listing.token(&last);
        assert_eq!(listing.position(&token), Ok(Some(last)));
        assert_eq!(listing.position(""), Ok(None));
        let reordered = Listing {
            markets: &[nz, au, au],
            ..listing
        };
        assert!(reordered.position(&token).is_ok());
        assert!(
            Listing {
                account: &other,
                ..listing
            }
            .position(&token)
            .is_err()
        );
        assert!(
            Listing {
                markets: &[au],
                ..listing
            }
            .position(&token)
            .is_err()
        );
        assert!(
            Listing {
                metros: &[],
                ..listing
            }
            .position(&token)
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_damage_is_noticed(at in 0_usize..40, with in any::<char>()) {
            let account = AccountId::try_from("acme").unwrap();
            let listing = Listing { account: &account, markets: &[], metros: &[] };
            let token = listing.token(&LocationId::try_from("eqsy3").unwrap());
            let mut damaged: Vec<char> = token.chars().collect();
            let at = at % damaged.len();
            prop_assume!(damaged[at] != with);
            damaged[at] = with;
            let damaged: String = damaged.into_iter().collect();
            prop_assert!(listing.position(&damaged).is_err());
        }

        #[test]
        fn any_text_is_no_token(text in ".{1,200}") {
            let account = AccountId::try_from("acme").unwrap();
            let listing = Listing { account: &account, markets: &[], metros: &[] };
            prop_assert!(listing.position(&text).is_err());
        }
    }
}
