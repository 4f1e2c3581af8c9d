//! How time and memory grow with accounts.

use std::time::Duration;

use crate::cached::{BATCH, Cached, per_second};
use crate::measure::{Span, count, in_turns};
use crate::memory::{self, Allocator};
use crate::scale;
use crate::world::OF_A_PARTNER;

use super::Place;
use super::plot::{Axis, Line, Panel};
use super::text::{digits, or_dash, pieces, size, table, time, times};

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// The figures of each number of accounts.
pub(super) struct Growth([Point; SIZES.len()]);

struct Point {
    accounts: usize,
    /// Nanoseconds of a check, and of a batch.
    check: f64,
    batch: f64,
    /// Bytes that the cache takes.
    resident: f64,
    /// From the start of a replica over as many accounts until it is ready.
    ready: Duration,
    /// How many of them a replica reads from Postgres in a second.
    misses: Option<f64>,
}

impl Growth {
    pub(super) fn measure() -> anyhow::Result<Self> {
        eprintln!("accounts: memory");
        let mut resident = Vec::new();
        for accounts in SIZES {
            resident.push(memory::accounts(accounts, Allocator::Exact)?);
        }
        eprintln!("accounts: time");
        let mut cached = SIZES.map(|accounts| Cached::fill(accounts, accounts / OF_A_PARTNER));
        let mut checks = cached.each_mut().map(|cached| {
            move |times: usize| {
                cached.checks(times);
            }
        });
        let checks = in_turns(&mut checks.each_mut().map(|work| work as &mut Span<'_>));
        let mut batches = cached.each_mut().map(|cached| {
            move |times: usize| {
                cached.batches(times);
            }
        });
        let batches = in_turns(&mut batches.each_mut().map(|work| work as &mut Span<'_>));
        drop(cached);
        eprintln!("accounts: Postgres");
        let starts = scale::cold_starts(SIZES)?;
        Ok(Self(std::array::from_fn(|place| Point {
            accounts: SIZES[place],
            check: checks[place],
            batch: batches[place],
            resident: resident[place],
            ready: starts[place].0,
            misses: starts[place].1,
        })))
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let [first, .., last] = &self.0;
        let rows = self.0.iter().map(|point| {
            [
                pieces(point.accounts),
                time(point.check),
                times(point.check / first.check),
                time(point.batch / count(BATCH)),
                times(point.batch / first.batch),
                digits(per_second(point.batch)),
                size(point.resident),
                size(point.each()),
                time(point.ready.as_secs_f64() * 1e9),
                or_dash(point.misses.map(digits)),
            ]
        });
        let head = [
            "accounts",
            "a check",
            "of the first",
            "a decision of a batch",
            "of the first",
            "decisions a second",
            "memory in all",
            "of an account",
            "ready after",
            "misses a second",
        ];
        vec![
            ("accounts_table", table(head, rows)),
            ("accounts_fewest", pieces(first.accounts)),
            ("accounts_most", pieces(last.accounts)),
            ("accounts_factor", pieces(last.accounts / first.accounts)),
            ("account_each", size(last.each())),
            (
                "accounts_fixed",
                size(first.resident - last.each() * count(first.accounts)),
            ),
            ("check_factor", digits(last.check / first.check)),
            ("of_a_partner", pieces(OF_A_PARTNER)),
            ("batch", pieces(BATCH)),
        ]
    }

    pub(super) fn panels(&self) -> [Panel; 2] {
        let points = |figure: fn(&Point) -> f64| {
            let point = |point| (count(Point::accounts(point)), figure(point));
            self.0.iter().map(point).collect()
        };
        [
            Panel {
                heading: "Time",
                along: "cached accounts",
                axis: Axis::Time,
                lines: vec![
                    Line {
                        name: "a check",
                        points: points(|point| point.check),
                    },
                    Line {
                        name: "a decision of a batch",
                        points: points(|point| point.batch / count(BATCH)),
                    },
                ],
            },
            Panel {
                heading: "Memory",
                along: "cached accounts",
                axis: Axis::Size,
                lines: vec![Line {
                    name: "all of them",
                    points: points(|point| point.resident),
                }],
            },
        ]
    }

    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self(SIZES.map(|accounts| Point {
            accounts,
            check: 100.0,
            batch: 10_000.0,
            resident: 200.0 * count(accounts),
            ready: Duration::from_millis(100),
            misses: None,
        }))
    }
}

impl Point {
    fn accounts(&self) -> usize {
        self.accounts
    }

    /// Bytes of one.
    fn each(&self) -> f64 {
        self.resident / count(self.accounts)
    }
}
