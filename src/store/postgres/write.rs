//! Writing the differences between two states, in arrays of rows.
//!
//! Foreign keys are deferred, so the order of statements is free but for two things: rows go
//! before others come, because the unique keys are not deferred, and the policy of one who is no
//! partner any more goes whole.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::import::Progress;
use super::row::Parameter;
use super::rows::{OfferRow, Rows};
use super::{failure, row};
use crate::domain::{AccountKind, Revision, SupportProvider};
use crate::store::{Delta, ImportProgress, StoreError};

/// Rows in one statement: enough that the round trip does not count, few enough that progress is
/// seen and memory stays small.
const CHUNK: usize = 5_000;

/// Writes the rows of one change.
pub(super) struct Writer<'a> {
    client: &'a Client,
    revision: i64,
    progress: Option<&'a Progress>,
    done: usize,
    of: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        client: &'a Client,
        revision: Revision,
        progress: Option<&'a Progress>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            client,
            revision: row::stored_revision(revision)?,
            progress,
            done: 0,
            of: 0,
        })
    }

    /// Writes `delta`. The transaction holds the head's lock, is at the new revision and marked.
    pub(super) async fn write(&mut self, delta: &Delta) -> Result<(), StoreError> {
        let rows = Rows::of(delta);
        self.of = rows.count();
        self.remove(&rows).await?;
        self.put_catalog(&rows).await?;
        self.put_accounts(&rows).await?;
        self.put_choices(&rows).await
    }

    async fn remove(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        let pairs = [
            (
                "DELETE FROM account_setting USING unnest($1::text[], $2::text[]) gone (a, b)
                WHERE account_id = a AND feature = b",
                &rows.gone_account_settings,
            ),
            (
                "DELETE FROM partner_setting USING unnest($1::text[], $2::text[]) gone (a, b)
                WHERE partner_id = a AND feature = b",
                &rows.gone_partner_settings,
            ),
            (
                "DELETE FROM partner_market USING unnest($1::text[], $2::text[]) gone (a, b)
                WHERE partner_id = a AND market = b",
                &rows.gone_partner_markets,
            ),
        ];
        for (sql, gone) in pairs {
            for chunk in gone.chunks(CHUNK) {
                let (a, b): (Vec<&str>, Vec<&str>) = chunk.iter().copied().unzip();
                let parameters: [Parameter<'_>; 2] = [text(&a), text(&b)];
                self.execute(sql, chunk.len(), &parameters).await?;
            }
        }
        let keys = [
            (
                "DELETE FROM partner_policy WHERE partner_id = ANY($1)",
                &rows.gone_policies,
            ),
            (
                "DELETE FROM offer WHERE location_id = ANY($1)",
                &rows.gone_offers_of,
            ),
            (
                "DELETE FROM location WHERE id = ANY($1)",
                &rows.gone_locations,
            ),
            (
                "DELETE FROM billing_market_alias WHERE market = ANY($1)",
                &rows.gone_aliases_of,
            ),
            (
                "DELETE FROM billing_market WHERE code = ANY($1)",
                &rows.gone_markets,
            ),
            (
                "DELETE FROM account WHERE id = ANY($1)",
                &rows.gone_accounts,
            ),
        ];
        for (sql, gone) in keys {
            for chunk in gone.chunks(CHUNK) {
                let chunk = chunk.to_vec();
                self.execute(sql, chunk.len(), &[text(&chunk)]).await?;
            }
        }
        Ok(())
    }

    async fn put_catalog(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        for chunk in rows.markets.chunks(CHUNK) {
            let codes = column(chunk, |market| market.code.as_str());
            let names = column(chunk, |market| market.name.as_str());
            let currencies: Vec<String> = column(chunk, |market| market.currency.as_str().into());
            let sql = "INSERT INTO billing_market (code, name, currency)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
                ON CONFLICT (code) DO UPDATE
                SET name = excluded.name, currency = excluded.currency";
            let parameters: [Parameter<'_>; 3] = [text(&codes), text(&names), text(&currencies)];
            self.execute(sql, chunk.len(), &parameters).await?;
        }
        for chunk in rows.aliases.chunks(CHUNK) {
            let (aliases, markets): (Vec<&str>, Vec<&str>) = chunk.iter().copied().unzip();
            let sql = "INSERT INTO billing_market_alias (alias, market)
                SELECT * FROM unnest($1::text[], $2::text[])";
            self.execute(sql, chunk.len(), &[text(&aliases), text(&markets)])
                .await?;
        }
        for chunk in rows.locations.chunks(CHUNK) {
            let ids = column(chunk, |location| location.id.as_str());
            let names = column(chunk, |location| location.name.as_str());
            let metros = column(chunk, |location| location.metro.as_str());
            let countries = column(chunk, |location| location.country.as_str());
            let markets: Vec<Option<String>> = column(chunk, |location| {
                location.market.map(|market| market.to_string())
            });
            let statuses = column(chunk, |location| {
                location.status.map(|status| status.as_str())
            });
            let sql = "INSERT INTO location (id, name, metro, country, market, status)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                    $6::text[])
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, metro = excluded.metro,
                    country = excluded.country, market = excluded.market,
                    status = excluded.status";
            let parameters: [Parameter<'_>; 6] = [
                text(&ids),
                text(&names),
                text(&metros),
                text(&countries),
                text(&markets),
                text(&statuses),
            ];
            self.execute(sql, chunk.len(), &parameters).await?;
        }
        for chunk in rows.offers.chunks(CHUNK) {
            self.put_offers(chunk).await?;
        }
        Ok(())
    }

    async fn put_offers(&mut self, chunk: &[OfferRow<'_>]) -> Result<(), StoreError> {
        let locations = column(chunk, |row| row.location);
        let positions = column(chunk, |row| row.position);
        let products = column(chunk, |row| row.offer.product.as_str());
        let priced = column(chunk, |row| row.offer.price.is_some());
        let monthly = column(chunk, |row| row.offer.price.and_then(|price| price.monthly));
        let setup = column(chunk, |row| row.offer.price.and_then(|price| price.setup));
        let [monthly, setup] = [monthly, setup].map(|amounts| {
            let currencies: Vec<Option<String>> = column(&amounts, |amount| {
                amount.map(|amount| amount.currency().as_str().into())
            });
            let units = column(&amounts, |amount| amount.map(|amount| amount.units()));
            let nanos = column(&amounts, |amount| amount.map(|amount| amount.nanos()));
            (currencies, units, nanos)
        });
        let sql = "INSERT INTO offer (location_id, position, product, priced, monthly_currency,
                monthly_units, monthly_nanos, setup_currency, setup_units, setup_nanos)
            SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::boolean[],
                $5::text[], $6::bigint[], $7::integer[], $8::text[], $9::bigint[], $10::integer[])";
        let parameters: [Parameter<'_>; 10] = [
            text(&locations),
            (&positions, Type::INT2_ARRAY),
            text(&products),
            (&priced, Type::BOOL_ARRAY),
            text(&monthly.0),
            (&monthly.1, Type::INT8_ARRAY),
            (&monthly.2, Type::INT4_ARRAY),
            text(&setup.0),
            (&setup.1, Type::INT8_ARRAY),
            (&setup.2, Type::INT4_ARRAY),
        ];
        self.execute(sql, chunk.len(), &parameters).await
    }

    async fn put_accounts(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        let revision = self.revision;
        for chunk in rows.accounts.chunks(CHUNK) {
            let ids = column(chunk, |account| account.id.as_str());
            let kinds = column(chunk, |account| kind(&account.kind));
            let partners = column(chunk, |account| {
                account.partner().map(|partner| partner.as_str())
            });
            let supports = column(chunk, |account| support(&account.kind));
            let names = column(chunk, |account| account.display_name.as_str());
            let sql = "INSERT INTO account
                    (id, kind, partner_id, support, display_name, revision)
                SELECT *, $6::bigint
                FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                ON CONFLICT (id) DO UPDATE SET kind = excluded.kind,
                    partner_id = excluded.partner_id, support = excluded.support,
                    display_name = excluded.display_name, revision = excluded.revision";
            let parameters: [Parameter<'_>; 6] = [
                text(&ids),
                text(&kinds),
                text(&partners),
                text(&supports),
                text(&names),
                (&revision, Type::INT8),
            ];
            self.execute(sql, chunk.len(), &parameters).await?;
        }
        let raised = [
            (
                "UPDATE account SET revision = $2 WHERE id = ANY($1)",
                &rows.touched_accounts,
            ),
            (
                "INSERT INTO partner_policy (partner_id, revision)
                SELECT id, $2::bigint FROM unnest($1::text[]) changed (id)
                ON CONFLICT (partner_id) DO UPDATE SET revision = excluded.revision",
                &rows.policies,
            ),
        ];
        for (sql, ids) in raised {
            for chunk in ids.chunks(CHUNK) {
                let ids = chunk.to_vec();
                let parameters: [Parameter<'_>; 2] = [text(&ids), (&revision, Type::INT8)];
                self.execute(sql, chunk.len(), &parameters).await?;
            }
        }
        Ok(())
    }

    async fn put_choices(&mut self, rows: &Rows<'_>) -> Result<(), StoreError> {
        let revision = self.revision;
        let settings = [
            (
                "INSERT INTO account_setting (account_id, feature, setting, revision)
                SELECT *, $4::bigint FROM unnest($1::text[], $2::text[], $3::text[])
                ON CONFLICT (account_id, feature) DO UPDATE
                SET setting = excluded.setting, revision = excluded.revision",
                &rows.account_settings,
            ),
            (
                "INSERT INTO partner_setting (partner_id, feature, setting, revision)
                SELECT *, $4::bigint FROM unnest($1::text[], $2::text[], $3::text[])
                ON CONFLICT (partner_id, feature) DO UPDATE
                SET setting = excluded.setting, revision = excluded.revision",
                &rows.partner_settings,
            ),
        ];
        for (sql, rows) in settings {
            for chunk in rows.chunks(CHUNK) {
                let owners = column(chunk, |row| row.owner);
                let features = column(chunk, |row| row.feature);
                let settings = column(chunk, |row| row.setting.as_str());
                let parameters: [Parameter<'_>; 4] = [
                    text(&owners),
                    text(&features),
                    text(&settings),
                    (&revision, Type::INT8),
                ];
                self.execute(sql, chunk.len(), &parameters).await?;
            }
        }
        for chunk in rows.partner_markets.chunks(CHUNK) {
            let (partners, markets): (Vec<&str>, Vec<&str>) = chunk.iter().copied().unzip();
            let sql = "INSERT INTO partner_market (partner_id, market, revision)
                SELECT *, $3::bigint FROM unnest($1::text[], $2::text[])";
            let parameters: [Parameter<'_>; 3] =
                [text(&partners), text(&markets), (&revision, Type::INT8)];
            self.execute(sql, chunk.len(), &parameters).await?;
        }
        Ok(())
    }

    async fn execute(
        &mut self,
        sql: &str,
        rows: usize,
        parameters: &[Parameter<'_>],
    ) -> Result<(), StoreError> {
        let written = self.client.execute_typed(sql, parameters).await;
        written.map_err(|error| failure::statement("writing", error))?;
        self.done += rows;
        if let Some(progress) = self.progress {
            // Whoever waited may have gone.
            let _ = progress.send(ImportProgress::Writing {
                done: self.done,
                of: self.of,
            });
        }
        Ok(())
    }
}

fn text<T: ToSql + Sync>(values: &T) -> Parameter<'_> {
    (values, Type::TEXT_ARRAY)
}

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn kind(kind: &AccountKind) -> &'static str {
    match kind {
        AccountKind::Direct => "direct",
        AccountKind::Partner => "partner",
        AccountKind::Managed { .. } => "managed",
    }
}

fn support(kind: &AccountKind) -> Option<&'static str> {
    match kind {
        AccountKind::Managed { support, .. } => Some(SupportProvider::as_str(*support)),
        AccountKind::Direct | AccountKind::Partner => None,
    }
}
