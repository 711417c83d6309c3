//! A source that runs, or has run: what its dataflow needs and what the catalog tells of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use vigil_models::EmbedderHandle;
use vigil_sql::{SourceInfo, SourceStatistics};

use crate::caption::{CaptionerChoice, ObjectNames};
use crate::dataflow::gate::Gate;
use crate::dataflow::metrics::{DataflowMetrics, Latencies};
use crate::decode::VideoInfo;
use crate::detect::DetectorChoice;
use crate::fault::{Fault, FaultLog};
use crate::keyframe::KeyframeOptions;
use crate::source::SourceSpec;
use crate::source_id::SourceId;
use crate::tables::RowContext;
use crate::track::{Looker, Tracker};

/// Where a source is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Its dataflow is being built.
    Starting,
    /// Frames flow.
    Running,
    /// All frames are through, and all rows visible.
    Ended,
    /// It stopped for a reason.
    Failed {
        /// Five characters of PostgreSQL's appendix A.
        sqlstate: String,
        /// What happened.
        message: String,
    },
    /// `DROP SOURCE`.
    Dropped,
}

impl SourceState {
    /// Its name in SQL.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Failed { .. } => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// Whether nothing comes any more.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ended | Self::Failed { .. } | Self::Dropped)
    }
}

#[derive(Debug, Default)]
struct Counters {
    frames: AtomicI64,
    detections: AtomicI64,
    tracks: AtomicI64,
    captions: AtomicI64,
}

/// A source of the engine.
pub struct RunningSource {
    /// Its number.
    pub id: SourceId,
    /// Its statement, checked.
    pub spec: SourceSpec,
    /// What is known of its video.
    pub video: VideoInfo,
    /// What is the same in all its rows.
    pub context: RowContext,
    /// Event time of its first frame, microseconds since the Unix epoch.
    pub start_micros: i64,
    /// Between its decoder and its dataflow.
    pub gate: Arc<Gate>,
    /// Undetected frames that are let in at a time.
    pub credits: usize,
    /// Who looks at its frames.
    pub detector: DetectorChoice,
    /// Who describes its key frames.
    pub captioner: CaptionerChoice,
    /// Who embeds its captions.
    pub embedder: Option<EmbedderHandle>,
    /// Who looks at its frames for its tracker.
    pub looker: Option<Looker>,
    /// How its objects are named and counted.
    pub names: ObjectNames,
    /// Which of its frames are key frames.
    pub keyframes: KeyframeOptions,
    /// Its operators' counters.
    pub metrics: DataflowMetrics,
    /// From leaving the decoder to being visible.
    pub latencies: Latencies,
    faults: FaultLog,
    counters: Counters,
    created_at_micros: i64,
    started: Instant,
    ended: Mutex<Option<Instant>>,
    state: watch::Sender<SourceState>,
    /// What the source fails with once all that it gave is visible.
    verdict: OnceLock<SourceState>,
}

impl std::fmt::Debug for RunningSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningSource").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The parts of a source that its creation decides.
pub struct SourceParts {
    /// Its number.
    pub id: SourceId,
    /// Its statement, checked.
    pub spec: SourceSpec,
    /// What is known of its video.
    pub video: VideoInfo,
    /// What is the same in all its rows.
    pub context: RowContext,
    /// Undetected frames that are let in at a time.
    pub credits: usize,
    /// Who looks at its frames.
    pub detector: DetectorChoice,
    /// Who describes its key frames.
    pub captioner: CaptionerChoice,
    /// Who embeds its captions.
    pub embedder: Option<EmbedderHandle>,
    /// Who looks at its frames for its tracker.
    pub looker: Option<Looker>,
}

impl RunningSource {
    /// A source that is about to start.
    pub fn new(parts: SourceParts) -> Arc<Self> {
        let SourceParts {
            id,
            spec,
            video,
            context,
            credits,
            detector,
            captioner,
            embedder,
            looker,
        } = parts;
        let options = &spec.options;
        let names = ObjectNames {
            labels: Arc::clone(&context.labels),
            confidence_threshold: options.confidence_threshold,
        };
        let keyframes = KeyframeOptions {
            first: options.keyframe_first,
            track_frames: options.keyframe_new_track.then_some(options.keyframe_track_frames),
            class_change: options.keyframe_class_change,
            interval_micros: micros(options.keyframe_interval),
            confidence_threshold: options.confidence_threshold,
        };
        // A file without a recording time begins with the Unix epoch: the same file gives the
        // same rows, whenever and wherever it is read.
        let start_micros = options.start_time.or(video.start_time_micros).unwrap_or(0);
        Arc::new(Self {
            gate: Gate::new(options.mode, credits, options.max_bytes_in_flight),
            id,
            video,
            context,
            start_micros,
            credits,
            detector,
            captioner,
            embedder,
            looker,
            names,
            keyframes,
            metrics: DataflowMetrics::default(),
            latencies: Latencies::default(),
            faults: FaultLog::default(),
            counters: Counters::default(),
            created_at_micros: now_micros(),
            started: Instant::now(),
            ended: Mutex::new(None),
            state: watch::Sender::new(SourceState::Starting),
            verdict: OnceLock::new(),
            spec,
        })
    }

    /// The worker that does the work, of `workers`.
    pub fn owner(&self, workers: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        self.spec.name.hash(&mut hasher);
        let workers = workers.max(1) as u64;
        usize::try_from(hasher.finish() % workers).unwrap_or(0)
    }

    /// A tracker that has seen nothing.
    pub fn tracker(&self) -> Box<dyn Tracker> {
        let options = &self.spec.options;
        options.tracker.tracker(&options.track_options())
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        tracing::warn!(
            source = self.spec.name,
            stage = %fault.stage,
            frame = fault.frame_number,
            "{}",
            fault.message
        );
        self.faults.push(now_micros(), fault);
    }

    /// The faults.
    pub fn faults(&self) -> &FaultLog {
        &self.faults
    }

    /// Counts what became visible; tracks may have become fewer.
    pub fn count_commit(&self, frames: usize, detections: usize, more_tracks: i64) {
        add(&self.counters.frames, frames);
        add(&self.counters.detections, detections);
        self.counters.tracks.fetch_add(more_tracks, Ordering::Relaxed);
    }

    /// Counts captions that became visible.
    pub fn count_captions(&self, captions: usize) {
        add(&self.counters.captions, captions);
    }

    /// The state, to be watched.
    pub fn state(&self) -> watch::Receiver<SourceState> {
        self.state.subscribe()
    }

    /// Frames begin to flow.
    pub fn run(&self) {
        self.become_state(SourceState::Running);
    }

    /// All rows are visible, and all faults told.
    pub fn end(&self) {
        match self.verdict.get() {
            Some(SourceState::Failed { sqlstate, message }) => self.fail(sqlstate, message),
            _ => self.become_state(SourceState::Ended),
        }
    }

    /// The source cannot go on, but what it gave still becomes visible: it fails when it
    /// [ends](Self::end), so that whoever waited for it finds its faults.
    pub fn fail_at_end(&self, sqlstate: &str, message: &str) {
        let (sqlstate, message) = (sqlstate.to_owned(), message.to_owned());
        // The first reason stays.
        let _ = self.verdict.set(SourceState::Failed { sqlstate, message });
    }

    /// The source cannot go on.
    pub fn fail(&self, sqlstate: &str, message: &str) {
        tracing::error!(source = self.spec.name, sqlstate, "source failed: {message}");
        self.become_state(SourceState::Failed {
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
        });
    }

    /// The source is dropped: the decoder stops, waiters are told.
    pub fn drop_source(&self) {
        self.gate.close();
        self.state.send_replace(SourceState::Dropped);
    }

    /// Goes to a state, unless the source is through already.
    fn become_state(&self, to: SourceState) {
        let is_final = to.is_final();
        let changed = self.state.send_if_modified(|state| {
            let changes = !state.is_final();
            if changes {
                *state = to;
            }
            changes
        });
        if changed && is_final {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            *ended = Some(Instant::now());
        }
    }

    fn elapsed(&self) -> Duration {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.unwrap_or_else(Instant::now).duration_since(self.started)
    }

    /// The counters.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn statistics(&self) -> SourceStatistics {
        let gate = self.gate.counts();
        let frames = get(&self.counters.frames);
        let seconds = self.elapsed().as_secs_f64();
        SourceStatistics {
            frames_decoded: gate.decoded,
            frames_processed: frames,
            frames_dropped: gate.dropped,
            detections: get(&self.counters.detections),
            tracks: get(&self.counters.tracks),
            captions: get(&self.counters.captions),
            errors: self.faults.total(),
            bytes_in_flight: gate.bytes,
            frames_per_second: if seconds > 0.0 { frames as f64 / seconds } else { 0.0 },
            latency_p50_ms: self.latencies.quantile_ms(0.5),
            latency_p95_ms: self.latencies.quantile_ms(0.95),
        }
    }

    /// What the catalog tells of it.
    pub fn info(&self) -> SourceInfo {
        let none = || "none".to_owned();
        let state = self.state.borrow().clone();
        let error = match &state {
            SourceState::Failed { message, .. } => Some(message.clone()),
            _ => None,
        };
        SourceInfo {
            id: self.id.0,
            name: self.spec.name.clone(),
            url: self.spec.url.clone(),
            state: state.name().to_owned(),
            mode: self.spec.options.mode.name().to_owned(),
            detector: self.context.detector.clone().unwrap_or_else(none),
            tracker: self.context.tracker.clone(),
            captioner: self.context.captioner.clone().unwrap_or_else(none),
            embedder: self.context.embedder.clone().unwrap_or_else(none),
            width: i32::try_from(self.video.width).ok(),
            height: i32::try_from(self.video.height).ok(),
            frame_rate: self.video.frame_rate,
            total_frames: self.total_frames(),
            create_sql: self.spec.create_sql.clone(),
            error,
            created_at_micros: self.created_at_micros,
            statistics: self.statistics(),
        }
    }

    /// Frames that will be processed, as far as the container tells.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    fn total_frames(&self) -> Option<i64> {
        let total = self.video.total_frames?;
        match (self.spec.options.fps, self.video.frame_rate) {
            (Some(fps), Some(rate)) if rate > fps => {
                Some((total as f64 * fps / rate).ceil() as i64)
            }
            _ => Some(total),
        }
    }
}

fn add(counter: &AtomicI64, count: usize) {
    counter.fetch_add(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
}

fn get(counter: &AtomicI64) -> i64 {
    counter.load(Ordering::Relaxed)
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}

fn now_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
