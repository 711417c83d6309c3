//! Re-identification in the service: a picture and boxes go in, a vector for each box comes out.

use std::sync::Arc;

use super::worker::{Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::backend::RunsOn;
use crate::manifest::{ModelEntry, Task};
use crate::{BBox, Image, ModelError, ReId, Registry};

/// Takes the vectors of a request's boxes, in their order.
pub type AppearanceReply = Box<dyn FnOnce(Result<Vec<Vec<f32>>, ModelError>) + Send>;

pub(super) struct Appearances;

impl Kind for Appearances {
    const TASK: Task = Task::Reid;
    type Model = Box<dyn ReId>;
    /// The length of the vectors, and where they are made.
    type Facts = (usize, RunsOn);
    type Request = (Arc<Image>, Vec<BBox>);
    type Answer = Vec<Vec<f32>>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let reid = crate::open_reid(registry, entry, options.session(open))?;
        let facts = (reid.dimensions(), reid.runs_on().clone());
        Ok((reid, facts))
    }

    /// The boxes of all requests together, then apart again.
    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let boxes: Vec<_> = requests.iter().map(|(image, boxes)| (&**image, &boxes[..])).collect();
        model.appearance(&boxes)
    }

    fn runs_on(facts: &Self::Facts) -> Option<&RunsOn> {
        Some(&facts.1)
    }

    fn items((_, boxes): &Self::Request) -> usize {
        boxes.len()
    }
}

/// A re-identification network in the service; clones share it.
#[derive(Clone)]
pub struct ReIdHandle {
    worker: Arc<Worker<Appearances>>,
}

impl ReIdHandle {
    pub(super) fn new(worker: Arc<Worker<Appearances>>) -> Self {
        Self { worker }
    }

    /// The model's name with version, as rows name it: `osnet-x0.25:1`.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// The length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.worker.facts().0
    }

    /// Queues the boxes of a picture; `reply` is called once, on the model's thread, and must not
    /// block it. Never blocks.
    ///
    /// # Errors
    /// [`ModelError::QueueFull`] or [`ModelError::Stopping`]; then `reply` is not called.
    pub fn submit(
        &self,
        image: Arc<Image>,
        boxes: Vec<BBox>,
        reply: AppearanceReply,
    ) -> Result<(), ModelError> {
        self.worker.submit((image, boxes), Box::new(move |answer, _| reply(answer)))
    }

    /// One L2-normalised vector for each box (pixels of the picture), in order; waits for the
    /// answer, so it is not for threads that must not block.
    ///
    /// # Errors
    /// [`ModelError::BadImage`] when a box has no pixel in the picture, [`ModelError::Run`] when
    /// the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn appearance(
        &self,
        image: Arc<Image>,
        boxes: &[BBox],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.worker.ask((image, boxes.to_vec()))
    }
}
