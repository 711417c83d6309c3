//! Captioners in the service: a picture and options go in, a sentence comes out.

use std::sync::Arc;

use super::caption_cache::{CacheTotals, CaptionCache, Key};
use super::worker::{CacheCounts, Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::backend::RunsOn;
use crate::manifest::{ModelEntry, Task};
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

/// Takes a picture's caption.
pub type CaptionReply = Box<dyn FnOnce(Result<String, ModelError>) + Send>;

/// Pictures in one run at most.
const MAX_BATCH: usize = 16;

pub(super) struct Captions;

/// What is asked of a captioner.
pub(super) struct Ask {
    image: Arc<Image>,
    options: CaptionOptions,
    /// What the asker was told before.
    cache: Arc<CaptionCache>,
}

/// What callers may know of a captioner.
pub(super) struct Facts {
    runs_on: RunsOn,
    totals: Arc<CacheTotals>,
}

impl Kind for Captions {
    const TASK: Task = Task::Captioner;
    type Model = Box<dyn Captioner>;
    type Facts = Facts;
    type Request = Ask;
    type Answer = String;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let captioner = crate::open_captioner(registry, entry, options.session(open))?;
        let runs_on = captioner.runs_on().clone();
        Ok((captioner, Facts { runs_on, totals: Arc::default() }))
    }

    /// What is not remembered; neighbours that are decoded in the same way share a run. A picture
    /// that looks as an earlier one of its source gets the earlier one's caption also when both
    /// wait for it, so that it does not matter which pictures come together.
    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let keys: Vec<Key> = requests.iter().map(|ask| Key::of(&ask.image, &ask.options)).collect();
        let mut texts: Vec<Option<String>> = Vec::with_capacity(requests.len());
        let mut missing: Vec<usize> = Vec::new();
        let mut same_as: Vec<(usize, usize)> = Vec::new();
        for (at, (ask, key)) in requests.iter().zip(&keys).enumerate() {
            let is_same = |&earlier: &usize| {
                Arc::ptr_eq(&requests[earlier].cache, &ask.cache) && keys[earlier].is_same(key)
            };
            let earlier = missing.iter().copied().find(is_same).filter(|_| ask.cache.remembers());
            texts.push(match earlier {
                Some(earlier) => {
                    same_as.push((at, earlier));
                    ask.cache.count_hit();
                    None
                }
                None => ask.cache.find(key),
            });
            if earlier.is_none() && texts[at].is_none() {
                missing.push(at);
            }
        }
        for alike in missing.chunk_by(|&a, &b| requests[a].options == requests[b].options) {
            for batch in alike.chunks(MAX_BATCH) {
                let images: Vec<&Image> = batch.iter().map(|&at| &*requests[at].image).collect();
                let captions = model.caption(&images, &requests[batch[0]].options)?;
                for (&at, caption) in batch.iter().zip(captions) {
                    requests[at].cache.remember(&keys[at], &caption.text);
                    texts[at] = Some(caption.text);
                }
            }
        }
        for (at, earlier) in same_as {
            texts[at] = texts[earlier].clone();
        }
        Ok(texts.into_iter().flatten().collect())
    }

    fn runs_on(facts: &Self::Facts) -> Option<&RunsOn> {
        Some(&facts.runs_on)
    }

    fn cache(facts: &Self::Facts) -> Option<CacheCounts> {
        Some(facts.totals.read())
    }
}

/// A captioner in the service, with the captions that it gave to this handle; clones share both.
#[derive(Clone)]
pub struct CaptionerHandle {
    worker: Arc<Worker<Captions>>,
    cache: Arc<CaptionCache>,
}

impl CaptionerHandle {
    /// A handle that remembers `capacity` captions.
    pub(super) fn new(worker: Arc<Worker<Captions>>, capacity: usize) -> Self {
        let totals = Arc::clone(&worker.facts().totals);
        Self { worker, cache: Arc::new(CaptionCache::new(capacity, totals)) }
    }

    fn ask(&self, image: Arc<Image>, options: CaptionOptions) -> Ask {
        Ask { image, options, cache: Arc::clone(&self.cache) }
    }

    /// The model's name with version, as rows name it: `blip-base:1`.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// Lets as many pictures that wait go into one run, if they may not yet.
    pub fn allow_batch(&self, batch_size: usize) {
        self.worker.allow_batch(batch_size.min(MAX_BATCH));
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
        self.worker.submit(self.ask(image, options), Box::new(move |answer, _| reply(answer)))
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
        self.worker.ask(self.ask(image, options))
    }
}
