//! Embedders in the service: texts go in, vectors come out.

use std::sync::Arc;

use super::worker::{Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::backend::RunsOn;
use crate::manifest::{ModelEntry, Task};
use crate::{EmbedOptions, Embedder, ModelError, Registry};

/// Takes the vectors of a request's texts, in their order.
pub type EmbedReply = Box<dyn FnOnce(Result<Vec<Vec<f32>>, ModelError>) + Send>;

pub(super) struct Embeddings;

impl Kind for Embeddings {
    const TASK: Task = Task::Embedder;
    type Model = Box<dyn Embedder>;
    /// The length of the vectors, and where they are made.
    type Facts = (usize, RunsOn);
    type Request = (Vec<String>, EmbedOptions);
    type Answer = Vec<Vec<f32>>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let embedder = crate::open_embedder(registry, entry, options.session(open))?;
        let facts = (embedder.dimensions(), embedder.runs_on().clone());
        Ok((embedder, facts))
    }

    /// The texts of all requests that are embedded in the same way together, then apart again.
    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let mut answers = Vec::with_capacity(requests.len());
        for alike in requests.chunk_by(|(_, a), (_, b)| a == b) {
            let texts: Vec<&str> =
                alike.iter().flat_map(|(texts, _)| texts.iter().map(String::as_str)).collect();
            let mut vectors = model.embed(&texts, alike[0].1)?.into_iter();
            answers.extend(
                alike.iter().map(|(texts, _)| vectors.by_ref().take(texts.len()).collect()),
            );
        }
        Ok(answers)
    }

    fn runs_on(facts: &Self::Facts) -> Option<&RunsOn> {
        Some(&facts.1)
    }

    fn items((texts, _): &Self::Request) -> usize {
        texts.len()
    }
}

/// An embedder in the service; clones share it.
#[derive(Clone)]
pub struct EmbedderHandle {
    worker: Arc<Worker<Embeddings>>,
}

impl EmbedderHandle {
    pub(super) fn new(worker: Arc<Worker<Embeddings>>) -> Self {
        Self { worker }
    }

    /// The model's name with version, as rows name it: `all-minilm-l6-v2:1`.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// The length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.worker.facts().0
    }

    /// Queues texts, to become vectors as the options say; `reply` is called once, on the model's
    /// thread, and must not block it. Never blocks.
    ///
    /// # Errors
    /// [`ModelError::QueueFull`] or [`ModelError::Stopping`]; then `reply` is not called.
    pub fn submit(
        &self,
        texts: Vec<String>,
        options: EmbedOptions,
        reply: EmbedReply,
    ) -> Result<(), ModelError> {
        self.worker.submit((texts, options), Box::new(move |answer, _| reply(answer)))
    }

    /// Embeds to vectors of length 1, and waits for the answer; not for threads that must not block.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.embed_with(texts, EmbedOptions::default())
    }

    /// As [`EmbedderHandle::embed`], with vectors as the options say.
    ///
    /// # Errors
    /// As [`EmbedderHandle::embed`].
    pub fn embed_with(
        &self,
        texts: &[&str],
        options: EmbedOptions,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.worker.ask((texts.iter().map(|&text| text.to_owned()).collect(), options))
    }
}
