//! Billing markets: the unit in which a partner enables ordering.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::id::{Invalid, quote};
use super::{CurrencyCode, Text};

/// The most billing markets that there may be.
pub const MAX_MARKETS: usize = 512;

/// The most aliases that one market may have.
pub(super) const MAX_ALIASES: usize = 64;

const MAX_CODE: usize = 16;

/// The code of a billing market, or an alias of one: 2 to 16 characters of `A-Z 0-9 _`.
///
/// Held in place, padded with zeros: copying, comparing and sorting cost no allocation. A policy
/// holds codes rather than positions in a catalogue, so that it can never be read against a
/// catalogue in which a position means another market.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketCode([u8; MAX_CODE]);

impl MarketCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl TryFrom<&str> for MarketCode {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        let accepted =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let mut code = [0; MAX_CODE];
        match code.get_mut(..value.len()) {
            Some(place) if value.len() >= 2 && value.bytes().all(accepted) => {
                place.copy_from_slice(value.as_bytes());
                Ok(Self(code))
            }
            Some(_) | None => Err(Invalid::new(format!(
                "{} is not a market code: 2 to 16 characters of A-Z 0-9 _ are accepted",
                quote(value)
            ))),
        }
    }
}

impl fmt::Display for MarketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MarketCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A billing market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingMarket {
    /// Its code.
    pub code: MarketCode,
    /// Its name for people.
    pub name: String,
    /// The currency that it is billed in.
    pub currency: CurrencyCode,
    /// Other codes that mean this market (`GB` for `UK`), sorted.
    pub aliases: Vec<MarketCode>,
}

impl BillingMarket {
    /// A market with its aliases sorted.
    ///
    /// # Errors
    /// [`Invalid`] for a name that is too long, more than 64 aliases, or one that is the code or named twice.
    pub fn new(
        code: MarketCode,
        name: String,
        currency: CurrencyCode,
        mut aliases: Vec<MarketCode>,
    ) -> Result<Self, Invalid> {
        Text::check(&name, super::MAX_NAME)?;
        if aliases.len() > MAX_ALIASES {
            return Err(Invalid::new(format!(
                "market `{code}` has {} aliases; at most {MAX_ALIASES} are accepted",
                aliases.len()
            )));
        }
        aliases.sort_unstable();
        let twice = aliases.windows(2).find_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        });
        if let Some(alias) = twice.or_else(|| aliases.contains(&code).then_some(code)) {
            return Err(Invalid::new(format!(
                "alias `{alias}` of market `{code}` is used twice"
            )));
        }
        Ok(Self {
            code,
            name,
            currency,
            aliases,
        })
    }
}

/// All billing markets, with their codes and aliases resolved.
#[derive(Debug, Clone, Default)]
pub struct Markets {
    by_code: BTreeMap<MarketCode, BillingMarket>,
    resolve: HashMap<MarketCode, MarketCode>,
}

/// A set of markets that cannot stand together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarketConflict {
    /// A code or an alias means two markets.
    #[error("`{name}` is a code or an alias of both market `{first}` and market `{second}`")]
    UsedTwice {
        /// What is used twice.
        name: MarketCode,
        /// One market.
        first: MarketCode,
        /// The other.
        second: MarketCode,
    },
    /// More than [`MAX_MARKETS`].
    #[error("{0} billing markets; at most {MAX_MARKETS} are accepted")]
    TooMany(usize),
}

impl Markets {
    /// The markets, if every code and alias means one of them only.
    ///
    /// # Errors
    /// [`MarketConflict`] otherwise, or where there are too many.
    pub fn new(by_code: BTreeMap<MarketCode, BillingMarket>) -> Result<Self, MarketConflict> {
        if by_code.len() > MAX_MARKETS {
            return Err(MarketConflict::TooMany(by_code.len()));
        }
        let mut resolve = HashMap::new();
        for market in by_code.values() {
            for name in std::iter::once(&market.code).chain(&market.aliases) {
                if let Some(first) = resolve.insert(*name, market.code) {
                    return Err(MarketConflict::UsedTwice {
                        name: *name,
                        first,
                        second: market.code,
                    });
                }
            }
        }
        Ok(Self { by_code, resolve })
    }

    /// The code of the market that `name`, a code or an alias, means.
    #[must_use]
    pub fn resolve(&self, name: MarketCode) -> Option<MarketCode> {
        self.resolve.get(&name).copied()
    }

    /// As [`Markets::resolve`], for text that may be empty or no code at all: both mean no market.
    #[must_use]
    pub fn resolve_text(&self, name: &str) -> Option<MarketCode> {
        MarketCode::try_from(name)
            .ok()
            .and_then(|name| self.resolve(name))
    }

    /// The markets by code.
    pub fn iter(&self) -> impl Iterator<Item = &BillingMarket> {
        self.by_code.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> MarketCode {
        MarketCode::try_from(text).unwrap()
    }

    fn market(name: &str, aliases: &[&str]) -> BillingMarket {
        let currency = CurrencyCode::try_from("EUR").unwrap();
        let aliases = aliases.iter().copied().map(code).collect();
        BillingMarket::new(code(name), name.to_owned(), currency, aliases).unwrap()
    }

    fn markets(all: Vec<BillingMarket>) -> Result<Markets, MarketConflict> {
        Markets::new(
            all.into_iter()
                .map(|market| (market.code, market))
                .collect(),
        )
    }

    #[test]
    fn codes() {
        for good in ["AU", "U_2", "0123456789ABCDEF"] {
            assert_eq!(code(good).as_str(), good);
        }
        for bad in ["", "A", "au", "A U", "É", "A-B", "0123456789ABCDEFG", "A\0"] {
            assert!(MarketCode::try_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_market_has_so_many_aliases_and_no_more() {
        let with = |count: usize| {
            let aliases = (0..count).map(|number| code(&format!("A{number}")));
            let euro = CurrencyCode::try_from("EUR").unwrap();
            BillingMarket::new(code("UK"), "UK".to_owned(), euro, aliases.collect())
        };
        assert!(with(MAX_ALIASES).is_ok());
        let error = with(MAX_ALIASES + 1).unwrap_err().to_string();
        assert_eq!(error, "market `UK` has 65 aliases; at most 64 are accepted");
    }

    #[test]
    fn aliases_resolve_and_unknown_names_do_not() {
        let markets = markets(vec![market("UK", &["GB", "XI"]), market("NO", &[])]).unwrap();
        assert_eq!(markets.resolve_text("GB"), Some(code("UK")));
        assert_eq!(markets.resolve_text("UK"), Some(code("UK")));
        assert_eq!(markets.resolve_text("NO"), Some(code("NO")));
        for unknown in ["", "gb", "BR", "far too long for a code"] {
            assert_eq!(markets.resolve_text(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_name_means_one_market() {
        assert!(markets(vec![market("UK", &["GB"]), market("GB", &[])]).is_err());
        assert!(markets(vec![market("UK", &["GB"]), market("IE", &["GB"])]).is_err());
        let twice = vec![code("GB"), code("GB")];
        assert!(
            BillingMarket::new(
                code("UK"),
                String::new(),
                CurrencyCode::try_from("GBP").unwrap(),
                twice
            )
            .is_err()
        );
    }
}
