//! The operator `caption`: key frames go in, what can be said of them comes out.
//!
//! The caption is the model's own words, then the detected objects ([`words`]). A captioner that
//! fails leaves the scene null and a fault; the objects are said all the same.

pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use timely::dataflow::Stream;
use vigil_models::{CaptionOptions, CaptionerHandle, Detection};

use crate::dataflow::clock::Tick;
use crate::dataflow::gate::Picture;
use crate::dataflow::metrics::DataflowMetrics;
use crate::dataflow::offload::{Answer, OksAndErrs, offload};
use crate::fault::{Fault, Stage};
use crate::keyframe::SelectedFrame;

/// So many pictures of a source are with the captioner at a time, or as many as share a run.
const CAPTIONS_AT_ONCE: usize = 2;

/// A described key frame.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionedFrame {
    /// The frame.
    pub frame_number: i64,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// The captioner's words; `None` without one or when it failed.
    pub scene: Option<String>,
    /// Detected objects by class name.
    pub objects: BTreeMap<String, u32>,
    /// Scene and objects as one text; `None` when there is neither.
    pub caption: Option<String>,
}

/// Who describes key frames.
#[derive(Clone)]
pub enum CaptionerChoice {
    /// A network.
    Network(CaptionerHandle, CaptionOptions),
    /// Nobody: the objects alone are the caption.
    None,
}

/// What a key frame's objects are counted with.
#[derive(Clone, Debug)]
pub struct ObjectNames {
    /// The class names by class id.
    pub labels: Arc<[String]>,
    /// Detections below this confidence do not count (0..=1).
    pub confidence_threshold: f32,
}

impl ObjectNames {
    /// The name of a class.
    pub fn name(&self, class_id: u32) -> &str {
        self.labels.get(class_id as usize).map_or("", String::as_str)
    }

    /// How many there are of each class.
    fn count(&self, detections: &[Detection]) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for found in detections.iter().filter(|found| found.confidence >= self.confidence_threshold)
        {
            *counts.entry(self.name(found.class_id).to_owned()).or_default() += 1;
        }
        counts
    }
}

#[derive(Clone)]
struct Draft {
    _picture: Picture,
    captioned: CaptionedFrame,
}

impl Draft {
    fn say(mut self, scene: Option<String>) -> CaptionedFrame {
        self.captioned.caption = words::caption(scene.as_deref(), &self.captioned.objects);
        self.captioned.scene = scene;
        self.captioned
    }
}

/// Builds the operator; `batch_size` key frames go into one run of the captioner at most.
pub fn caption<'scope>(
    keyframes: Stream<'scope, Tick, Vec<SelectedFrame>>,
    captioner: CaptionerChoice,
    batch_size: usize,
    names: ObjectNames,
    metrics: &DataflowMetrics,
) -> OksAndErrs<'scope, CaptionedFrame> {
    let metrics = metrics.operator("caption");
    offload(
        keyframes,
        "caption",
        CAPTIONS_AT_ONCE.max(batch_size),
        metrics,
        |_| true,
        move |selected: SelectedFrame, reply| {
            let tracked = selected.frame;
            let frame_number = tracked.frame.frame_number;
            let image = Arc::clone(&tracked.frame.picture.image);
            let draft = Draft {
                captioned: CaptionedFrame {
                    frame_number,
                    ts_micros: tracked.ts_micros,
                    scene: None,
                    objects: names.count(tracked.detections.as_deref().unwrap_or_default()),
                    caption: None,
                },
                _picture: tracked.frame.picture,
            };
            match &captioner {
                CaptionerChoice::None => reply.ok(draft.say(None)),
                CaptionerChoice::Network(network, options) => {
                    let reply = reply.or_else(Answer {
                        ok: Some(draft.clone().say(None)),
                        fault: Some(Fault::refused(Stage::Caption, frame_number)),
                    });
                    let done = move |result| {
                        let (scene, fault) = match result {
                            Ok(scene) => (Some(scene), None),
                            Err(error) => {
                                (None, Some(Fault::of_model(Stage::Caption, frame_number, &error)))
                            }
                        };
                        reply.send(Answer { ok: Some(draft.say(scene)), fault });
                    };
                    if let Err(error) = network.submit(image, options.clone(), Box::new(done)) {
                        tracing::debug!(%error, "the captioner refused a key frame");
                    }
                }
            }
        },
    )
}
