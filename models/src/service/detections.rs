//! Detectors in the service: a picture and options go in, detections come out.

use std::sync::Arc;
use std::time::Duration;

use super::worker::{Kind, Worker};
use super::{OpenOptions, ServiceOptions};
use crate::backend::RunsOn;
use crate::manifest::{ModelEntry, Task};
use crate::{DetectOptions, Detection, Detector, Image, ModelError, Registry};

/// Takes a picture's detections and how long the model worked on its batch.
pub type DetectReply = Box<dyn FnOnce(Result<Vec<Detection>, ModelError>, Duration) + Send>;

pub(super) struct Detections;

/// What is asked of a detector.
pub(super) enum Ask {
    Detect(Arc<Image>, DetectOptions),
    /// Loads what pictures of a (width, height) need and checks that it can be had in batches.
    Prepare((u32, u32), DetectOptions, usize),
}

/// What callers may know of a detector.
pub(super) struct Facts {
    labels: Arc<[String]>,
    runs_on: RunsOn,
}

impl Kind for Detections {
    const TASK: Task = Task::Detector;
    type Model = Box<dyn Detector>;
    type Facts = Facts;
    type Request = Ask;
    type Answer = Vec<Detection>;

    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError> {
        let detector = crate::open_detector(registry, entry, options.session(open))?;
        let labels = Arc::clone(detector.labels());
        let runs_on = detector.runs_on().clone();
        Ok((detector, Facts { labels, runs_on }))
    }

    fn run(
        model: &mut Self::Model,
        _facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError> {
        let mut images = Vec::with_capacity(requests.len());
        for request in requests {
            match request {
                Ask::Detect(image, options) => images.push((&**image, options)),
                Ask::Prepare(size, options, batch) => model.prepare(*size, options, *batch)?,
            }
        }
        let mut found = model.detect(&images)?.into_iter();
        // What was only prepared has found nothing.
        let answer = |request: &Ask| match request {
            Ask::Detect(..) => found.next(),
            Ask::Prepare(..) => Some(Vec::new()),
        };
        Ok(requests.iter().filter_map(answer).collect())
    }

    fn runs_on(facts: &Self::Facts) -> Option<&RunsOn> {
        Some(&facts.runs_on)
    }

    fn items(request: &Self::Request) -> usize {
        usize::from(matches!(request, Ask::Detect(..)))
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
        &self.worker.facts().labels
    }

    /// The device that it runs on, and why.
    pub fn runs_on(&self) -> &RunsOn {
        &self.worker.facts().runs_on
    }

    /// Loads what pictures of (width, height) need, checks the options, and lets up to
    /// `batch_size` pictures go into one run. It waits: not for threads that must not block.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] when the model's files cannot do what is asked for, or why a
    /// file cannot be loaded.
    pub fn prepare(
        &self,
        picture: (u32, u32),
        options: DetectOptions,
        batch_size: usize,
    ) -> Result<(), ModelError> {
        self.worker.ask(Ask::Prepare(picture, options, batch_size))?;
        self.worker.allow_batch(batch_size);
        Ok(())
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
        self.worker.submit(Ask::Detect(image, options), reply)
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
        self.worker.ask(Ask::Detect(image, options))
    }
}
