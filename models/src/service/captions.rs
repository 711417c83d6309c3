//! Captioners in the service: a picture and options go in, a sentence comes out.

use std::sync::Arc;

use super::caption_cache::{CaptionCache, Key};
use super::worker::{CacheCounts, Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::manifest::{ModelEntry, Task};
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

/// Takes a picture's caption.
pub type CaptionReply = Box<dyn FnOnce(Result<String, ModelError>) + Send>;

/// Pictures in one run at most.
const MAX_BATCH: usize = 4;

pub(super) struct Captions;

impl Kind for Captions {
    const TASK: Task = Task::Captioner;
    type Model = Box<dyn Captioner>;
    type Facts = CaptionCache;
    type Request = (Arc<Image>, CaptionOptions);
    type Answer = String;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let captioner = crate::open_captioner(registry, entry, options.session(open))?;
        Ok((captioner, CaptionCache::new(options.caption_cache)))
    }

    /// What is not remembered; neighbours that are decoded in the same way share a run.
    fn run(
        model: &mut Self::Model,
        cache: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let keys: Vec<Key> =
            requests.iter().map(|(image, options)| Key::of(image, options)).collect();
        let mut texts: Vec<Option<String>> = keys.iter().map(|key| cache.find(key)).collect();
        let missing: Vec<usize> = (0..requests.len()).filter(|&at| texts[at].is_none()).collect();
        for alike in missing.chunk_by(|&a, &b| requests[a].1 == requests[b].1) {
            for batch in alike.chunks(MAX_BATCH) {
                let images: Vec<&Image> = batch.iter().map(|&at| &*requests[at].0).collect();
                let captions = model.caption(&images, &requests[batch[0]].1)?;
                for (&at, caption) in batch.iter().zip(captions) {
                    cache.remember(&keys[at], &caption.text);
                    texts[at] = Some(caption.text);
                }
            }
        }
        Ok(texts.into_iter().flatten().collect())
    }

    fn cache(cache: &Self::Facts) -> Option<CacheCounts> {
        Some(cache.counts())
    }
}

/// A captioner in the service; clones share it.
#[derive(Clone)]
pub struct CaptionerHandle {
    worker: Arc<Worker<Captions>>,
}

impl CaptionerHandle {
    pub(super) fn new(worker: Arc<Worker<Captions>>) -> Self {
        Self { worker }
    }

    /// The model's name with version, as rows name it: `blip-base:1`.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// Queues a picture; `reply` is called once, on the model's thread, and must not block it.
    /// Never blocks.
    ///
    /// # Errors
    /// [`ModelError::QueueFull`] or [`ModelError::Stopping`]; then `reply` is not called.
    pub fn submit(
        &self,
        image: Arc<Image>,
        options: CaptionOptions,
        reply: CaptionReply,
    ) -> Result<(), ModelError> {
        self.worker.submit((image, options), Box::new(move |answer, _| reply(answer)))
    }

    /// Captions, and waits for the answer; not for threads that must not block.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn caption(
        &self,
        image: Arc<Image>,
        options: CaptionOptions,
    ) -> Result<String, ModelError> {
        self.worker.ask((image, options))
    }
}
