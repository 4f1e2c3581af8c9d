//! Answers of PolicyService, from the domain to the wire.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use serde_json::Value as Json;

use crate::administrator::{Explained, PolicyView};
use crate::domain::{
    Account, BillingMarket, FeatureRow, MarketCode, Revision, Rule, Setting, SettingMap,
};
use crate::grpc::encode;
use crate::proto::v1;
use crate::store::{ChangeRecord, SettingOrigin};

pub(super) fn policy(policy: PolicyView) -> v1::PartnerPolicy {
    let codes = policy.markets.iter().map(MarketCode::as_str);
    v1::PartnerPolicy {
        billing_markets: codes.map(str::to_owned).collect(),
        partner_id: policy.partner.into(),
        settings: settings(&policy.settings),
        revision: policy.revision.0,
    }
}

pub(super) fn settings(settings: &SettingMap) -> BTreeMap<String, i32> {
    let settings = settings.iter();
    settings
        .map(|(feature, of)| (feature.as_str().to_owned(), setting(*of).into()))
        .collect()
}

fn setting(setting: Setting) -> v1::Setting {
    match setting {
        Setting::On => v1::Setting::On,
        Setting::Off => v1::Setting::Off,
    }
}

pub(super) fn market(market: BillingMarket) -> v1::BillingMarket {
    let aliases = market.aliases.iter().map(MarketCode::as_str);
    v1::BillingMarket {
        code: market.code.as_str().to_owned(),
        aliases: aliases.map(str::to_owned).collect(),
        name: market.name,
        currency: market.currency.as_str().to_owned(),
    }
}

pub(super) fn feature(row: &FeatureRow) -> v1::FeatureRules {
    let requires = row.requires.iter().map(|key| key.as_str().to_owned());
    v1::FeatureRules {
        feature: row.key.as_str().to_owned(),
        description: row.description.clone(),
        requires: requires.collect(),
        direct: rule(row.rules.direct).into(),
        partner: rule(row.rules.partner).into(),
        managed_partner_supported: rule(row.rules.managed_partner_supported).into(),
        managed_platform_supported: rule(row.rules.managed_platform_supported).into(),
    }
}

fn rule(rule: Rule) -> v1::Rule {
    match rule {
        Rule::Allow => v1::Rule::Allow,
        Rule::Deny => v1::Rule::Deny,
        Rule::PartnerDecides {
            default: Setting::On,
        } => v1::Rule::PartnerDecidesDefaultOn,
        Rule::PartnerDecides {
            default: Setting::Off,
        } => v1::Rule::PartnerDecidesDefaultOff,
    }
}

/// One feature of an explanation, without what it requires.
pub(super) fn explained(
    account: &Account,
    revision: Revision,
    explained: Explained,
) -> v1::ExplainFeatureResponse {
    let decision = encode::decision(explained.feature.as_str(), explained.decision);
    v1::ExplainFeatureResponse {
        account: Some(encode::account(account.clone())),
        rule: rule(explained.rule).into(),
        decision: Some(decision),
        account_setting: explained.account_setting.map(origin),
        partner_setting: explained.partner_setting.map(origin),
        required: Vec::new(),
        summary: explained.summary,
        revision: revision.0,
    }
}

fn origin(origin: SettingOrigin) -> v1::SettingOrigin {
    v1::SettingOrigin {
        setting: setting(origin.setting).into(),
        revision: origin.revision.0,
        committed_at: Some(Timestamp::from(origin.committed_at)),
        actor: origin.actor,
        comment: origin.comment,
    }
}

pub(super) fn change(record: ChangeRecord) -> v1::PolicyChange {
    v1::PolicyChange {
        revision: record.revision.0,
        committed_at: Some(Timestamp::from(record.committed_at)),
        actor: record.actor,
        caller: record.caller,
        comment: record.comment,
        subject: Some(encode::changed(record.subject)),
        before: side(record.before),
        after: side(record.after),
    }
}

/// One side of a change: absent where nothing was or is.
fn side(side: Json) -> Option<Struct> {
    match side {
        Json::Null => None,
        Json::Object(fields) => Some(structure(fields)),
        // No store writes such a side; told all the same, for nothing is left out here.
        other @ (Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => {
            Some(structure([("value".to_owned(), other)]))
        }
    }
}

fn structure(fields: impl IntoIterator<Item = (String, Json)>) -> Struct {
    let fields = fields.into_iter();
    Struct {
        fields: fields.map(|(key, field)| (key, value(field))).collect(),
    }
}

fn value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(flag),
        // A number of JSON is one of these here: counts, which are exact up to 2^53.
        Json::Number(number) => match number.as_f64() {
            Some(number) => Kind::NumberValue(number),
            None => Kind::StringValue(number.to_string()),
        },
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(structure(fields)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_side_that_is_nothing_is_absent_and_null_in_it_is_null() {
        assert_eq!(side(Json::Null), None);
        assert_eq!(side(json!({})), Some(Struct::default()));
        let told = side(json!({ "settings": { "a.b": null }, "billing_markets": ["AU"], "n": 3 }));
        let told = told.unwrap();
        let of = |key: &str| told.fields.get(key).and_then(|value| value.kind.clone());
        let Some(Kind::StructValue(settings)) = of("settings") else {
            panic!("{told:?}")
        };
        assert_eq!(settings.fields["a.b"].kind, Some(Kind::NullValue(0)));
        assert_eq!(of("n"), Some(Kind::NumberValue(3.0)));
        let Some(Kind::ListValue(markets)) = of("billing_markets") else {
            panic!("{told:?}")
        };
        let au = Some(Kind::StringValue("AU".to_owned()));
        assert_eq!(markets.values[0].kind, au);
    }
}
