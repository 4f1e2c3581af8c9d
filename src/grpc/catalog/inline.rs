//! A catalogue that the caller sends along.

use tonic::{Response, Status};

use crate::decisions::Call;
use crate::directory::Consistency;
use crate::domain::{
    AccountId, Invalid, LocationId, MAX_METRO, MAX_NAME, MAX_OFFERS, Money, Product, Text,
};
use crate::grpc::authorization::AuthorizationApi;
use crate::grpc::status::{Violations, undecodable};
use crate::proto::google::r#type as google;
use crate::proto::v1;

use super::canonical::CanonicalLocations;
use super::redacted::RedactedLocations;
use super::{CatalogAnswer, Kept, Prices, View, Visible, respond};

/// The most locations that a caller may send along.
pub(super) const MAX_INLINE_LOCATIONS: usize = 20_000;

/// The locations that were sent along, checked.
pub(super) enum Sent {
    /// As they are, for nothing is wrong with them.
    Canonical(CanonicalLocations),
    Decoded(Vec<v1::Location>),
}

impl AuthorizationApi {
    pub(super) async fn filter_inline(
        &self,
        account: AccountId,
        view: View,
        mut sent: Sent,
        consistency: Consistency,
        call: Call<'_>,
    ) -> Result<Response<CatalogAnswer>, Status> {
        let resolved = self
            .authorizer
            .catalog(account.clone(), consistency)
            .await?;
        let access = resolved.value.access()?;
        let shows = |market: &str| resolved.value.shows_inline(&access, market);
        let all = sent.len();
        sent.retain(shows);
        let count = sent.len();
        let visible = Visible {
            kept: sent.answered(view, Prices::of(&access))?,
            count,
            hidden: all - count,
            next_page_token: String::new(),
        };
        respond(&resolved, &access, &account, call, visible)
    }
}

impl Sent {
    fn len(&self) -> usize {
        match self {
            Self::Canonical(locations) => locations.len(),
            Self::Decoded(locations) => locations.len(),
        }
    }

    /// Keeps those in markets that are shown.
    fn retain(&mut self, shows: impl Fn(&str) -> bool) {
        match self {
            Self::Canonical(locations) => locations.retain(shows),
            Self::Decoded(locations) => locations.retain(|location| shows(&location.market)),
        }
    }

    fn answered(self, view: View, prices: Prices) -> Result<Kept, Status> {
        Ok(match (self, view, prices) {
            (Self::Canonical(locations), View::Full, Prices::Shown) => {
                Kept::Written(locations.written())
            }
            (Self::Canonical(locations), View::Full, Prices::Redacted) => {
                let redacted = locations.redacted();
                Kept::Written(redacted.map_err(|error| undecodable(&error))?)
            }
            (Self::Canonical(locations), View::Ids, _) => Kept::Ids(locations.ids()),
            (Self::Decoded(locations), View::Full, Prices::Shown) => Kept::Decoded(locations),
            (Self::Decoded(locations), View::Full, Prices::Redacted) => {
                Kept::Written(RedactedLocations::from(locations).written())
            }
            (Self::Decoded(locations), View::Ids, _) => {
                Kept::Ids(locations.into_iter().map(|location| location.id).collect())
            }
        })
    }
}

pub(super) fn check(violations: &mut Violations, locations: &[v1::Location]) {
    if locations.len() > MAX_INLINE_LOCATIONS {
        let message = format!(
            "has {} items; at most {MAX_INLINE_LOCATIONS} are accepted",
            locations.len()
        );
        violations.add("inline.locations", message);
        return;
    }
    for (index, location) in locations.iter().enumerate() {
        if let Err((field, invalid)) = check_location(location) {
            violations.add(
                format!("inline.locations[{index}].{field}"),
                invalid.to_string(),
            );
        }
    }
}

/// The first of what is wrong with a location that was sent along, with its field. Its market,
/// country, currencies and status are the sender's affair.
fn check_location(location: &v1::Location) -> Result<(), (String, Invalid)> {
    let at = |field: &str| {
        let field = field.to_owned();
        move |invalid| (field, invalid)
    };
    LocationId::check(&location.id).map_err(at("id"))?;
    Text::check(&location.name, MAX_NAME).map_err(at("name"))?;
    Text::check(&location.metro, MAX_METRO).map_err(at("metro"))?;
    if location.offers.len() > MAX_OFFERS {
        let message = format!(
            "has {} items; at most {MAX_OFFERS} are accepted",
            location.offers.len()
        );
        return Err(("offers".to_owned(), Invalid::new(message)));
    }
    for (index, offer) in location.offers.iter().enumerate() {
        let at = |field: &str| {
            let field = format!("offers[{index}].{field}");
            move |invalid| (field, invalid)
        };
        Product::check(&offer.product).map_err(at("product"))?;
        if let Some(price) = &offer.price {
            check_money(price.monthly.as_ref()).map_err(at("price.monthly"))?;
            check_money(price.setup.as_ref()).map_err(at("price.setup"))?;
        }
    }
    Ok(())
}

fn check_money(money: Option<&google::Money>) -> Result<(), Invalid> {
    money.map_or(Ok(()), |money| Money::check(money.units, money.nanos))
}
