//! What was counted, in the text format of Prometheus.

#[cfg(target_os = "linux")]
use prometheus::core::Collector as _;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType,
};
use prometheus::{Encoder as _, TextEncoder};

use super::Histogram;

/// A page of metrics. Each is written once, with all its labels.
#[derive(Debug, Default)]
pub struct Page {
    families: Vec<MetricFamily>,
}

/// Labels of one value: names and what they are.
type Labels<'l> = &'l [(&'static str, &'l str)];

impl Page {
    /// The media type of [`Page::text`].
    pub const MEDIA_TYPE: &'static str = prometheus::TEXT_FORMAT;

    /// A number that only goes up, for each of some labels.
    pub fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, u64)>,
    ) {
        let metric = |(labels, value): (Vec<_>, u64)| {
            let mut counter = Counter::default();
            counter.set_value(float(value));
            let mut metric = labelled(&labels);
            metric.set_counter(counter);
            metric
        };
        let metrics = values.into_iter().map(metric).collect();
        self.family(name, help, MetricType::COUNTER, metrics);
    }

    /// A number that only goes up.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(Vec::new(), value)]);
    }

    /// A number that goes up and down, for each of some labels.
    pub fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, f64)>,
    ) {
        let metric = |(labels, value): (Vec<_>, f64)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(&labels);
            metric.set_gauge(gauge);
            metric
        };
        let metrics = values.into_iter().map(metric).collect();
        self.family(name, help, MetricType::GAUGE, metrics);
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }

    /// The same of what is counted, for each of some labels.
    pub fn numbers<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, u64)>,
    ) {
        let values = values.into_iter();
        self.gauges(
            name,
            help,
            values.map(|(labels, value)| (labels, float(value))),
        );
    }

    /// The same of what is counted.
    pub fn number(&mut self, name: &str, help: &str, value: u64) {
        self.gauge(name, help, float(value));
    }

    /// 1 where it is so, else 0.
    pub fn flag(&mut self, name: &str, help: &str, is_so: bool) {
        self.gauge(name, help, f64::from(u8::from(is_so)));
    }

    /// How long things took, in seconds, for each of some labels.
    pub fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, Histogram)>,
    ) {
        let metric = |(labels, histogram): (Vec<_>, Histogram)| {
            let mut metric = labelled(&labels);
            metric.set_histogram(value(&histogram));
            metric
        };
        let metrics = values.into_iter().map(metric).collect();
        self.family(name, help, MetricType::HISTOGRAM, metrics);
    }

    /// What the system knows of this process: its time, memory, files and threads. On Linux alone.
    pub fn process(&mut self) {
        #[cfg(target_os = "linux")]
        self.families.extend(ProcessCollector::for_self().collect());
    }

    /// One with no value is left out: its name and help alone would say nothing.
    fn family(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.families.push(family);
    }

    /// It as text.
    ///
    /// # Errors
    /// Where a metric is none by the rules of the format.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(64 << 10);
        TextEncoder::new().encode(&self.families, &mut text)?;
        Ok(text)
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut metric = Metric::default();
    metric.set_label(labels.iter().map(pair).collect());
    metric
}

fn value(histogram: &Histogram) -> HistogramValue {
    let buckets = histogram.at_most.iter().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(*count);
        bucket
    });
    let mut value = HistogramValue::default();
    value.set_bucket(buckets.collect());
    value.set_sample_count(histogram.count);
    value.set_sample_sum(histogram.sum.as_secs_f64());
    value
}

/// What counts lose beyond 2⁵³ matters to nobody who divides them by time.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format knows no other numbers"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_text() {
        let mut page = Page::default();
        page.counters(
            "calls_total",
            "Calls.",
            [(vec![("code", "OK")], 3), (vec![("code", "Unknown")], 0)],
        );
        page.flag("ready", "Whether it is.", true);
        page.gauges("nothing", "Not there.", []);
        let histogram = Histogram {
            at_most: vec![(Duration::from_micros(50), 1)],
            count: 2,
            sum: Duration::from_millis(3),
        };
        page.histograms("took_seconds", "Time.", [(vec![], histogram)]);
        let want = "# HELP calls_total Calls.\n\
            # TYPE calls_total counter\n\
            calls_total{code=\"OK\"} 3\n\
            calls_total{code=\"Unknown\"} 0\n\
            # HELP ready Whether it is.\n\
            # TYPE ready gauge\n\
            ready 1\n\
            # HELP took_seconds Time.\n\
            # TYPE took_seconds histogram\n\
            took_seconds_bucket{le=\"0.00005\"} 1\n\
            took_seconds_bucket{le=\"+Inf\"} 2\n\
            took_seconds_sum 0.003\n\
            took_seconds_count 2\n";
        assert_eq!(String::from_utf8(page.text().unwrap()).unwrap(), want);
    }
}
