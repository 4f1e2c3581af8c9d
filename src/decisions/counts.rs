//! Decisions that were answered, counted.

use crate::domain::{Decision, Effect, Reason};
use crate::metrics::Counters;

use super::line;

const EFFECTS: [Effect; 2] = [Effect::Allow, Effect::Deny];
const REASONS: [Reason; 5] = [
    Reason::PlatformRule,
    Reason::PlatformDefault,
    Reason::PartnerSetting,
    Reason::AccountSetting,
    Reason::RequiredFeature,
];
const KINDS: usize = EFFECTS.len() * REASONS.len();
/// Stale answers are counted behind all kinds of decisions.
const STALE: usize = KINDS;

/// Those of all calls.
#[derive(Debug)]
pub(super) struct Counts(Counters);

/// Those of one call.
#[derive(Debug, Default)]
pub(super) struct Counted {
    kinds: [u64; KINDS],
    /// A bit for each kind that there is. Nearly every call has one.
    some: u16,
}

impl Counted {
    pub(super) fn add(&mut self, decision: Decision) {
        let kind = kind(decision);
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
            self.some |= 1 << kind;
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self(Counters::new(KINDS + 1))
    }
}

impl Counts {
    /// Takes in what a call has told its caller.
    pub(super) fn take(&self, Counted { kinds, some }: &Counted, stale: bool) {
        let mut left = *some;
        while left != 0 {
            let kind = left.trailing_zeros() as usize;
            self.0
                .add(kind, kinds.get(kind).copied().unwrap_or_default());
            left &= left - 1;
        }
        if stale {
            self.0.add_one(STALE);
        }
    }

    /// How many of each effect and reason there were.
    pub(super) fn decided(&self) -> impl Iterator<Item = ([&'static str; 2], u64)> {
        let all = EFFECTS
            .into_iter()
            .flat_map(|effect| REASONS.map(|reason| Decision { effect, reason }));
        all.map(|decision| {
            let names = [line::effect(decision.effect), line::reason(decision.reason)];
            (names, self.0.total(kind(decision)))
        })
    }

    /// How many answers were stale.
    pub(super) fn stale(&self) -> u64 {
        self.0.total(STALE)
    }
}

fn kind(Decision { effect, reason }: Decision) -> usize {
    effect as usize * REASONS.len() + reason as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_by_itself() {
        let counts = Counts::default();
        let kinds: Vec<_> = counts.decided().map(|(names, _)| names).collect();
        for (place, decision) in EFFECTS
            .into_iter()
            .flat_map(|effect| REASONS.map(|reason| Decision { effect, reason }))
            .enumerate()
        {
            let mut counted = Counted::default();
            for _ in 0..=place {
                counted.add(decision);
            }
            counts.take(&counted, place == 0);
        }
        let want: Vec<_> = kinds.into_iter().zip(1..).collect();
        assert_eq!(counts.decided().collect::<Vec<_>>(), want);
        assert_eq!(want.len(), KINDS);
        assert_eq!(counts.stale(), 1);
    }

    #[test]
    fn a_call_may_have_several_kinds() {
        let counts = Counts::default();
        let mut counted = Counted::default();
        for (reason, times) in [(Reason::PartnerSetting, 2), (Reason::RequiredFeature, 3)] {
            let effect = Effect::Deny;
            (0..times).for_each(|_| counted.add(Decision { effect, reason }));
        }
        counts.take(&counted, false);
        let some: Vec<_> = counts.decided().filter(|(_, count)| *count > 0).collect();
        let want = [
            (["deny", "PARTNER_SETTING"], 2),
            (["deny", "REQUIRED_FEATURE"], 3),
        ];
        assert_eq!(some, want);
    }
}
