//! Locations that need not be decoded: written as prost writes them, with nothing wrong.
//!
//! What is recognised here is, byte by byte, what prost would make of the same locations if it
//! decoded and encoded them: declared fields alone, in ascending order, each once and none with its
//! default value, texts of UTF-8, numbers and lengths in as few bytes as they need. And each location
//! passes the checks of `inline::check_location`. So those that are kept can be copied. About the rest nothing is said, not even what is odd about it: that is for prost and for
//! those checks, in their order and in their words.

use std::ops::Range;
use std::str::Utf8Error;

use bytes::Bytes;
use prost::{DecodeError, Message as _};

use crate::domain::{Invalid, LocationId, MAX_METRO, MAX_NAME, MAX_OFFERS, Money, Product, Text};

use super::redacted::RedactedLocations;
use super::written::Written;

/// The locations of an `InlineCatalog`.
#[derive(Debug)]
pub(super) struct CanonicalLocations {
    catalog: Bytes,
    places: Vec<Place>,
}

/// Where a location is, and what of it decides.
#[derive(Debug)]
struct Place {
    /// With its tag and length.
    whole: Range<usize>,
    id: Range<usize>,
    market: Range<usize>,
}

/// Not recognised, for whatever reason.
#[derive(Debug)]
struct Odd;

impl From<Invalid> for Odd {
    fn from(_: Invalid) -> Self {
        Self
    }
}

impl From<Utf8Error> for Odd {
    fn from(_: Utf8Error) -> Self {
        Self
    }
}

impl CanonicalLocations {
    /// The locations of an encoded `InlineCatalog`, at most so many; none where anything is odd.
    pub(super) fn recognise(catalog: Bytes, most: usize) -> Option<Self> {
        let places = places(&catalog, most).ok()?;
        Some(Self { catalog, places })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Keeps those in markets that are shown.
    pub(super) fn retain(&mut self, shows: impl Fn(&str) -> bool) {
        let catalog = &self.catalog;
        self.places
            .retain(|place| shows(text(catalog, &place.market)));
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let ids = self
            .places
            .iter()
            .map(|place| text(&self.catalog, &place.id));
        ids.map(str::to_owned).collect()
    }

    /// Them as they were sent.
    pub(super) fn written(&self) -> Written {
        let mut written = Written::from(self.catalog.clone());
        for place in &self.places {
            written.push(place.whole.clone());
        }
        written
    }

    /// Them without prices: decoded and encoded, one at a time.
    ///
    /// # Errors
    /// None: they are what prost would write.
    pub(super) fn redacted(&self) -> Result<Written, DecodeError> {
        let mut redacted = Vec::new();
        for place in &self.places {
            let location = bytes(&self.catalog, &place.whole);
            redacted.extend(RedactedLocations::decode(location)?.encode_to_vec());
        }
        Ok(Written::whole(redacted.into()))
    }
}

fn bytes<'a>(catalog: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    catalog.get(range.clone()).unwrap_or_default()
}

/// Text that was looked at. An empty market is one that is hidden.
fn text<'a>(catalog: &'a [u8], range: &Range<usize>) -> &'a str {
    std::str::from_utf8(bytes(catalog, range)).unwrap_or_default()
}

fn places(catalog: &[u8], most: usize) -> Result<Vec<Place>, Odd> {
    let mut places = Vec::new();
    let mut fields = Fields(catalog);
    let mut start = 0;
    while let Some(location) = fields.bytes(1)? {
        let end = catalog.len() - fields.0.len();
        let base = end - location.len();
        let (id, market) = check_location(location)?;
        let within = |range: Range<usize>| base + range.start..base + range.end;
        places.push(Place {
            whole: start..end,
            id: within(id),
            market: within(market),
        });
        start = end;
    }
    fields.end()?;
    is_right(places.len() <= most)?;
    Ok(places)
}

/// The `Location` that these bytes are: where its id is, and its market.
fn check_location(location: &[u8]) -> Result<(Range<usize>, Range<usize>), Odd> {
    let mut fields = Fields(location);
    // Where the field is of which these are the last bytes that were read.
    let at = |rest: &Fields<'_>, value: &[u8]| {
        let end = location.len() - rest.0.len();
        end - value.len()..end
    };
    let id = fields.value(1)?;
    is_right(LocationId::is_text_of(id))?;
    let id = at(&fields, id);
    Text::check(fields.text(2)?, MAX_NAME)?;
    Text::check(fields.text(3)?, MAX_METRO)?;
    let _country = fields.text(4)?;
    let market = fields.text(5)?;
    let market = at(&fields, market.as_bytes());
    let _status = fields.int32(6)?;
    let mut offers = 0;
    while let Some(offer) = fields.bytes(7)? {
        check_offer(offer)?;
        offers += 1;
    }
    fields.end()?;
    is_right(offers <= MAX_OFFERS)?;
    Ok((id, market))
}

fn check_offer(offer: &[u8]) -> Result<(), Odd> {
    let mut fields = Fields(offer);
    is_right(Product::is_text_of(fields.value(1)?))?;
    if let Some(price) = fields.bytes(2)? {
        let mut price = Fields(price);
        for part in [1, 2] {
            if let Some(money) = price.bytes(part)? {
                check_money(money)?;
            }
        }
        price.end()?;
    }
    fields.end()
}

fn check_money(money: &[u8]) -> Result<(), Odd> {
    let mut fields = Fields(money);
    let currency = fields.value(1)?;
    // Shorter than a call of what else can tell.
    is_right(currency.is_ascii() || std::str::from_utf8(currency).is_ok())?;
    let units = fields.number(2)?.cast_signed();
    let nanos = fields.int32(3)?;
    Money::check(units, nanos)?;
    fields.end()
}

fn is_right(is_right: bool) -> Result<(), Odd> {
    match is_right {
        true => Ok(()),
        false => Err(Odd),
    }
}

/// What is left of a message. Its fields are asked for in ascending order, so that one that is out of
/// order, there again or not declared is left at the [end](Self::end).
///
/// Always inlined: so the slice stays in registers, and a location is read in a quarter of the time.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field, if it is this one and has a length. A number of a field is below 16 here, so
    /// that its tag is one byte.
    #[inline(always)]
    fn bytes(&mut self, field: u8) -> Result<Option<&'a [u8]>, Odd> {
        if !self.is_next(field, 2) {
            return Ok(None);
        }
        let length = usize::try_from(self.varint()?).map_err(|_too_long| Odd)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Odd)?;
        self.0 = rest;
        Ok(Some(bytes))
    }

    /// The same; empty where it is not there, and never where it is.
    #[inline(always)]
    fn value(&mut self, field: u8) -> Result<&'a [u8], Odd> {
        match self.bytes(field)? {
            None => Ok(&[]),
            Some([]) => Err(Odd),
            Some(bytes) => Ok(bytes),
        }
    }

    /// The same as text.
    #[inline(always)]
    fn text(&mut self, field: u8) -> Result<&'a str, Odd> {
        Ok(std::str::from_utf8(self.value(field)?)?)
    }

    /// The same as a number; zero where it is not there, and never where it is.
    #[inline(always)]
    fn number(&mut self, field: u8) -> Result<u64, Odd> {
        if !self.is_next(field, 0) {
            return Ok(0);
        }
        match self.varint()? {
            0 => Err(Odd),
            number => Ok(number),
        }
    }

    /// The same of 32 bits. More would be cut off when it is decoded.
    #[inline(always)]
    fn int32(&mut self, field: u8) -> Result<i32, Odd> {
        i32::try_from(self.number(field)?.cast_signed()).map_err(|_too_large| Odd)
    }

    /// That nothing is left.
    #[inline(always)]
    fn end(&self) -> Result<(), Odd> {
        match self.0 {
            [] => Ok(()),
            [..] => Err(Odd),
        }
    }

    /// Whether the next field is this one, past its tag.
    #[inline(always)]
    fn is_next(&mut self, field: u8, kind: u8) -> bool {
        match self.0 {
            [tag, rest @ ..] if *tag == field << 3 | kind => {
                self.0 = rest;
                true
            }
            [..] => false,
        }
    }

    /// A number in as few bytes as it needs. Most of them are one or two.
    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Odd> {
        let (number, rest) = match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => (u64::from(*byte), rest),
            [low, high @ 1..0x80, rest @ ..] => {
                (u64::from(low & 0x7f) | u64::from(*high) << 7, rest)
            }
            [..] => long_varint(self.0)?,
        };
        self.0 = rest;
        Ok(number)
    }
}

/// A number of more than one byte, and what comes after it.
fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Odd> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            let is_too_long = *byte == 0;
            let is_too_large = *byte > 1 && place == 9;
            is_right(!is_too_long && !is_too_large)?;
            let rest = bytes.get(place + 1..).ok_or(Odd)?;
            return Ok((number, rest));
        }
    }
    Err(Odd)
}
