//! How many items a message may have, counted before it is decoded.
//!
//! An empty item takes two bytes on the wire and a hundred and more in memory: a message within its
//! limit of bytes could take a thousand times as much. So items are counted on the wire first, by
//! their tags alone. What is not well-formed is left to the decoder, which says so.

use tonic::Status;

use super::status::too_many;

/// The most fields that a message may have, its items among them: every list of the API has its own
/// bound below this.
pub(super) const MAX_FIELDS: usize = 100_000;

/// A list within a message, or a message on the way to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The number of its field.
    pub(crate) field: u64,
    /// What it is called where there are too many.
    pub(crate) name: &'static str,
    /// The most items in one message.
    pub(crate) most: usize,
    /// The most items in all, wherever they are.
    pub(crate) in_all: usize,
    /// The lists within each item; at most four.
    pub(crate) within: &'static [Shape],
}

impl Shape {
    /// A list of messages that have no lists.
    pub(crate) const fn list(field: u64, name: &'static str, most: usize) -> Self {
        Self {
            field,
            name,
            most,
            in_all: usize::MAX,
            within: &[],
        }
    }
}

/// Counts the fields of a message.
///
/// # Errors
/// INVALID_REQUEST where there are too many.
pub(super) fn check_fields(message: &[u8]) -> Result<(), Status> {
    let mut count = 0;
    let most = message.len() / 2;
    if most <= MAX_FIELDS {
        return Ok(());
    }
    walk(message, &mut |_, _| {
        count += 1;
        match count > MAX_FIELDS {
            true => Err(too_many("message", MAX_FIELDS)),
            false => Ok(()),
        }
    })
}

/// Counts the items of a message, as far as `shapes` names them.
///
/// # Errors
/// INVALID_REQUEST where there are too many of one.
pub(crate) fn check_items(message: &[u8], shapes: &'static [Shape]) -> Result<(), Status> {
    items(message, shapes, &mut [0; 4])
}

/// `in_all` counts what is within, over all messages of this kind.
fn items(message: &[u8], shapes: &'static [Shape], in_all: &mut [usize; 4]) -> Result<(), Status> {
    let mut counts = [0_usize; 4];
    let mut deeper = [0_usize; 4];
    walk(message, &mut |field, item| {
        let named = shapes.iter().zip(&mut counts).zip(&mut *in_all);
        for ((shape, count), all) in named {
            if shape.field == field
                && let Some(item) = item
            {
                *count += 1;
                *all += 1;
                if *count > shape.most || *all > shape.in_all {
                    return Err(too_many(shape.name, shape.most));
                }
                if !shape.within.is_empty() {
                    items(item, shape.within, &mut deeper)?;
                }
            }
        }
        Ok(())
    })
}

/// What is done with a field: its number, and its bytes where it has a length.
type OnField<'a> = dyn FnMut(u64, Option<&[u8]>) -> Result<(), Status> + 'a;

/// Goes over the fields of a message: their numbers, and the bytes of those that have a length. Ends
/// where something is not well-formed.
fn walk(mut rest: &[u8], on: &mut OnField<'_>) -> Result<(), Status> {
    while !rest.is_empty() {
        let Some((tag, after)) = varint(rest) else {
            return Ok(());
        };
        let skipped = skip(tag, after);
        let Some((item, after)) = skipped else {
            return Ok(());
        };
        on(tag >> 3, item)?;
        rest = after;
    }
    Ok(())
}

/// The bytes of a field, where they have a length, and what comes after it.
pub(super) fn skip(tag: u64, after: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let rest = match tag & 7 {
        0 => varint(after)?.1,
        1 => after.get(8..)?,
        2 => {
            let (length, after) = varint(after)?;
            let (item, rest) = after.split_at_checked(usize::try_from(length).ok()?)?;
            return Some((Some(item), rest));
        }
        // Groups have no length: their fields are counted as if they were of this message.
        3 | 4 => after,
        5 => after.get(4..)?,
        _ => return None,
    };
    Some((None, rest))
}

/// A number, and what comes after it. One that is longer than it need be is taken too.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::grpc::{FILTER_CATALOG, PUT_LOCATIONS};
    use crate::proto::v1;

    fn location(offers: usize) -> v1::Location {
        v1::Location {
            id: "syd".to_owned(),
            name: "x".repeat(200),
            offers: vec![v1::Offer::default(); offers],
            ..v1::Location::default()
        }
    }

    fn inline(locations: Vec<v1::Location>) -> Vec<u8> {
        let catalog = v1::filter_catalog_request::Catalog::Inline(v1::InlineCatalog { locations });
        v1::FilterCatalogRequest {
            account_id: "acme".to_owned(),
            catalog: Some(catalog),
            ..v1::FilterCatalogRequest::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn items_are_counted_before_they_are_decoded() {
        let empty = |count| vec![v1::Location::default(); count];
        for (what, message, is_accepted) in [
            ("40,000 locations", inline(empty(40_000)), true),
            ("40,001 locations", inline(empty(40_001)), false),
            ("512 offers each", inline(vec![location(512); 100]), true),
            ("513 offers", inline(vec![location(513)]), false),
            ("too many in all", inline(vec![location(256); 4_000]), false),
            (
                "groups, which the decoder refuses",
                vec![0x1b; 100_000],
                true,
            ),
            ("nothing", Vec::new(), true),
        ] {
            let checked = check_items(&message, FILTER_CATALOG);
            assert_eq!(checked.is_ok(), is_accepted, "{what}: {checked:?}");
        }
        let put = v1::PutLocationsRequest {
            locations: empty(20_001),
            context: None,
        };
        let status = check_items(&put.encode_to_vec(), PUT_LOCATIONS).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn fields_are_counted_too() {
        assert!(check_fields(&[0x0a, 0].repeat(MAX_FIELDS)).is_ok());
        assert!(check_fields(&[0x0a, 0].repeat(MAX_FIELDS + 1)).is_err());
        assert!(
            check_fields(&vec![0xff; 1 << 20]).is_ok(),
            "the decoder's affair"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_walked(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = check_items(&bytes, FILTER_CATALOG);
            let _ = walk(&bytes, &mut |_, _| Ok(()));
        }
    }
}
