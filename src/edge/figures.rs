//! What operators want to know of connections and calls.

use std::sync::Arc;

use super::admission::Admission;
use super::calls::{Calls, MethodCalls};
use super::connection::Cut;
use super::seats::Seats;
use crate::metrics::Counters;

/// What is counted at the edge, to be read at any time.
#[derive(Debug, Clone)]
pub struct Figures {
    pub(super) calls: Arc<Calls>,
    pub(super) admission: Arc<Admission>,
    pub(super) seats: Arc<Seats>,
    pub(super) connections: Arc<Connections>,
}

/// Connections, counted.
#[derive(Debug)]
pub(super) struct Connections(Counters);

impl Connections {
    /// Those that were accepted come after those that were cut.
    const ACCEPTED: usize = Cut::ALL.len();

    pub(super) fn new() -> Self {
        Self(Counters::new(Cut::ALL.len() + 1))
    }

    pub(super) fn accepted(&self) {
        self.0.add_one(Self::ACCEPTED);
    }

    pub(super) fn cut(&self, cut: Cut) {
        self.0.add_one(cut as usize);
    }
}

impl Figures {
    /// How the calls of each method went, and those that named none.
    #[must_use]
    pub fn calls(&self) -> Vec<MethodCalls> {
        self.calls.read()
    }

    /// Calls that were shed, by what there was no more of.
    pub fn shed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.admission.shed()
    }

    /// Calls that wait for something, and how many may.
    #[must_use]
    pub fn in_flight(&self) -> (usize, usize) {
        self.admission.in_flight()
    }

    /// Streams that are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.admission.open_streams()
    }

    /// Connections that are open, and how many may be.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        (self.seats.taken(), self.seats.most())
    }

    /// Connections that were accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.connections.0.total(Connections::ACCEPTED)
    }

    /// Connections that were ended against the will of their peers, by why.
    pub fn cut(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let times = |cut: &Cut| (cut.name(), self.connections.0.total(*cut as usize));
        Cut::ALL.iter().map(times)
    }
}
