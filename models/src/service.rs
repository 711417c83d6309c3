//! The inference service: pictures and texts go in from any thread, answers come back on the
//! model's own.
//!
//! Each model has one session and one thread (`infer-yolov8n`), shared by everybody who asks for
//! it. A request waits in a bounded queue and is answered by a call of its reply, on the model's
//! thread; submitting never blocks, and a full queue is an error, as callers are expected to know
//! how many requests they have under way. The service neither drops nor reorders requests of a
//! model, and a model that fails or panics fails the request, not the thread.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::backend::{Device, SessionOptions};
use crate::{ModelError, ModelPlaces, NewModel, Registry, custom};

mod appearances;
mod caption_cache;
mod captions;
mod counters;
mod detections;
mod embeddings;
mod links;
mod pool;
mod reranks;
mod starter;
mod worker;

pub use self::appearances::{AppearanceReply, ReIdHandle};
pub use self::captions::{CaptionReply, CaptionerHandle};
pub use self::detections::{DetectReply, DetectorHandle};
pub use self::embeddings::{EmbedReply, EmbedderHandle};
pub use self::links::LinkerHandle;
pub use self::reranks::RerankerHandle;
pub use self::worker::{CacheCounts, Latency, LoadedModel};

use self::appearances::Appearances;
use self::captions::Captions;
use self::detections::Detections;
use self::embeddings::Embeddings;
use self::links::Links;
use self::pool::{Opening, Pool};
use self::reranks::Reranks;
use self::starter::Starter;

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
    /// Captions that are remembered by what their pictures look like, for each handle of a
    /// captioner; 0 is none.
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
        let intra_threads = self.intra_threads.max(1);
        SessionOptions { intra_threads, device, half_precision, ..SessionOptions::default() }
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

impl From<Device> for OpenOptions {
    fn from(device: Device) -> Self {
        Self { device, half_precision: false }
    }
}

/// A name that nobody else may register or remove until this is dropped.
struct Reserved<'a> {
    service: &'a InferenceService,
    name: String,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut reserved = self.service.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.remove(&self.name);
    }
}

/// The models in use, each on its own thread; one that nothing used for
/// [`ServiceOptions::keep_loaded`] is let go until it is asked for again.
/// Dropping the service stops the threads and waits for
/// them; requests that still wait are answered with [`ModelError::Stopping`], and so are those that
/// a handle submits later.
pub struct InferenceService {
    /// Another one when a model is registered or removed.
    registry: RwLock<Arc<Registry>>,
    /// Names of models that are being registered or removed.
    reserved: Mutex<BTreeSet<String>>,
    options: ServiceOptions,
    detectors: Pool<Detections>,
    reids: Pool<Appearances>,
    captioners: Pool<Captions>,
    embedders: Pool<Embeddings>,
    rerankers: Pool<Reranks>,
    linkers: Pool<Links>,
    starter: Starter,
}

impl InferenceService {
    /// A service without models; each is loaded when it is first asked for.
    pub fn new(registry: Arc<Registry>, options: ServiceOptions) -> Arc<Self> {
        Arc::new(Self {
            registry: RwLock::new(registry),
            reserved: Mutex::default(),
            options,
            detectors: Pool::default(),
            reids: Pool::default(),
            captioners: Pool::default(),
            embedders: Pool::default(),
            rerankers: Pool::default(),
            linkers: Pool::default(),
            starter: Starter::new(),
        })
    }

    /// The models that can be asked for at this moment.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers a model. It blocks while files are copied or fetched and the model is tried.
    ///
    /// # Errors
    /// [`ModelError::Exists`], or what is wrong with its name, its options or its files.
    pub fn create_model(
        &self,
        new: &NewModel,
        places: &Arc<dyn ModelPlaces>,
    ) -> Result<(), ModelError> {
        let _name = self.reserve(&new.name)?;
        let entry = custom::create(&self.registry(), new, places)?;
        self.change(|registry| registry.with(entry));
        Ok(())
    }

    /// Removes a model that was registered, with its files. Whoever has a handle of it still gets
    /// [`ModelError::Stopping`]; that nobody has is the caller's to see.
    ///
    /// # Errors
    /// [`ModelError::UnknownModel`], [`ModelError::NotMade`] for one of a manifest, and
    /// [`ModelError::Io`] when its files cannot be removed.
    pub fn drop_model(&self, name: &str) -> Result<(), ModelError> {
        let registry = self.registry();
        let entry = registry.entry(name)?;
        // Somebody else removes it at this moment.
        let gone = |_| ModelError::UnknownModel { name: name.to_owned(), nearest: None };
        let _name = self.reserve(&entry.name).map_err(gone)?;
        if entry.made.is_none() {
            return Err(ModelError::NotMade { name: entry.name.clone() });
        }
        custom::remove(&registry, entry)?;
        self.change(|registry| registry.without(&entry.name));
        let id = entry.id();
        self.detectors.forget(&id);
        self.reids.forget(&id);
        self.captioners.forget(&id);
        self.embedders.forget(&id);
        self.rerankers.forget(&id);
        self.linkers.forget(&id);
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&Registry) -> Registry) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        *registry = Arc::new(change(&registry));
    }

    fn reserve(&self, name: &str) -> Result<Reserved<'_>, ModelError> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if !reserved.insert(name.to_owned()) {
            return Err(ModelError::Exists { name: name.to_owned() });
        }
        Ok(Reserved { service: self, name: name.to_owned() })
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
        let worker = self.detectors.get(&self.opening(), name, open);
        worker.map(DetectorHandle::new)
    }

    /// The re-identification network `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn reid(&self, name: &str) -> Result<ReIdHandle, ModelError> {
        self.reid_on(name, Device::Auto)
    }

    /// As [`InferenceService::reid`], on a device and in a precision.
    ///
    /// # Errors
    /// As [`InferenceService::detector_with`].
    pub fn reid_on(
        &self,
        name: &str,
        open: impl Into<OpenOptions>,
    ) -> Result<ReIdHandle, ModelError> {
        let worker = self.reids.get(&self.opening(), name, open.into());
        worker.map(ReIdHandle::new)
    }

    /// The captioner `name`, loaded and checked if it is not yet. Each handle that is asked for
    /// remembers captions of its own; clones of one share them.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn captioner(&self, name: &str) -> Result<CaptionerHandle, ModelError> {
        self.captioner_on(name, Device::Auto)
    }

    /// As [`InferenceService::captioner`], on a device and in a precision.
    ///
    /// # Errors
    /// As [`InferenceService::detector_with`].
    pub fn captioner_on(
        &self,
        name: &str,
        open: impl Into<OpenOptions>,
    ) -> Result<CaptionerHandle, ModelError> {
        let worker = self.captioners.get(&self.opening(), name, open.into());
        worker.map(|worker| CaptionerHandle::new(worker, self.options.caption_cache))
    }

    /// The embedder `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn embedder(&self, name: &str) -> Result<EmbedderHandle, ModelError> {
        self.embedder_on(name, Device::Auto)
    }

    /// As [`InferenceService::embedder`], on a device and in a precision.
    ///
    /// # Errors
    /// As [`InferenceService::detector_with`].
    pub fn embedder_on(
        &self,
        name: &str,
        open: impl Into<OpenOptions>,
    ) -> Result<EmbedderHandle, ModelError> {
        let worker = self.embedders.get(&self.opening(), name, open.into());
        worker.map(EmbedderHandle::new)
    }

    /// The reranker `name`, loaded and checked if it is not yet.
    ///
    /// # Errors
    /// As [`InferenceService::detector`].
    pub fn reranker(&self, name: &str) -> Result<RerankerHandle, ModelError> {
        let open = OpenOptions::default();
        self.rerankers.get(&self.opening(), name, open).map(RerankerHandle::new)
    }

    /// The linker `name`, loaded and checked if it is not yet, on a device.
    ///
    /// # Errors
    /// As [`InferenceService::detector`], and [`ModelError::NoDevice`].
    pub fn linker_on(&self, name: &str, device: Device) -> Result<LinkerHandle, ModelError> {
        let worker = self.linkers.get(&self.opening(), name, device.into());
        worker.map(LinkerHandle::new)
    }

    fn opening(&self) -> Opening<'_> {
        Opening { registry: self.registry(), options: &self.options, starter: &self.starter }
    }

    /// The loaded models with their counters, by id.
    pub fn loaded(&self) -> Vec<LoadedModel> {
        let mut loaded = self.detectors.loaded();
        loaded.append(&mut self.reids.loaded());
        loaded.append(&mut self.captioners.loaded());
        loaded.append(&mut self.embedders.loaded());
        loaded.append(&mut self.rerankers.loaded());
        loaded.append(&mut self.linkers.loaded());
        loaded.sort_by(|a, b| a.id.cmp(&b.id));
        loaded
    }
}

#[cfg(test)]
mod tests;
