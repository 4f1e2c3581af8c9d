//! Amounts of money, as google.type.Money counts them, and their text in data files.

use std::fmt;

use super::id::{Invalid, quote};

const NANOS_PER_UNIT: i32 = 1_000_000_000;

/// An ISO 4217 currency code: three letters `A-Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurrencyCode([u8; 3]);

impl CurrencyCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<&str> for CurrencyCode {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        match <[u8; 3]>::try_from(value.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            Ok(_) | Err(_) => Err(Invalid::new(format!(
                "{} is not a currency code: three letters A-Z are accepted",
                quote(value)
            ))),
        }
    }
}

/// An amount: whole units and billionths of one, of one sign. Zero is a real price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    currency: CurrencyCode,
    units: i64,
    nanos: i32,
}

impl Money {
    /// An amount.
    ///
    /// # Errors
    /// [`Invalid`] where units and nanos differ in sign, or nanos make a whole unit.
    pub fn new(currency: CurrencyCode, units: i64, nanos: i32) -> Result<Self, Invalid> {
        Self::check(units, nanos)?;
        Ok(Self {
            currency,
            units,
            nanos,
        })
    }

    /// Whether `units` and `nanos` make one amount.
    ///
    /// # Errors
    /// As for [`Money::new`].
    pub fn check(units: i64, nanos: i32) -> Result<(), Invalid> {
        if nanos <= -NANOS_PER_UNIT || nanos >= NANOS_PER_UNIT {
            return Err(Invalid::new(format!(
                "nanos {nanos} is not between -999999999 and 999999999"
            )));
        }
        if (units > 0 && nanos < 0) || (units < 0 && nanos > 0) {
            return Err(Invalid::new(format!(
                "units {units} and nanos {nanos} differ in sign"
            )));
        }
        Ok(())
    }

    /// The currency.
    #[must_use]
    pub fn currency(&self) -> CurrencyCode {
        self.currency
    }

    /// Whole units.
    #[must_use]
    pub fn units(&self) -> i64 {
        self.units
    }

    /// Billionths of a unit.
    #[must_use]
    pub fn nanos(&self) -> i32 {
        self.nanos
    }
}

/// `1200 AUD`, `0.50 EUR`: at least two decimals where there are any.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 || self.nanos < 0 {
            "-"
        } else {
            ""
        };
        write!(f, "{sign}{}", self.units.unsigned_abs())?;
        if self.nanos != 0 {
            let digits = format!("{:09}", self.nanos.unsigned_abs());
            let trimmed = digits.trim_end_matches('0');
            write!(f, ".{trimmed:0<2}")?;
        }
        write!(f, " {}", self.currency.as_str())
    }
}

/// Reads what [`Money`]'s `Display` writes, and any decimal with up to nine places.
impl TryFrom<&str> for Money {
    type Error = Invalid;

    fn try_from(value: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!(
                "{} is not an amount: a decimal number with up to nine places, a space and a \
                 currency code are accepted, as in `1200.00 AUD`",
                quote(value)
            ))
        };
        let (amount, currency) = value.split_once(' ').ok_or_else(wrong)?;
        let currency = CurrencyCode::try_from(currency)?;
        let (negative, digits) = match amount.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, amount),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(wrong()),
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 9 || !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        // The sign is read with the digits: the least number has no positive counterpart.
        let sign = if negative { "-" } else { "" };
        let units: i64 = format!("{sign}{whole}").parse().ok().ok_or_else(wrong)?;
        let nanos: i32 = format!("{sign}{fraction:0<9}")
            .parse()
            .ok()
            .ok_or_else(wrong)?;
        Self::new(currency, units, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (text, units, nanos, again) in [
            ("1200.00 AUD", 1200, 0, "1200 AUD"),
            ("0 AUD", 0, 0, "0 AUD"),
            ("277.5 AUD", 277, 500_000_000, "277.50 AUD"),
            ("-0.000000001 JPY", 0, -1, "-0.000000001 JPY"),
            ("-3.25 USD", -3, -250_000_000, "-3.25 USD"),
            (
                "-9223372036854775808 USD",
                i64::MIN,
                0,
                "-9223372036854775808 USD",
            ),
        ] {
            let money = Money::try_from(text).unwrap();
            assert_eq!((money.units(), money.nanos()), (units, nanos), "{text}");
            assert_eq!(money.to_string(), again);
            assert_eq!(Money::try_from(again), Ok(money));
        }
        for bad in [
            "",
            "1",
            "1 aud",
            "AUD",
            "1. AUD",
            ".5 AUD",
            "1,5 AUD",
            "1e3 AUD",
            "+1 AUD",
            "1  AUD",
            "--1 AUD",
            "1.0000000001 AUD",
            "9223372036854775808 AUD",
        ] {
            assert!(Money::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_and_nanos_are_of_one_sign() {
        let usd = CurrencyCode::try_from("USD").unwrap();
        assert!(Money::new(usd, 1, -1).is_err());
        assert!(Money::new(usd, -1, 1).is_err());
        assert!(Money::new(usd, 0, -1).is_ok());
        assert!(Money::new(usd, 0, 1_000_000_000).is_err());
    }
}
