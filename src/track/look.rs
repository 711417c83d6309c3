//! What a tracker asks to know of a frame beyond its detections: how the camera moved, and what
//! some of the boxes look like. It is found out on the source's own thread `look-<name>`, so that
//! the operator does not wait.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use vigil_models::{BBox, Image, ModelError, TrackPair};

use super::{CameraMotion, Needs};
use crate::dataflow::gate::Admitted;
use crate::dataflow::offload::{Answer, Reply};
use crate::error::Error;
use crate::fault::{Fault, Stage};

/// What is known of a frame when it has been looked at.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The appearance of each detection that was asked for, an L2-normalised vector; empty when
    /// none was, or when the network failed.
    pub features: Vec<Option<Arc<[f32]>>>,
    /// How the camera moved since the last frame that was looked at.
    pub motion: Option<CameraMotion>,
    /// How likely each pair of tracks that was asked for is one object; empty when none was, or when
    /// the network failed.
    pub links: Vec<f32>,
}

/// Takes the vectors of the boxes, in their order.
pub type AppearanceReply = Box<dyn FnOnce(Result<Vec<Vec<f32>>, ModelError>) + Send>;

/// Who tells what boxes look like: a re-identification network, which must not block.
pub type Appearance =
    Box<dyn Fn(Arc<Image>, Vec<BBox>, AppearanceReply) -> Result<(), ModelError> + Send>;

/// Who tells how the camera moved since the picture before.
pub type MotionEstimator = Box<dyn FnMut(&Image) -> Option<CameraMotion> + Send>;

/// Who tells which tracks are one object: a linking network, whose answer is waited for.
pub type Linking = Box<dyn Fn(Vec<TrackPair>) -> Result<Vec<f32>, ModelError> + Send>;

struct Job {
    frame: Admitted,
    /// The boxes to be looked at, and of which detection each is.
    boxes: Vec<(usize, BBox)>,
    detections: usize,
    camera_motion: bool,
    links: Vec<TrackPair>,
    reply: Reply<Look>,
}

/// The thread that looks at the frames of one source, one at a time. It ends when this is dropped.
#[derive(Clone)]
pub struct Looker {
    jobs: Sender<Job>,
}

impl std::fmt::Debug for Looker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looker").finish_non_exhaustive()
    }
}

impl Looker {
    /// Starts the thread `look-<source>`.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn start(
        source: &str,
        appearance: Option<Appearance>,
        linking: Option<Linking>,
        motion: MotionEstimator,
    ) -> Result<Self, Error> {
        let (jobs, inbox) = bounded(1);
        std::thread::Builder::new()
            .name(format!("look-{source}"))
            .spawn(move || run(&inbox, appearance.as_ref(), linking.as_ref(), motion))
            .map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { jobs })
    }

    /// Looks at a frame, whose detections have these boxes. One frame at a time.
    pub(super) fn ask(&self, frame: &Admitted, boxes: &[BBox], needs: Needs, reply: Reply<Look>) {
        let frame_number = frame.frame_number;
        let reply = reply.or_else(Answer {
            ok: Some(Look::default()),
            fault: Some(Fault::refused(Stage::Track, frame_number)),
        });
        let image = &frame.picture.image;
        let wanted = needs.appearance.iter().filter_map(|index| {
            let index = *index as usize;
            let bbox = boxes.get(index).filter(|bbox| shows_something(bbox, image))?;
            Some((index, *bbox))
        });
        // A job that is not taken drops its reply, which answers.
        let _ = self.jobs.try_send(Job {
            frame: frame.clone(),
            boxes: wanted.collect(),
            detections: boxes.len(),
            camera_motion: needs.camera_motion,
            links: needs.links,
            reply,
        });
    }
}

/// Whether at least a pixel of a box lies in the picture.
#[expect(clippy::cast_precision_loss, reason = "a picture's size fits an f32")]
fn shows_something(bbox: &BBox, image: &Image) -> bool {
    let seen = bbox.clipped(image.width() as f32, image.height() as f32);
    seen.width() >= 1.0 && seen.height() >= 1.0
}

fn run(
    inbox: &Receiver<Job>,
    appearance: Option<&Appearance>,
    linking: Option<&Linking>,
    mut motion: MotionEstimator,
) {
    for Job { frame, boxes, detections, camera_motion, links, reply } in inbox {
        let image = Arc::clone(&frame.picture.image);
        let number = frame.frame_number;
        let motion = if camera_motion { motion(&image) } else { None };
        let asked = linking.filter(|_| !links.is_empty()).map(|linking| linking(links));
        let (links, fault) = match asked.transpose() {
            Ok(links) => (links.unwrap_or_default(), None),
            Err(error) => (Vec::new(), Some(Fault::of_model(Stage::Track, number, &error))),
        };
        let look = Look { features: Vec::new(), motion, links };
        let Some(appearance) = appearance.filter(|_| !boxes.is_empty()) else {
            reply.send(Answer { ok: Some(look), fault });
            continue;
        };
        let reply = reply.or_else(Answer {
            ok: Some(look.clone()),
            fault: Some(Fault::refused(Stage::Track, number)),
        });
        let (indexes, boxes): (Vec<usize>, Vec<BBox>) = boxes.into_iter().unzip();
        let done: AppearanceReply = Box::new(move |result| {
            reply.send(match result {
                Ok(vectors) => Answer { ok: Some(look.with(detections, &indexes, vectors)), fault },
                Err(error) => {
                    let fault = Fault::of_model(Stage::Track, number, &error);
                    Answer { ok: Some(look), fault: Some(fault) }
                }
            });
        });
        if let Err(error) = appearance(image, boxes, done) {
            tracing::debug!(%error, "the re-identification network refused a frame");
        }
    }
}

impl Look {
    fn with(mut self, detections: usize, indexes: &[usize], vectors: Vec<Vec<f32>>) -> Self {
        self.features = vec![None; detections];
        for (index, vector) in indexes.iter().zip(vectors) {
            self.features[*index] = Some(vector.into());
        }
        self
    }
}
