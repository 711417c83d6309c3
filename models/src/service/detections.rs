//! Detectors in the service: a picture and options go in, detections come out.

use std::sync::Arc;
use std::time::Duration;

use super::ServiceOptions;
use super::worker::{Kind, Worker};
use crate::manifest::{ModelEntry, Task};
use crate::{DetectOptions, Detection, Detector, Image, ModelError, Registry};

/// Takes a picture's detections and how long the model worked on its batch.
pub type DetectReply = Box<dyn FnOnce(Result<Vec<Detection>, ModelError>, Duration) + Send>;

pub(super) struct Detections;

impl Kind for Detections {
    const TASK: Task = Task::Detector;
    type Model = Box<dyn Detector>;
    type Facts = Arc<[String]>;
    type Request = (Arc<Image>, DetectOptions);
    type Answer = Vec<Detection>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let detector = crate::open_detector(registry, entry, options.session())?;
        let labels = Arc::clone(detector.labels());
        Ok((detector, labels))
    }

    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let images: Vec<_> = requests.iter().map(|(image, options)| (&**image, options)).collect();
        model.detect(&images)
    }
}

/// A detector in the service; clones share it.
#[derive(Clone)]
pub struct DetectorHandle {
    worker: Arc<Worker<Detections>>,
}

impl DetectorHandle {
    pub(super) fn new(worker: Arc<Worker<Detections>>) -> Self {
        Self { worker }
    }

    /// The model's name with version, as rows name it: `yolov8n:1`.
    pub fn id(&self) -> &Arc<str> {
        self.worker.id()
    }

    /// The class names, by class id; an id without a name is never given.
    pub fn labels(&self) -> &Arc<[String]> {
        self.worker.facts()
    }

    /// Queues a picture; `reply` is called once, on the model's thread, and must not block it.
    /// Replies come in the order of submission. Never blocks.
    ///
    /// # Errors
    /// [`ModelError::QueueFull`] or [`ModelError::Stopping`]; then `reply` is not called.
    pub fn submit(
        &self,
        image: Arc<Image>,
        options: DetectOptions,
        reply: DetectReply,
    ) -> Result<(), ModelError> {
        self.worker.submit((image, options), reply)
    }

    /// Detects, and waits for the answer; not for threads that must not block.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the network fails, [`ModelError::Stopping`] when the service ends.
    pub fn detect(
        &self,
        image: Arc<Image>,
        options: DetectOptions,
    ) -> Result<Vec<Detection>, ModelError> {
        self.worker.ask((image, options))
    }
}
