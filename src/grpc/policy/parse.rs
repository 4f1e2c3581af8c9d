//! Requests to PolicyService, from the wire to the domain.

use std::collections::{BTreeMap, BTreeSet};

use tonic::Status;

use crate::administrator::PolicyUpdate;
use crate::domain::{
    Account, AccountId, AccountKind, Invalid, MAX_MARKETS, MAX_NAME, MarketCode, Setting,
    SupportProvider, Text, quote,
};
use crate::grpc::parse::complete;
use crate::grpc::status::Violations;
use crate::proto::v1;
use crate::store::SettingChanges;

/// The most settings that a request may name.
const MAX_SETTINGS: usize = 256;
/// The items of a page where the request does not say.
const PAGE: u32 = 100;
/// The most items of a page.
const MAX_PAGE: u32 = 1_000;

/// The one id that a request is about.
pub(super) fn id(field: &str, id: String) -> Result<AccountId, Status> {
    let mut violations = Violations::default();
    let id = violations.take(|| field.to_owned(), AccountId::try_from(id));
    complete(violations, id)
}

/// An id that need not be given. Outer none: it is malformed.
pub(super) fn optional_id(
    violations: &mut Violations,
    field: &str,
    id: String,
) -> Option<Option<AccountId>> {
    if id.is_empty() {
        return Some(None);
    }
    violations
        .take(|| field.to_owned(), AccountId::try_from(id))
        .map(Some)
}

/// The size of a page.
pub(super) fn page_size(violations: &mut Violations, size: u32) -> Option<usize> {
    if size > MAX_PAGE {
        let message = format!("is {size}; at most {MAX_PAGE} is accepted, 0 is {PAGE}");
        violations.add("page_size", message);
        return None;
    }
    let size = if size == 0 { PAGE } else { size };
    usize::try_from(size).ok()
}

/// That a list has no more than `max` items.
pub(super) fn at_most(
    violations: &mut Violations,
    field: &str,
    count: usize,
    max: usize,
) -> Option<()> {
    if count <= max {
        return Some(());
    }
    violations.add(
        field,
        format!("has {count} items; at most {max} are accepted"),
    );
    None
}

/// Settings to make and to take back, whose fields are named with `prefix`.
pub(super) fn settings(
    violations: &mut Violations,
    prefix: &str,
    settings: BTreeMap<String, i32>,
) -> Option<SettingChanges> {
    let field = format!("{prefix}settings");
    at_most(violations, &field, settings.len(), MAX_SETTINGS)?;
    let mut changes = SettingChanges::new();
    let named = settings.len();
    for (feature, setting) in settings {
        let at = || {
            let key = quote(&feature);
            format!("{field}[{}]", key.trim_matches('`'))
        };
        if feature.is_empty() {
            violations.add(
                at(),
                "has no feature; the key of one is accepted, as `pricing.view`",
            );
            continue;
        }
        if let Some(change) = violations.take(at, parse_setting(setting)) {
            changes.insert(feature, change);
        }
    }
    (changes.len() == named).then_some(changes)
}

fn parse_setting(setting: i32) -> Result<Option<Setting>, &'static str> {
    match v1::Setting::try_from(setting) {
        Ok(v1::Setting::On) => Ok(Some(Setting::On)),
        Ok(v1::Setting::Off) => Ok(Some(Setting::Off)),
        Ok(v1::Setting::Unset) => Ok(None),
        Ok(v1::Setting::Unspecified) | Err(_) => {
            Err("is not a setting: SETTING_ON, SETTING_OFF or SETTING_UNSET is accepted")
        }
    }
}

/// An update of a partner's policy, its context apart.
pub(super) fn update(
    violations: &mut Violations,
    prefix: &str,
    partner: String,
    settings: BTreeMap<String, i32>,
    [enable, disable]: [&[String]; 2],
) -> Option<(AccountId, PolicyUpdate)> {
    let partner = violations.take(
        || format!("{prefix}partner_id"),
        AccountId::try_from(partner),
    );
    let settings = self::settings(violations, prefix, settings);
    let [enable_at, disable_at] =
        ["enable_markets", "disable_markets"].map(|field| format!("{prefix}{field}"));
    at_most(violations, &enable_at, enable.len(), MAX_MARKETS)?;
    let left = MAX_MARKETS - enable.len();
    at_most(violations, &disable_at, disable.len(), left)?;
    let enable = codes(violations, &enable_at, enable);
    let named = enable.as_ref();
    for (index, code) in disable.iter().enumerate() {
        let is_enabled = |code| named.is_some_and(|enable| enable.contains(&code));
        if MarketCode::try_from(code.as_str()).is_ok_and(is_enabled) {
            violations.add(
                format!("{disable_at}[{index}]"),
                format!("is `{code}`, which enable_markets has too"),
            );
        }
    }
    let disable = codes(violations, &disable_at, disable);
    let update = PolicyUpdate {
        settings: settings?,
        enable: enable?,
        disable: disable?,
    };
    Some((partner?, update))
}

/// Codes of markets; one that is there twice counts once.
pub(super) fn codes(
    violations: &mut Violations,
    field: &str,
    codes: &[String],
) -> Option<BTreeSet<MarketCode>> {
    let parsed = codes.iter().enumerate().map(|(index, code)| {
        let code = MarketCode::try_from(code.as_str());
        violations.take(|| format!("{field}[{index}]"), code)
    });
    let parsed: Vec<_> = parsed.collect();
    parsed.into_iter().collect()
}

/// An account to put.
pub(super) fn account(
    violations: &mut Violations,
    account: Option<v1::Account>,
) -> Option<Account> {
    let Some(account) = account else {
        violations.add("account", "is missing; an account is accepted");
        return None;
    };
    let v1::Account {
        id,
        kind,
        partner_id,
        support_provider,
        display_name,
    } = account;
    let at = |field: &str| format!("account.{field}");
    let id = violations.take(|| at("id"), AccountId::try_from(id));
    let named = Text::check(&display_name, MAX_NAME);
    let named = violations.take(|| at("display_name"), named);
    let support = violations.take(|| at("support_provider"), parse_support(support_provider));
    let kind = match v1::AccountKind::try_from(kind) {
        Ok(v1::AccountKind::Direct) => {
            alone(violations, &partner_id, support).map(|()| AccountKind::Direct)
        }
        Ok(v1::AccountKind::Partner) => {
            alone(violations, &partner_id, support).map(|()| AccountKind::Partner)
        }
        Ok(v1::AccountKind::Managed) => managed(violations, partner_id, support),
        Ok(v1::AccountKind::Unspecified) | Err(_) => {
            violations.add(
                at("kind"),
                "is not a kind: ACCOUNT_KIND_DIRECT, ACCOUNT_KIND_PARTNER or \
                 ACCOUNT_KIND_MANAGED is accepted",
            );
            None
        }
    };
    named?;
    Some(Account {
        id: id?,
        kind: kind?,
        display_name,
    })
}

fn parse_support(support: i32) -> Result<Option<SupportProvider>, &'static str> {
    match v1::SupportProvider::try_from(support) {
        Ok(v1::SupportProvider::Unspecified) => Ok(None),
        Ok(v1::SupportProvider::Partner) => Ok(Some(SupportProvider::Partner)),
        Ok(v1::SupportProvider::Platform) => Ok(Some(SupportProvider::Platform)),
        Err(_) => Err(
            "is not a support provider: SUPPORT_PROVIDER_PARTNER or SUPPORT_PROVIDER_PLATFORM is \
             accepted",
        ),
    }
}

/// A direct account or a partner: neither partner nor support provider may be given. `support` is
/// none where it was wrong already.
fn alone(
    violations: &mut Violations,
    partner: &str,
    support: Option<Option<SupportProvider>>,
) -> Option<()> {
    if !partner.is_empty() {
        let message = "is given; only a managed account has a partner";
        violations.add("account.partner_id", message);
    }
    if support.is_some_and(|support| support.is_some()) {
        let message = "is given; only a managed account has a support provider";
        violations.add("account.support_provider", message);
    }
    (partner.is_empty() && support == Some(None)).then_some(())
}

fn managed(
    violations: &mut Violations,
    partner: String,
    support: Option<Option<SupportProvider>>,
) -> Option<AccountKind> {
    let partner = violations.take(
        || "account.partner_id".to_owned(),
        AccountId::try_from(partner),
    );
    if support == Some(None) {
        violations.add(
            "account.support_provider",
            "is missing; a managed account has one: SUPPORT_PROVIDER_PARTNER or \
             SUPPORT_PROVIDER_PLATFORM is accepted",
        );
    }
    Some(AccountKind::Managed {
        partner: partner?,
        support: support??,
    })
}

/// A thing that is there twice.
pub(super) fn twice(what: &str) -> Invalid {
    Invalid::new(format!("is {}, which is there twice", quote(what)))
}
