//! The page of metrics: every metric that there is, with its name, its labels and its meaning.
//!
//! No account and no partner is ever a label. `docs/operations.md` has the same table for those who
//! read it, and a test compares both.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use super::trust;
use crate::decisions::DecisionLog;
use crate::directory::Directory;
use crate::edge;
use crate::http::Readiness;
use crate::metrics::Page;
use crate::store::Store;
use crate::store::measured::Queries;

/// Everything that is counted anywhere.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) store: Arc<dyn Store>,
    pub(super) queries: Arc<Queries>,
    pub(super) directory: Directory,
    pub(super) edge: edge::Figures,
    pub(super) decisions: DecisionLog,
    pub(super) trust: trust::Figures,
    pub(super) readiness: watch::Receiver<Readiness>,
    /// Of the matrix.
    pub(super) digest: String,
}

impl Exposition {
    /// It all as it is now.
    pub(super) fn page(&self) -> Page {
        let mut page = Page::default();
        self.calls(&mut page);
        self.decisions(&mut page);
        self.directory(&mut page);
        self.store(&mut page);
        self.load(&mut page);
        self.connections(&mut page);
        self.trust(&mut page);
        self.program(&mut page);
        page.process();
        page
    }

    fn calls(&self, page: &mut Page) {
        let methods = self.edge.calls();
        let labels = |method: &edge::MethodCalls| {
            vec![
                ("grpc_type", method.kind),
                ("grpc_service", method.service),
                ("grpc_method", method.method),
            ]
        };
        page.counters(
            "grpc_server_started_total",
            "Calls that began.",
            methods
                .iter()
                .map(|method| (labels(method), method.started)),
        );
        // Those of a method that was never called would be four hundred lines of zeros.
        let called = || methods.iter().filter(|method| method.started > 0);
        let handled = called().flat_map(|method| {
            method.handled.iter().map(move |(code, count)| {
                let mut labels = labels(method);
                labels.push(("grpc_code", code));
                (labels, *count)
            })
        });
        page.counters(
            "grpc_server_handled_total",
            "Calls that ended, by status; Canceled where there was none: the caller left, or was cut off.",
            handled,
        );
        page.histograms(
            "grpc_server_handling_seconds",
            "Time from the head of a unary call to the end of its answer.",
            called().filter_map(|method| Some((labels(method), method.handling.clone()?))),
        );
    }

    fn decisions(&self, page: &mut Page) {
        let decided = self.decisions.decided();
        page.counters(
            "portcullis_decisions_total",
            "Decisions that were answered.",
            decided.map(|([effect, reason], count)| {
                (vec![("effect", effect), ("reason", reason)], count)
            }),
        );
        page.counter(
            "portcullis_stale_answers_total",
            "Answers that said `stale`: the store had not confirmed them for longer than --stale-after.",
            self.decisions.stale(),
        );
        page.counter(
            "portcullis_decision_log_dropped_total",
            "Lines of the decision log that found no room.",
            self.decisions.dropped(),
        );
    }

    fn directory(&self, page: &mut Page) {
        let figures = self.directory.figures();
        let caches = || figures.caches.iter();
        let cache = |name| vec![("cache", name)];
        page.counters(
            "portcullis_cache_hits_total",
            "Look-ups that found what they looked for.",
            caches().map(|it| (cache(it.name), it.hits)),
        );
        page.counters(
            "portcullis_cache_misses_total",
            "Look-ups that did not.",
            caches().map(|it| (cache(it.name), it.misses)),
        );
        page.numbers(
            "portcullis_cache_entries",
            "What is cached.",
            caches().map(|it| (cache(it.name), it.entries)),
        );
        page.numbers(
            "portcullis_cache_capacity",
            "How much may be cached.",
            caches().map(|it| (cache(it.name), it.capacity)),
        );
        page.number(
            "portcullis_policy_revision",
            "The revision that is enforced here.",
            figures.revision.0,
        );
        page.gauge(
            "portcullis_feed_lag_seconds",
            "Time since the store last confirmed that this replica is current; since the start, before it first did.",
            figures.lag.as_secs_f64(),
        );
        page.flag(
            "portcullis_feed_connected",
            "1 while the store announces changes; 0 where they are found by polls alone.",
            figures.is_listening,
        );
        page.gauge(
            "portcullis_stale_after_seconds",
            "From this lag on answers are stale: --stale-after.",
            figures.stale_after.as_secs_f64(),
        );
        page.gauge(
            "portcullis_max_stale_seconds",
            "From this lag on nothing is answered from the caches: --max-stale.",
            figures.max_stale.as_secs_f64(),
        );
        let shed = self.edge.shed().chain(figures.shed);
        page.counters(
            "portcullis_shed_total",
            "Calls that were answered OVERLOADED, by what there was no more of.",
            shed.map(|(reason, count)| (vec![("reason", reason)], count)),
        );
    }

    fn store(&self, page: &mut Page) {
        let queries = self.queries.read().map(|(query, outcome, histogram)| {
            let labels = vec![("query", query), ("outcome", outcome.name())];
            (labels, histogram)
        });
        page.histograms(
            "portcullis_store_query_seconds",
            "Time of what the store was asked, waiting for a connection included.",
            queries,
        );
        let condition = self.store.condition();
        page.flag(
            "portcullis_store_breaker_open",
            "1 while loads are refused at once, because those before were not answered.",
            condition.is_refusing,
        );
        if let Some(pool) = condition.pool {
            let states = [("idle", pool.idle), ("in_use", pool.in_use)];
            page.numbers(
                "portcullis_pool_connections",
                "Connections to Postgres, without the two of the feed.",
                states.map(|(state, count)| (vec![("state", state)], number(count))),
            );
            page.number(
                "portcullis_pool_max_connections",
                "How many there may be: --pool-size.",
                number(pool.most),
            );
            page.number(
                "portcullis_pool_waiting",
                "Queries that wait for a connection.",
                number(pool.waiting),
            );
        }
        if let Some(schema) = condition.schema {
            page.number(
                "portcullis_schema_version",
                "The version of the schema that is in the database; 0 where there is none.",
                schema.found.into(),
            );
            page.number(
                "portcullis_schema_version_wanted",
                "The version of the schema that this program is for.",
                schema.wanted.into(),
            );
            page.flag(
                "portcullis_schema_fits",
                "1 where this program works with the schema that is there.",
                schema.fits,
            );
        }
    }

    fn load(&self, page: &mut Page) {
        let (in_flight, most) = self.edge.in_flight();
        page.number(
            "portcullis_in_flight_calls",
            "Calls that wait for something.",
            number(in_flight),
        );
        page.number(
            "portcullis_max_in_flight_calls",
            "How many there may be: --max-in-flight.",
            number(most),
        );
        page.number(
            "portcullis_open_streams",
            "Streams that are open: those who watch, of health and reflection too.",
            number(self.edge.streams()),
        );
    }

    fn connections(&self, page: &mut Page) {
        let (open, most) = self.edge.connections();
        page.number(
            "portcullis_connections",
            "Connections of gRPC that are open.",
            number(open),
        );
        page.number(
            "portcullis_max_connections",
            "How many there may be: --max-connections, or what open files allow.",
            number(most),
        );
        page.counter(
            "portcullis_connections_total",
            "Connections of gRPC that came.",
            self.edge.accepted(),
        );
        let cut = self.edge.cut();
        page.counters(
            "portcullis_connections_cut_total",
            "Connections that were ended against the will of their peers, by why.",
            cut.map(|(reason, count)| (vec![("reason", reason)], count)),
        );
    }

    fn trust(&self, page: &mut Page) {
        let failures = self.trust.failures();
        page.counters(
            "portcullis_reload_failures_total",
            "How often files, or keys at an address, could not be used when they were read again.",
            failures.map(|(file, count)| (vec![("file", file)], count)),
        );
        if let Some(expires) = self.trust.expires() {
            let since_1970 = expires.duration_since(SystemTime::UNIX_EPOCH);
            page.number(
                "portcullis_certificate_expiry_timestamp_seconds",
                "When the certificate of the server expires, in seconds since 1970.",
                since_1970.map_or(0, |since| since.as_secs()),
            );
        }
    }

    fn program(&self, page: &mut Page) {
        page.flag(
            "portcullis_ready",
            "1 where /readyz says so.",
            *self.readiness.borrow() == Readiness::Ready,
        );
        page.numbers(
            "portcullis_matrix_info",
            "The feature matrix that decisions are made by.",
            [(vec![("digest", self.digest.as_str())], 1)],
        );
        page.numbers(
            "portcullis_build_info",
            "The program.",
            [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
        );
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
