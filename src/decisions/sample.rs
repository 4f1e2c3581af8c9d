//! Chance, good enough to choose what is logged and for nothing else.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

thread_local! {
    static DICE: Cell<Dice> = Cell::new(Dice::seeded(RandomState::new().hash_one(0_u8)));
}

/// True for a share of the times that it is asked, from 0 to 1.
pub(super) fn hit(share: f64) -> bool {
    DICE.with(|cell| {
        let mut dice = cell.get();
        let hit = dice.hit(share);
        cell.set(dice);
        hit
    })
}

/// SplitMix64.
#[derive(Debug, Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn hit(&mut self, share: f64) -> bool {
        const ALL: f64 = 4_294_967_296.0;
        let high = u32::try_from(self.roll() >> 32).unwrap_or(u32::MAX);
        f64::from(high) < share * ALL
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_hit_as_often_as_it_says() {
        const TIMES: u32 = 1_000_000;
        for (share, at_least, at_most) in [
            (0.0001, 50, 150),
            (0.01, 9_500, 10_500),
            (0.5, 497_500, 502_500),
            (1.0, TIMES, TIMES),
        ] {
            let mut dice = Dice::seeded(42);
            let hits = (0..TIMES).filter(|_| dice.hit(share)).count();
            let hits = u32::try_from(hits).unwrap();
            assert!((at_least..=at_most).contains(&hits), "{share}: {hits}");
        }
    }

    #[test]
    fn threads_do_not_roll_alike() {
        let rolls = || (0..64).map(|_| hit(0.5)).collect::<Vec<_>>();
        let other = std::thread::spawn(rolls).join().unwrap();
        assert_ne!(rolls(), other);
    }
}
