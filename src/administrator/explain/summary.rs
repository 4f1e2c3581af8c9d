//! An explanation in one sentence, for the person who is asked why.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use crate::domain::{Account, Audience, Effect, Reason, Rule, Setting, quote};
use crate::store::SettingOrigin;

use super::Explained;

/// The sentence. `required` is what the feature requires, directly or not.
pub(super) fn of(account: &Account, explained: &Explained, required: &[Explained]) -> String {
    let verdict = match explained.decision.effect {
        Effect::Allow => "may use",
        Effect::Deny => "may not use",
    };
    let because = match explained.decision.reason {
        Reason::RequiredFeature => gate(account, required),
        Reason::PlatformRule
        | Reason::PlatformDefault
        | Reason::PartnerSetting
        | Reason::AccountSetting => cause(account, explained),
    };
    let feature = &explained.feature;
    let mut sentence = format!("`{}` {verdict} `{feature}`: {because}", account.id);
    for (whose, origin) in without_effect(explained) {
        // Writing to a String cannot fail.
        let _ = write!(
            sentence,
            "; {whose} `{}` ({}) has no effect",
            origin.setting.as_str(),
            told(origin)
        );
    }
    sentence.push('.');
    sentence
}

/// What the feature's own rule and settings say.
fn cause(account: &Account, explained: &Explained) -> String {
    let partner = account.partner().map_or_else(
        || "its partner".to_owned(),
        |partner| format!("its partner `{partner}`"),
    );
    let switched = |origin: Option<&SettingOrigin>, whom: &str| match origin {
        Some(origin) => {
            let setting = origin.setting.as_str();
            format!("{partner} switched it {setting} {whom} ({})", told(origin))
        }
        None => format!("{partner} decided it {whom}"),
    };
    match explained.decision.reason {
        Reason::AccountSetting => {
            switched(explained.account_setting.as_ref(), "for this account alone")
        }
        Reason::PartnerSetting => switched(
            explained.partner_setting.as_ref(),
            "for all of its accounts",
        ),
        Reason::PlatformDefault => {
            let default = match explained.rule {
                Rule::Allow
                | Rule::PartnerDecides {
                    default: Setting::On,
                } => "on",
                Rule::Deny
                | Rule::PartnerDecides {
                    default: Setting::Off,
                } => "off",
            };
            format!("{partner} may decide it and has set nothing, and the default is {default}")
        }
        Reason::PlatformRule | Reason::RequiredFeature => {
            let verb = match explained.rule {
                Rule::Allow
                | Rule::PartnerDecides {
                    default: Setting::On,
                } => "allows",
                Rule::Deny
                | Rule::PartnerDecides {
                    default: Setting::Off,
                } => "denies",
            };
            let whom = audience(account.audience());
            format!("the platform {verb} it to {whom}, and no setting changes that")
        }
    }
}

/// What stands in the way of a feature that would be allowed by itself.
fn gate(account: &Account, required: &[Explained]) -> String {
    let is_denied_itself = |one: &&Explained| {
        one.decision.effect == Effect::Deny && one.decision.reason != Reason::RequiredFeature
    };
    let mut causes = String::new();
    for one in required.iter().filter(is_denied_itself) {
        let also = if causes.is_empty() {
            "it requires"
        } else {
            ", and it requires"
        };
        // Writing to a String cannot fail.
        let _ = write!(
            causes,
            "{also} `{}`, which is denied because {}",
            one.feature,
            cause(account, one)
        );
    }
    causes
}

/// The settings that are stored and did not decide.
fn without_effect(explained: &Explained) -> impl Iterator<Item = (&'static str, &SettingOrigin)> {
    let reason = explained.decision.reason;
    let own = explained.account_setting.as_ref();
    let own = own.filter(|_| reason != Reason::AccountSetting);
    let partner = explained.partner_setting.as_ref();
    let partner = partner.filter(|_| reason != Reason::PartnerSetting);
    let own = own.map(|origin| ("the account's own setting", origin));
    let partner = partner.map(|origin| ("the partner-wide setting", origin));
    own.into_iter().chain(partner)
}

fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::Direct => "direct accounts",
        Audience::Partner => "partners",
        Audience::ManagedPartnerSupported => "managed accounts that their partner supports",
        Audience::ManagedPlatformSupported => "managed accounts that the platform supports",
    }
}

/// `revision 4, 2026-03-01 09:30:00 UTC, by kim`.
fn told(origin: &SettingOrigin) -> String {
    // What the formatter writes: years of four digits.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let time = origin.committed_at.clamp(UNIX_EPOCH, last);
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let time = time.replace('T', " ").replace('Z', " UTC");
    let by = match origin.actor.as_str() {
        "" => String::new(),
        actor => format!(", by {}", quote(actor)),
    };
    format!("revision {}, {time}{by}", origin.revision)
}
