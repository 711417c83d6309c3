//! The inference service: pictures and texts go in from any thread, answers come back on the
//! model's own.
//!
//! Each model has one session and one thread (`infer-yolov8n`), shared by everybody who asks for
//! it. A request waits in a bounded queue and is answered by a call of its reply, on the model's
//! thread; submitting never blocks, and a full queue is an error, as callers are expected to know
//! how many requests they have under way. The service neither drops nor reorders requests of a
//! model, and a model that fails or panics fails the request, not the thread.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Device, SessionOptions};
use crate::{ModelError, Registry};

mod appearances;
mod caption_cache;
mod captions;
mod counters;
mod detections;
mod embeddings;
mod pool;
mod reranks;
mod worker;

pub use self::appearances::{AppearanceReply, ReIdHandle};
pub use self::captions::{CaptionReply, CaptionerHandle};
pub use self::detections::{DetectReply, DetectorHandle};
pub use self::embeddings::{EmbedReply, EmbedderHandle};
pub use self::reranks::RerankerHandle;
pub use self::worker::{CacheCounts, Latency, LoadedModel};

use self::appearances::Appearances;
use self::captions::Captions;
use self::detections::Detections;
use self::embeddings::Embeddings;
use self::pool::Pool;
use self::reranks::Reranks;

/// How the service runs its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Threads that work on one run of a model; at least 1.
    pub intra_threads: usize,
    /// Requests that go into one run together at most; at least 1.
    pub max_batch: usize,
    /// How long a run waits for more requests when it has fewer than `max_batch`.
    pub max_wait: Duration,
    /// Requests that wait for a model at most; at least 1.
    pub queue: usize,
    /// How long a model that nothing uses stays in memory; the next request loads it again.
    pub keep_loaded: Duration,
    /// Captions that are remembered by what their pictures look like, for each captioner; 0 is none.
    pub caption_cache: usize,
}

impl Default for ServiceOptions {
    /// A thread for each core, one request a run (on a CPU, a batch is no faster and later), 64
    /// that wait, 5 minutes in memory, 1,000 captions remembered.
    fn default() -> Self {
        Self {
            intra_threads: SessionOptions::default().intra_threads,
            max_batch: 1,
            max_wait: Duration::ZERO,
            queue: 64,
            keep_loaded: Duration::from_secs(5 * 60),
            caption_cache: 1000,
        }
    }
}

impl ServiceOptions {
    fn session(&self, open: OpenOptions) -> SessionOptions {
        let OpenOptions { device, half_precision } = open;
        SessionOptions { intra_threads: self.intra_threads.max(1), device, half_precision }
    }
}

/// How a model is opened; one that is asked for in two ways has two sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenOptions {
    /// Where it runs.
    pub device: Device,
    /// Whether its float16 graphs are taken rather than its float32 ones.
    pub half_precision: bool,
}

/// The models in use, each on its own thread; one that nothing used for
/// [`ServiceOptions::keep_loaded`] is let go until it is asked for again.
/// Dropping the service stops the threads and waits for
/// them; requests that still wait are answered with [`ModelError::Stopping`], and so are those that
/// a handle submits later.
pub struct InferenceService {
    registry: Arc<Registry>,
    options: ServiceOptions,
    detectors: Pool<Detections>,
    reids: Pool<Appearances>,
    captioners: Pool<Captions>,
    embedders: Pool<Embeddings>,
    rerankers: Pool<Reranks>,
}

impl InferenceService {
    /// A service without models; each is loaded when it is first asked for.
    pub fn new(registry: Arc<Registry>, options: ServiceOptions) -> Arc<Self> {
        Arc::new(Self {
            registry,
            options,
            detectors: Pool::default(),
            reids: Pool::default(),
            captioners: Pool::default(),
            embedders: Pool::default(),
            rerankers: Pool::default(),
        })
    }

    /// The models that can be asked for.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The detector `name` (`yolov8n` or `yolov8n:1`), loaded and checked if it is not yet.
    ///
    /// # Errors
    /// [`ModelError::UnknownModel`], [`ModelError::WrongTask`], or why it cannot be loaded; a
    /// failure is not remembered.
    pub fn detector(&self, name: &str) -> Result<DetectorHandle, ModelError> {
        self.detector_with(name, OpenOptions::default())
    }

    /// As [`InferenceService::detector`], on a device and in a precision.
    ///
    /// # Errors
    /// As [`InferenceService::detector`], [`ModelError::NoDevice`], and
    /// [`ModelError::Unsupported`] where it has no graph of that precision.
    pub fn detector_with(
        &self,
        name: &str,
        open: OpenOptions,
    ) -> Result<DetectorHandle, ModelError> {
        let worker = self.detectors.get(&self.registry, name, &self.options, open);
        worker.map(DetectorHandle::new)
    }

    /// The re-identification network `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn reid(&self, name: &str) -> Result<ReIdHandle, ModelError> {
        self.reids
            .get(&self.registry, name, &self.options, OpenOptions::default())
            .map(ReIdHandle::new)
    }

    /// The captioner `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn captioner(&self, name: &str) -> Result<CaptionerHandle, ModelError> {
        let open = OpenOptions::default();
        self.captioners.get(&self.registry, name, &self.options, open).map(CaptionerHandle::new)
    }

    /// The embedder `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn embedder(&self, name: &str) -> Result<EmbedderHandle, ModelError> {
        let open = OpenOptions::default();
        self.embedders.get(&self.registry, name, &self.options, open).map(EmbedderHandle::new)
    }

    /// The reranker `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn reranker(&self, name: &str) -> Result<RerankerHandle, ModelError> {
        let open = OpenOptions::default();
        self.rerankers.get(&self.registry, name, &self.options, open).map(RerankerHandle::new)
    }

    /// The loaded models with their counters, by id.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        let mut loaded = self.detectors.loaded();
        loaded.append(&mut self.reids.loaded());
        loaded.append(&mut self.captioners.loaded());
        loaded.append(&mut self.embedders.loaded());
        loaded.append(&mut self.rerankers.loaded());
        loaded.sort_by(|a, b| a.id.cmp(&b.id));
        loaded
    }
}

#[cfg(test)]
mod tests;
