//! The operator `detect`: admitted frames go in, frames with their detections come out.
//!
//! The network runs on the inference service's thread; the frame's capability is held here until
//! it answers.

use std::sync::Arc;

use timely::dataflow::Stream;
use vigil_models::{DetectOptions, Detection, DetectorHandle};

use crate::dataflow::clock::Tick;
use crate::dataflow::gate::{Admitted, Gate};
use crate::dataflow::metrics::DataflowMetrics;
use crate::dataflow::offload::{Answer, OksAndErrs, Reply, offload};
use crate::fault::{Fault, Stage};

/// What travels from the decoder to the tracker.
#[derive(Clone, Debug)]
pub enum Step<F> {
    /// A frame.
    Frame(F),
    /// The source's last word: no frame comes after it.
    End,
}

/// A frame and what was found in it.
#[derive(Clone, Debug)]
pub struct DetectedFrame {
    /// The frame.
    pub frame: Admitted,
    /// Its detections down to the tracker's low threshold, by falling confidence; `None` when
    /// nothing looked at it, because there is no detector or because it failed.
    pub detections: Option<Arc<[Detection]>>,
}

/// Who looks at the frames.
#[derive(Clone)]
pub enum DetectorChoice {
    /// A network.
    Network(DetectorHandle, DetectOptions),
    /// The load generator's own knowledge of what it drew, as far as it is asked for.
    GroundTruth(DetectOptions),
    /// Nobody.
    None,
}

/// Builds the operator.
pub fn detect<'scope>(
    frames: Stream<'scope, Tick, Vec<Step<Admitted>>>,
    detector: DetectorChoice,
    gate: Arc<Gate>,
    at_most: usize,
    metrics: &DataflowMetrics,
) -> OksAndErrs<'scope, Step<DetectedFrame>> {
    let metrics = metrics.operator("detect");
    let counts = |step: &Step<Admitted>| matches!(step, Step::Frame(_));
    offload(frames, "detect", at_most, metrics, counts, move |step, reply| {
        let frame = match step {
            Step::Frame(frame) => frame,
            Step::End => return reply.ok(Step::End),
        };
        match &detector {
            DetectorChoice::Network(network, options) => {
                run(network, options, frame, Arc::clone(&gate), reply);
            }
            DetectorChoice::GroundTruth(options) => {
                let is_asked_for = |class_id: u32| match &options.classes {
                    Some(classes) => classes.contains(&class_id),
                    None => true,
                };
                let detections = frame.truth.as_deref().map(|boxes| {
                    let asked_for = boxes.iter().filter(|truth| is_asked_for(truth.class_id));
                    let found = asked_for.map(|truth| Detection {
                        class_id: truth.class_id,
                        confidence: 1.0,
                        bbox: truth.bbox,
                    });
                    found.take(options.max_detections).collect()
                });
                gate.detected();
                reply.ok(Step::Frame(DetectedFrame { frame, detections }));
            }
            DetectorChoice::None => {
                gate.detected();
                reply.ok(Step::Frame(DetectedFrame { frame, detections: None }));
            }
        }
    })
}

/// Lets the next frame in when it is dropped, whatever happened to this one.
struct OwedCredit(Arc<Gate>);

impl Drop for OwedCredit {
    fn drop(&mut self) {
        self.0.detected();
    }
}

fn run(
    network: &DetectorHandle,
    options: &DetectOptions,
    frame: Admitted,
    gate: Arc<Gate>,
    reply: Reply<Step<DetectedFrame>>,
) {
    let image = Arc::clone(&frame.picture.image);
    let credit = OwedCredit(gate);
    let unseen = DetectedFrame { frame: frame.clone(), detections: None };
    let reply = reply.or_else(Answer {
        ok: Some(Step::Frame(unseen)),
        fault: Some(Fault::refused(Stage::Detect, frame.frame_number)),
    });
    let submitted = network.submit(
        image,
        options.clone(),
        Box::new(move |result, _inference_time| {
            drop(credit);
            let (detections, fault) = match result {
                Ok(detections) => (Some(detections.into()), None),
                Err(error) => {
                    (None, Some(Fault::of_model(Stage::Detect, frame.frame_number, &error)))
                }
            };
            let ok = Some(Step::Frame(DetectedFrame { frame, detections }));
            reply.send(Answer { ok, fault });
        }),
    );
    // A refused request dropped its reply, which gives the frame as nobody saw it, and the fault.
    if let Err(error) = submitted {
        tracing::debug!(%error, "the detector refused a frame");
    }
}
