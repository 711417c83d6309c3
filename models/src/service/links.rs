//! Linkers in the service: pairs of tracks go in, how likely each is one object comes out.

use std::sync::Arc;

use super::worker::{Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::linker::TrackPair;
use crate::manifest::{ModelEntry, Task};
use crate::{Linker, ModelError, Registry};

pub(super) struct Links;

impl Kind for Links {
    const TASK: Task = Task::Linker;
    type Model = Box<dyn Linker>;
    type Facts = ();
    type Request = Vec<TrackPair>;
    type Answer = Vec<f32>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        Ok((crate::open_linker(registry, entry, options.session(open))?, ()))
    }

    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        requests.iter().map(|pairs| model.link(pairs)).collect()
    }
}

/// A linker in the service; clones share it.
#[derive(Clone)]
pub struct LinkerHandle {
    worker: Arc<Worker<Links>>,
}

impl LinkerHandle {
    pub(super) fn new(worker: Arc<Worker<Links>>) -> Self {
        Self { worker }
    }

    /// The model's name with version.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// How likely each pair is one object (0..=1), and waits for the answer; not for threads that
    /// must not block.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn link(&self, pairs: Vec<TrackPair>) -> Result<Vec<f32>, ModelError> {
        self.worker.ask(pairs)
    }
}
