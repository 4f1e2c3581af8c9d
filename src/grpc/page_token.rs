//! Page tokens: where a listing goes on, bound to what it lists.
//!
//! A token holds the last id of its page and a digest over that id and what is listed. It needs no
//! secret and no memory: it is good on every replica and after a restart, a damaged one is noticed,
//! and what a page holds is decided anew when it is asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const DIGEST: usize = 16;

/// What a listing is of: a token is good for that alone.
#[derive(Debug, Clone)]
pub(super) struct Listing<'a> {
    /// The method, and each condition.
    lists: Vec<Vec<&'a str>>,
}

impl<'a> Listing<'a> {
    /// The listing that `method` makes.
    pub(super) fn new(method: &'a str) -> Self {
        Self {
            lists: vec![vec![method]],
        }
    }

    /// On one condition more: one of `values`, whose order and repetitions do not matter. Empty is
    /// a condition too, that of having none.
    pub(super) fn of(mut self, values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        self.lists.push(values);
        self
    }

    /// The token to go on with after `last`.
    pub(super) fn token(&self, last: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.digest(last));
        bytes.extend(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where `token` goes on; nothing where it is empty.
    pub(super) fn position<T: TryFrom<String>>(
        &self,
        token: &str,
    ) -> Result<Option<T>, &'static str> {
        const WRONG: &str = "is damaged, or was made for another listing or other filters; \
                             a next_page_token of this listing is accepted";
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().ok_or(WRONG)?;
        let (version, rest) = bytes.split_first().ok_or(WRONG)?;
        let (digest, last) = rest.split_at_checked(DIGEST).ok_or(WRONG)?;
        let last = String::from_utf8(last.to_vec()).ok().ok_or(WRONG)?;
        if *version != VERSION || digest != self.digest(&last) {
            return Err(WRONG);
        }
        T::try_from(last).map(Some).ok().ok_or(WRONG)
    }

    fn digest(&self, last: &str) -> [u8; DIGEST] {
        let last = vec![last];
        let mut hash = Sha256::new();
        // Lengths before contents, so that no two listings are written alike.
        for list in self.lists.iter().chain([&last]) {
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
    use crate::domain::LocationId;
    use proptest::prelude::*;

    fn catalog<'a>(account: &'a str, markets: &[&'a str], metros: &[&'a str]) -> Listing<'a> {
        Listing::new("FilterCatalog")
            .of([account])
            .of(markets.iter().copied())
            .of(metros.iter().copied())
    }

    fn is_good(listing: &Listing<'_>, token: &str) -> bool {
        listing.position::<LocationId>(token).is_ok()
    }

    #[test]
    fn a_token_is_good_for_its_listing_alone() {
        let listing = catalog("acme", &["AU", "NZ"], &["Sydney"]);
        let token = listing.token("eqsy3");
        let last = LocationId::try_from("eqsy3").unwrap();
        assert_eq!(listing.position(&token), Ok(Some(last)));
        assert_eq!(listing.position::<LocationId>(""), Ok(None));
        assert!(is_good(
            &catalog("acme", &["NZ", "AU", "AU"], &["Sydney"]),
            &token
        ));
        for another in [
            catalog("other", &["AU", "NZ"], &["Sydney"]),
            catalog("acme", &["AU"], &["Sydney"]),
            catalog("acme", &["AU", "NZ"], &[]),
            catalog("acme", &["AU"], &["NZ", "Sydney"]),
            Listing::new("ListAccounts")
                .of(["acme"])
                .of(["AU", "NZ"])
                .of(["Sydney"]),
            Listing::new("ListAccounts").of(["acme"]),
            Listing::new("ListAccounts").of([]),
        ] {
            assert!(!is_good(&another, &token), "{another:?}");
        }
    }

    #[test]
    fn what_is_no_position_is_no_token() {
        let listing = Listing::new("ListAccounts").of([]);
        assert!(!is_good(&listing, &listing.token("not an id")));
    }

    proptest! {
        #[test]
        fn any_damage_is_noticed(at in 0_usize..40, with in any::<char>()) {
            let listing = catalog("acme", &[], &[]);
            let token = listing.token("eqsy3");
            let mut damaged: Vec<char> = token.chars().collect();
            let at = at % damaged.len();
            prop_assume!(damaged[at] != with);
            damaged[at] = with;
            let damaged: String = damaged.into_iter().collect();
            prop_assert!(!is_good(&listing, &damaged));
        }

        #[test]
        fn any_text_is_no_token(text in ".{1,200}") {
            prop_assert!(!is_good(&catalog("acme", &[], &[]), &text));
        }
    }
}
