use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::queue::{MAX_WAITING, Next};
use super::*;
use crate::domain::{Effect, Reason};

const ALLOW: Decision = Decision {
    effect: Effect::Allow,
    reason: Reason::PlatformRule,
};
const DENY: Decision = Decision {
    effect: Effect::Deny,
    reason: Reason::AccountSetting,
};

fn account(id: &str) -> AccountId {
    AccountId::try_from(id).unwrap()
}

/// A call by which these are decided, answered.
fn tell(log: &DecisionLog, decisions: &[Decision]) {
    let mut call = log.call("BatchCheckFeatures", || (None, None));
    for decision in decisions {
        call.decided(Some(&account("acme")), "pricing.view", *decision);
    }
    call.answered(Revision(7), false);
}

/// What waits to be written.
fn waiting(log: &DecisionLog) -> Vec<Line> {
    let next = || match log.queue.next(Duration::ZERO) {
        Next::Line(line) => Some(line),
        Next::Nothing | Next::End => None,
    };
    std::iter::from_fn(next).collect()
}

fn effects(log: &DecisionLog) -> Vec<Effect> {
    let effect = |line: Line| match line.told {
        Told::Decision { decision, .. } => decision.effect,
        Told::Routed { .. } => panic!("no decision"),
    };
    waiting(log).into_iter().map(effect).collect()
}

#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What waits to be written, as it is written: as JSON, and as text.
fn written(log: &DecisionLog) -> (String, String) {
    let lines = waiting(log);
    let (json, text) = (Heard::default(), Heard::default());
    let (to_json, to_text) = (json.clone(), text.clone());
    let write = || lines.iter().for_each(Line::write);
    let as_json = tracing_subscriber::fmt().json().flatten_event(true);
    let as_json = as_json.with_writer(move || to_json.clone()).finish();
    tracing::subscriber::with_default(as_json, write);
    let as_text = tracing_subscriber::fmt().with_ansi(false);
    let as_text = as_text.with_writer(move || to_text.clone()).finish();
    tracing::subscriber::with_default(as_text, write);
    [json, text]
        .map(|heard| String::from_utf8(heard.0.lock().unwrap().clone()).unwrap())
        .into()
}

#[test]
fn a_log_that_is_off_asks_for_nothing_and_keeps_nothing() {
    let log = DecisionLog::off();
    let mut call = log.call("CheckFeature", || panic!("asked who calls"));
    assert!(call.notes.is_none());
    assert_eq!(call.keep(&account("acme")), None);
    call.decided(Some(&account("acme")), "pricing.view", DENY);
    call.routed(NotificationKind::Security, 1, 1, 0);
    call.answered(Revision(7), false);
    assert!(waiting(&log).is_empty());
    assert_eq!(log.dropped(), 0);
}

#[test]
fn a_log_of_denials_has_denials_alone() {
    let log = DecisionLog::new(Logged::Denials);
    tell(&log, &[ALLOW, DENY, ALLOW, DENY]);
    let mut call = log.call("ResolveRecipients", || (None, None));
    call.routed(NotificationKind::Security, 2, 1, 1);
    call.answered(Revision(7), false);
    assert_eq!(effects(&log), [Effect::Deny, Effect::Deny]);
}

#[test]
fn a_call_that_is_not_answered_told_nobody_anything() {
    let log = DecisionLog::new(Logged::All);
    let mut call = log.call("CheckFeature", || (None, None));
    call.decided(Some(&account("acme")), "pricing.view", DENY);
    drop(call);
    assert!(waiting(&log).is_empty());
}

#[test]
fn a_sampled_call_is_logged_whole_or_not_at_all() {
    let log = DecisionLog::new(Logged::Sampled(0.5));
    for _ in 0..1_000 {
        tell(&log, &[ALLOW, DENY, ALLOW]);
    }
    let effects = effects(&log);
    let calls = effects.chunks(3);
    assert!((350..=650).contains(&calls.len()), "{}", calls.len());
    for call in calls {
        assert_eq!(call, [Effect::Allow, Effect::Deny, Effect::Allow]);
    }
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let log = DecisionLog::new(Logged::All);
    tell(&log, &vec![ALLOW; MAX_WAITING - 1]);
    assert_eq!(log.dropped(), 0);
    tell(&log, &[ALLOW, DENY, DENY]);
    tell(&log, &[DENY]);
    assert_eq!(log.dropped(), 3);
    assert_eq!(log.queue.len(), MAX_WAITING);
    assert_eq!(effects(&log), [Effect::Allow; MAX_WAITING]);
    tell(&log, &[DENY]);
    assert_eq!(effects(&log), [Effect::Deny]);
    assert_eq!(log.dropped(), 3);
}

#[tokio::test]
async fn the_end_writes_what_is_left_and_takes_no_more() {
    let (log, writer) = DecisionLog::start(Logged::All).unwrap();
    tell(&log, &vec![ALLOW; MAX_WAITING]);
    let dropped = log.dropped();
    writer.unwrap().finish().await;
    assert_eq!((log.queue.len(), log.dropped()), (0, dropped));
    tell(&log, &[ALLOW]);
    assert_eq!((log.queue.len(), log.dropped()), (0, dropped + 1));
}

#[test]
fn a_line_has_a_field_for_each_part() {
    let log = DecisionLog::new(Logged::All);
    let web = CallerId::parse("spiffe://portal.example/web").unwrap();
    let id = RequestId::try_from(&b"8f14-e45f"[..]).unwrap();
    let mut call = log.call("CheckFeature", || (Some(web), Some(id)));
    call.decided(Some(&account("acme")), "pricing.view", DENY);
    call.answered(Revision(7), true);
    let mut call = log.call("ResolveRecipients", || (None, None));
    call.routed(NotificationKind::Security, 3, 2, 1);
    call.answered(Revision(8), false);
    let (json, _) = written(&log);
    let lines = json.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line.as_object_mut().unwrap().remove("timestamp").is_some());
        line
    });
    let want = [
        json!({
            "level": "INFO", "target": "portcullis::decision", "message": "decided",
            "method": "CheckFeature", "caller": "spiffe://portal.example/web",
            "request_id": "8f14-e45f", "account": "acme",
            "feature": "pricing.view", "effect": "deny", "reason": "ACCOUNT_SETTING",
            "revision": 7, "stale": true,
        }),
        json!({
            "level": "INFO", "target": "portcullis::decision", "message": "routed",
            "method": "ResolveRecipients", "caller": "anonymous", "kind": "security",
            "accounts": 3, "recipients": 2, "unresolved": 1, "revision": 8, "stale": false,
        }),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), want);
}

#[test]
fn no_caller_can_write_a_line_or_a_field_of_its_own() {
    // What is accepted of an id: no space and no control character, but else anything.
    let name = "a\"\u{3000}account=\"b\\n\u{202e}\u{200b}\u{feff}{\"effect\":\"allow\"}";
    assert!(CallerId::parse(name).is_err());
    let name = name.replace('\u{3000}', ",");
    let log = DecisionLog::new(Logged::All);
    let mut call = log.call("CheckFeature", || (CallerId::parse(&name).ok(), None));
    call.decided(Some(&account("acme")), "pricing.view", DENY);
    call.answered(Revision(7), false);
    let (json, text) = written(&log);
    assert_eq!((json.lines().count(), text.lines().count()), (1, 1));
    let line: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(line["caller"], *name);
    assert_eq!(
        (&line["account"], &line["effect"]),
        (&json!("acme"), &json!("deny"))
    );
    let quoted = format!(" caller={name:?} account=\"acme\" ");
    assert!(text.contains(&quoted), "{text}");
    assert!(quoted.is_ascii() && text.is_ascii(), "{text}");
}
