//! Captioners in the service: a picture and options go in, a sentence comes out.

use std::sync::Arc;

use super::worker::{Kind, Worker};
use crate::backend::SessionOptions;
use crate::manifest::{ModelEntry, Task};
use crate::{CaptionOptions, Captioner, Image, ModelError, Registry};

/// Takes a picture's caption.
pub type CaptionReply = Box<dyn FnOnce(Result<String, ModelError>) + Send>;

pub(super) struct Captions;

impl Kind for Captions {
    const TASK: Task = Task::Captioner;
    type Model = Box<dyn Captioner>;
    type Facts = ();
    type Request = (Arc<Image>, CaptionOptions);
    type Answer = String;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: SessionOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        Ok((crate::open_captioner(registry, entry, options)?, ()))
    }

    /// One after the other: the beams of a picture already are a batch.
    fn run(
        model: &mut Self::Model,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        requests.iter().map(|(image, options)| model.caption(image, options)).collect()
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
