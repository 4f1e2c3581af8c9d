//! Answers that were given under an idempotency key, kept in a table of their own.

use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::row::Parameter;
use super::{failure, row};
use crate::datafile::shape;
use crate::domain::{Invalid, MarketCode, Revision, SettingMap, quote};
use crate::store::{
    Idempotency, MarketSet, Now, StoreError, WriteError, WriteRefusal, WriteRequest, Written,
};

const FIND: &str =
    "SELECT digest, answer FROM idempotency_key WHERE caller = $1 AND method = $2 AND key = $3";

/// Keeps an answer, and drops some of those that are old: a day, and an hour for a caller that counts
/// from its own clock. Some, so that no write has to clear up after a million.
const KEEP: &str = "WITH old AS (
        SELECT caller, method, key FROM idempotency_key
        WHERE created_at < clock_timestamp() - interval '25 hours'
        ORDER BY created_at LIMIT 100),
    dropped AS (
        DELETE FROM idempotency_key USING old
        WHERE (idempotency_key.caller, idempotency_key.method, idempotency_key.key)
            = (old.caller, old.method, old.key))
    INSERT INTO idempotency_key (caller, method, key, digest, answer)
    VALUES ($1, $2, $3, $4, $5)";

/// What was answered to `request` before, if it was made before. The caller holds the lock, so that
/// of two at once the second finds the answer of the first.
pub(super) async fn find(
    client: &Client,
    request: &WriteRequest,
) -> Result<Option<Written>, WriteError> {
    let Some(idempotency) = &request.idempotency else {
        return Ok(None);
    };
    let rows = client.query_typed(FIND, &scope(request, idempotency)).await;
    let rows = rows.map_err(|error| failure::statement("writing", error))?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    if row::column::<&[u8]>(row, 0)? != idempotency.digest {
        return Err(WriteRefusal::IdempotencyKeyReused(quote(&idempotency.key)).into());
    }
    let answer: Value = row::column(row, 1)?;
    let written = decode(&answer)
        .ok_or_else(|| row::broken("an answer", Invalid::new("is none that was ever given")))?;
    Ok(Some(written))
}

/// Keeps the answer to `request`.
pub(super) async fn keep(
    client: &Client,
    request: &WriteRequest,
    written: &Written,
) -> Result<(), StoreError> {
    let Some(idempotency) = &request.idempotency else {
        return Ok(());
    };
    let (digest, answer) = (&idempotency.digest[..], encode(written));
    let [caller, method, key] = scope(request, idempotency);
    let parameters: [Parameter<'_>; 5] = [
        caller,
        method,
        key,
        (&digest, Type::BYTEA),
        (&answer, Type::JSONB),
    ];
    let kept = client.execute_typed(KEEP, &parameters).await;
    kept.map_err(|error| failure::statement("writing", error))?;
    Ok(())
}

fn scope<'a>(request: &'a WriteRequest, idempotency: &'a Idempotency) -> [Parameter<'a>; 3] {
    [
        (&request.caller, Type::TEXT),
        (&idempotency.method, Type::TEXT),
        (&idempotency.key, Type::TEXT),
    ]
}

fn encode(written: &Written) -> Value {
    let mut answer = Map::new();
    answer.insert("revision".to_owned(), written.revision.0.into());
    let mut put = |key: &str, value| answer.insert(key.to_owned(), value);
    match &written.now {
        Now::Policy { settings, markets } => {
            put("settings", shape::settings(settings).to_json());
            put("billing_markets", shape::markets(markets).to_json());
        }
        Now::Settings(settings) => {
            put("settings", shape::settings(settings).to_json());
        }
        Now::Untold => {}
    }
    json!(answer)
}

fn decode(answer: &Value) -> Option<Written> {
    let settings = || -> Option<SettingMap> {
        let settings = answer.get("settings")?.as_object()?.iter();
        let parsed = settings.map(|(key, setting)| row::setting(key, setting.as_str()?).ok());
        parsed.collect()
    };
    let markets = || -> Option<MarketSet> {
        let codes = answer.get("billing_markets")?.as_array()?.iter();
        let parsed = codes.map(|code| MarketCode::try_from(code.as_str()?).ok());
        parsed.collect()
    };
    let is_told = |key| answer.get(key).is_some();
    let now = if is_told("billing_markets") {
        Now::Policy {
            settings: settings()?,
            markets: markets()?,
        }
    } else if is_told("settings") {
        Now::Settings(settings()?)
    } else {
        Now::Untold
    };
    Some(Written {
        revision: Revision(answer.get("revision")?.as_u64()?),
        now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FeatureKey, Setting};

    #[test]
    fn an_answer_comes_back_as_it_was_given() {
        let pricing = FeatureKey::try_from("pricing.view").unwrap();
        let settings: SettingMap = [(pricing, Setting::Off)].into();
        let markets: MarketSet = [MarketCode::try_from("AU").unwrap()].into();
        for now in [
            Now::Policy {
                settings: settings.clone(),
                markets,
            },
            Now::Policy {
                settings: SettingMap::new(),
                markets: MarketSet::new(),
            },
            Now::Settings(settings),
            Now::Settings(SettingMap::new()),
            Now::Untold,
        ] {
            let written = Written {
                revision: Revision(7),
                now,
            };
            assert_eq!(decode(&encode(&written)), Some(written));
        }
        assert_eq!(decode(&json!({ "settings": {} })), None);
    }
}
