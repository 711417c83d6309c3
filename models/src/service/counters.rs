//! What a model did so far, counted on its thread and read from any.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::backend::RunsOn;
use crate::manifest::Task;

/// Times are told apart to a thousandth of their size.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A model of the service and what it did so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModel {
    /// Name with version: `yolov8n:1`.
    pub id: Arc<str>,
    /// What it is for.
    pub task: Task,
    /// Whether its sessions are in memory; those of a model that nothing used for a while are not.
    pub resident: bool,
    /// When they were loaded last, microseconds since the Unix epoch, while they are in memory.
    pub loaded_at_micros: Option<i64>,
    /// Runs so far, also those that failed.
    pub runs: u64,
    /// Pictures, cut-outs or texts of the requests that were answered, also of those that failed.
    pub items: u64,
    /// Requests that failed. How many were answered is in `latency`.
    pub failed: u64,
    /// Requests that wait.
    pub queued: usize,
    /// The time of all runs, preparation and interpretation included.
    pub total: Duration,
    /// The time of the last run.
    pub last: Duration,
    /// From a request's submission to its answer.
    pub latency: Latency,
    /// The device that it runs on and why, where the model says.
    pub runs_on: Option<RunsOn>,
    /// How often an answer was remembered, for a model whose answers are.
    pub cache: Option<CacheCounts>,
}

/// How long requests took, from submission to answer: the median and the times that 95 and 99 of
/// 100 did not exceed. Zero while none was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Requests answered.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// How often an answer was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Requests that were answered from memory.
    pub hits: u64,
    /// Requests that the model had to answer.
    pub misses: u64,
}

/// The counters of one model.
pub(super) struct Counters {
    runs: AtomicU64,
    items: AtomicU64,
    failed: AtomicU64,
    total_nanos: AtomicU64,
    last_nanos: AtomicU64,
    resident: AtomicBool,
    loaded_at_micros: AtomicI64,
    /// Requests that go into one run together at most.
    max_batch: AtomicUsize,
    stopping: AtomicBool,
    /// Microseconds; `None` could only be where the number of digits is not one it can have.
    latency: Mutex<Option<Histogram<u64>>>,
}

impl Counters {
    /// Those of a model that was just loaded.
    pub(super) fn new(max_batch: usize) -> Self {
        Self {
            runs: AtomicU64::default(),
            items: AtomicU64::default(),
            failed: AtomicU64::default(),
            total_nanos: AtomicU64::default(),
            last_nanos: AtomicU64::default(),
            resident: AtomicBool::new(true),
            loaded_at_micros: AtomicI64::new(now_micros()),
            max_batch: AtomicUsize::new(max_batch.max(1)),
            stopping: AtomicBool::new(false),
            latency: Mutex::new(Histogram::new(SIGNIFICANT_DIGITS).ok()),
        }
    }

    /// Counts a run.
    pub(super) fn ran(&self, elapsed: Duration) {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.total_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.last_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Counts a request of `items` pictures or texts that was answered after `latency`.
    pub(super) fn answered(&self, items: usize, outcome: Outcome, latency: Duration) {
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(outcome == Outcome::Failed), Ordering::Relaxed);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let mut histogram = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = &mut *histogram {
            // It grows as far as a time can go.
            let _ = histogram.record(micros);
        }
    }

    pub(super) fn set_resident(&self, resident: bool) {
        if resident {
            self.loaded_at_micros.store(now_micros(), Ordering::Release);
        }
        self.resident.store(resident, Ordering::Release);
    }

    /// Lets runs have as many requests, if they may not yet.
    pub(super) fn allow_batch(&self, batch_size: usize) {
        self.max_batch.fetch_max(batch_size, Ordering::Relaxed);
    }

    /// Requests that go into one run together at most.
    pub(super) fn max_batch(&self) -> usize {
        self.max_batch.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// What they say now.
    pub(super) fn read(&self, id: Arc<str>, task: Task, queued: usize) -> LoadedModel {
        let resident = self.resident.load(Ordering::Acquire);
        let loaded_at = self.loaded_at_micros.load(Ordering::Acquire);
        LoadedModel {
            id,
            task,
            resident,
            loaded_at_micros: resident.then_some(loaded_at),
            runs: self.runs.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            queued,
            total: Duration::from_nanos(self.total_nanos.load(Ordering::Relaxed)),
            last: Duration::from_nanos(self.last_nanos.load(Ordering::Relaxed)),
            latency: self.latency(),
            runs_on: None,
            cache: None,
        }
    }

    fn latency(&self) -> Latency {
        let histogram = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(histogram) = &*histogram else { return Latency::default() };
        let quantile = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Latency {
            count: histogram.len(),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: Duration::from_micros(histogram.max()),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed,
}

/// The wall clock, which is for people to read and nothing else.
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_answers() {
        let counters = Counters::new(1);
        let read = || counters.read("m:1".into(), Task::Embedder, 0);
        assert_eq!(read().latency, Latency::default());
        for millis in 1..=100 {
            let outcome = if millis == 7 { Outcome::Failed } else { Outcome::Answered };
            counters.answered(3, outcome, Duration::from_millis(millis));
        }
        let latency = read().latency;
        assert_eq!((latency.count, read().items, read().failed), (100, 300, 1));
        for (found, millis) in [(latency.p50, 50), (latency.p95, 95), (latency.max, 100)] {
            let off = found.abs_diff(Duration::from_millis(millis));
            assert!(off <= Duration::from_micros(100 * millis / 50), "{latency:?}");
        }
    }
}
