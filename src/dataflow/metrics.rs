//! What each operator of a source's dataflow did: records, time on the worker, latency of a
//! record. They are rows of `vigil_catalog.operators`, never part of any other row.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use vigil_sql::OperatorInfo;

/// The longest latency that is told apart, microseconds: an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Latencies, as a histogram with two significant digits.
#[derive(Debug)]
pub struct Latencies(Mutex<Option<Histogram<u64>>>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Mutex::new(Histogram::new_with_bounds(1, LONGEST_MICROS, 2).ok()))
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_MICROS);
        if let Some(histogram) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            histogram.saturating_record(micros.clamp(1, LONGEST_MICROS));
        }
    }

    /// The quantile (0..=1) in milliseconds; `None` while nothing was recorded.
    #[expect(clippy::cast_precision_loss, reason = "an hour of microseconds fits an f64")]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = guard.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(quantile) as f64 / 1000.0)
    }
}

/// The counters of one operator.
#[derive(Debug)]
pub struct OperatorMetrics {
    name: &'static str,
    records_in: AtomicI64,
    records_out: AtomicI64,
    elapsed_nanos: AtomicU64,
    latencies: Latencies,
}

impl OperatorMetrics {
    /// Records came in.
    pub fn took(&self, records: usize) {
        self.records_in.fetch_add(i64::try_from(records).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// A record went out, so long after it came in.
    pub fn gave(&self, latency: Duration) {
        self.records_out.fetch_add(1, Ordering::Relaxed);
        self.latencies.record(latency);
    }

    /// Counts the time until the guard is dropped as spent in the operator.
    pub fn busy(&self) -> Busy<'_> {
        Busy { metrics: self, since: Instant::now() }
    }
}

/// Time being spent in an operator.
#[derive(Debug)]
pub struct Busy<'a> {
    metrics: &'a OperatorMetrics,
    since: Instant,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.metrics.elapsed_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// The operators of one source's dataflow, in the order in which a frame meets them.
#[derive(Debug, Default)]
pub struct DataflowMetrics {
    operators: Mutex<Vec<Arc<OperatorMetrics>>>,
}

impl DataflowMetrics {
    /// The counters of a new operator.
    pub fn operator(&self, name: &'static str) -> Arc<OperatorMetrics> {
        let metrics = Arc::new(OperatorMetrics {
            name,
            records_in: AtomicI64::new(0),
            records_out: AtomicI64::new(0),
            elapsed_nanos: AtomicU64::new(0),
            latencies: Latencies::default(),
        });
        self.operators.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&metrics));
        metrics
    }

    /// The operators as rows.
    #[expect(clippy::cast_precision_loss, reason = "centuries of nanoseconds fit an f64")]
    pub fn rows(&self, source: &str, worker: usize) -> Vec<OperatorInfo> {
        let operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators
            .iter()
            .map(|operator| {
                let records_in = operator.records_in.load(Ordering::Relaxed);
                let records_out = operator.records_out.load(Ordering::Relaxed);
                OperatorInfo {
                    source: source.to_owned(),
                    operator: operator.name.to_owned(),
                    worker: i32::try_from(worker).unwrap_or(i32::MAX),
                    records_in,
                    records_out,
                    held: (records_in - records_out).max(0),
                    elapsed_ms: operator.elapsed_nanos.load(Ordering::Relaxed) as f64 / 1e6,
                    latency_p50_ms: operator.latencies.quantile_ms(0.5),
                    latency_p95_ms: operator.latencies.quantile_ms(0.95),
                }
            })
            .collect()
    }
}
