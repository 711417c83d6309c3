//! Rerankers in the service: a question and texts go in, scores come out.

use std::sync::Arc;

use super::worker::{Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::manifest::{ModelEntry, Task};
use crate::{ModelError, Registry, Reranker};

pub(super) struct Reranks;

impl Kind for Reranks {
    const TASK: Task = Task::Reranker;
    type Model = Box<dyn Reranker>;
    type Facts = ();
    /// The question and the texts.
    type Request = (String, Vec<String>);
    type Answer = Vec<f32>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        Ok((crate::open_reranker(registry, entry, options.session(open))?, ()))
    }

    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        requests
            .iter()
            .map(|(question, texts)| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                model.rerank(question, &texts)
            })
            .collect()
    }
}

/// A reranker in the service; clones share it.
#[derive(Clone)]
pub struct RerankerHandle {
    worker: Arc<Worker<Reranks>>,
}

impl RerankerHandle {
    pub(super) fn new(worker: Arc<Worker<Reranks>>) -> Self {
        Self { worker }
    }

    /// The model's name with version.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// How well each text answers the question, and waits for the answer; not for threads that
    /// must not block.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn rerank(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError> {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        self.worker.ask((question.to_owned(), texts))
    }
}
