//! `catalog ACCOUNT`: the locations that an account may see, with their prices where it may see
//! those.

mod pages;

use std::fmt::Write as _;

use super::client::Client;
use super::table::{align_right, render, table};
use super::{Verdict, json, output, words};
use crate::config::CatalogArgs;
use crate::config::text::escaped;
use crate::proto::v1::{Decision, FilterCatalogResponse, Location};

pub(super) async fn run(args: &CatalogArgs) -> anyhow::Result<Verdict> {
    let client = Client::connect(&args.client).await?;
    let answer = pages::fetch(&client, args).await?;
    let ordering = answer.ordering.as_ref().map_or(0, |order| order.effect);
    let (_, verdict) = words::effect(ordering)?;
    if args.client.service.json {
        output::print(&json::render("FilterCatalogResponse", &answer)?)?;
    } else if args.ids {
        output::print(&ids(&answer))?;
        output::note(footer(&answer)?.trim_end());
    } else {
        output::print(&format!("{}{}", locations(&answer), footer(&answer)?))?;
    }
    Ok(verdict)
}

fn ids(answer: &FilterCatalogResponse) -> String {
    let lines = answer.location_ids.iter();
    lines.map(|id| format!("{}\n", escaped(id))).collect()
}

/// A row for each offer; what is the location's stands in its first one.
fn locations(answer: &FilterCatalogResponse) -> String {
    if answer.locations.is_empty() {
        return String::new();
    }
    let mut columns = vec![
        "location", "name", "metro", "country", "market", "status", "product",
    ];
    if !answer.prices_redacted {
        columns.extend(["monthly", "set-up"]);
    }
    let mut rows = table(&columns);
    align_right(&mut rows, &[7, 8]);
    for location in &answer.locations {
        for row in offers(location) {
            rows.add_row(row.into_iter().take(columns.len()));
        }
    }
    format!("{}\n", render(&rows))
}

fn offers(location: &Location) -> Vec<Vec<String>> {
    let own = [
        &location.id,
        &location.name,
        &location.metro,
        &location.country,
        &location.market,
        &words::status(location.status),
    ]
    .map(|text| escaped(text).into_owned());
    let mut rows = Vec::new();
    for (index, offer) in location.offers.iter().enumerate() {
        let mut row = if index == 0 {
            own.to_vec()
        } else {
            vec![String::new(); own.len()]
        };
        let price = offer.price.as_ref();
        row.push(escaped(&offer.product).into_owned());
        row.push(words::money(price.and_then(|price| price.monthly.as_ref())));
        row.push(words::money(price.and_then(|price| price.setup.as_ref())));
        rows.push(row);
    }
    if rows.is_empty() {
        rows.push(own.to_vec());
    }
    rows
}

fn footer(answer: &FilterCatalogResponse) -> anyhow::Result<String> {
    let visible = answer.locations.len() + answer.location_ids.len();
    let prices = if answer.prices_redacted {
        "prices redacted"
    } else {
        "prices shown"
    };
    let mut text = format!(
        "{} visible, {} hidden, {prices} ({})\n",
        words::count(visible, "location", "locations"),
        answer.hidden_count,
        words::revision(answer.revision, answer.stale)
    );
    if !answer.next_page_token.is_empty() {
        text.push_str("there are more: raise --limit\n");
    }
    for decision in [&answer.ordering, &answer.pricing].into_iter().flatten() {
        text.push_str(&line(decision)?);
    }
    Ok(text)
}

fn line(decision: &Decision) -> anyhow::Result<String> {
    let (effect, _) = words::effect(decision.effect)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<16}{effect:<7}{}",
        escaped(&decision.feature),
        words::reason(decision.reason)
    );
    Ok(text)
}
