//! The operator `track`: detected frames go in, in any order; frames whose detections know their
//! track come out in order, and beside them the sightings and states from which `tracks` is kept.
//!
//! A frame is given to the tracker when the frontier says that no earlier one is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use vigil_models::Detection;

use super::{FrameInput, Sighting, StateChange, TrackId, TrackState, Tracker};
use crate::dataflow::clock::Tick;
use crate::dataflow::gate::Admitted;
use crate::dataflow::metrics::DataflowMetrics;
use crate::detect::{DetectedFrame, Step};

/// A frame, its detections and their tracks.
#[derive(Clone, Debug)]
pub struct TrackedFrame {
    /// The frame.
    pub frame: Admitted,
    /// Its event time, microseconds since the Unix epoch.
    pub ts_micros: i64,
    /// Its detections; `None` when nothing looked at it.
    pub detections: Option<Arc<[Detection]>>,
    /// The track of each detection.
    pub tracks: Arc<[Option<TrackId>]>,
    /// What changed in the life of the tracks.
    pub changes: Arc<[StateChange]>,
    /// From leaving the decoder to here.
    pub processing: Duration,
}

/// A differential collection as the stream of its updates.
pub type Updates<'scope, D> = Stream<'scope, Tick, Vec<(D, Tick, isize)>>;

/// The three outputs of the operator.
pub struct TrackOutputs<'scope> {
    /// The frames, in order.
    pub frames: Stream<'scope, Tick, Vec<TrackedFrame>>,
    /// Each detection that belongs to a track, as differential updates.
    pub sightings: Updates<'scope, (TrackId, Sighting)>,
    /// The state of each track, as differential updates.
    pub states: Updates<'scope, (TrackId, TrackState)>,
}

struct Held {
    frames: Capability<Tick>,
    sightings: Capability<Tick>,
    states: Capability<Tick>,
    step: Step<DetectedFrame>,
    since: Instant,
}

/// Builds the operator. `start_micros` is the event time of the video's first frame,
/// microseconds since the Unix epoch.
pub fn track<'scope>(
    detected: Stream<'scope, Tick, Vec<Step<DetectedFrame>>>,
    mut tracker: Box<dyn Tracker>,
    start_micros: i64,
    metrics: &DataflowMetrics,
) -> TrackOutputs<'scope> {
    let metrics = metrics.operator("track");
    let mut builder = OperatorBuilder::new("track".to_owned(), detected.scope());
    let mut input = builder.new_input(detected, Pipeline);
    let (frames, frames_stream) = builder.new_output();
    let (sightings, sightings_stream) = builder.new_output();
    let (states, states_stream) = builder.new_output();
    let mut frames = OutputBuilder::from(frames);
    let mut sightings = OutputBuilder::from(sightings);
    let mut states = OutputBuilder::from(states);

    builder.build(move |initial| {
        drop(initial);
        let mut waiting: BTreeMap<Tick, Held> = BTreeMap::new();
        move |frontiers| {
            let _busy = metrics.busy();
            input.for_each(|capability, steps| {
                metrics.took(steps.len());
                for step in steps.drain(..) {
                    let held = (
                        capability.retain_least(0),
                        capability.retain_least(1),
                        capability.retain_least(2),
                    );
                    if let (Some(frames), Some(sightings), Some(states)) = held {
                        let tick = *frames.time();
                        let since = Instant::now();
                        waiting.insert(tick, Held { frames, sightings, states, step, since });
                    }
                }
            });
            let mut frames = frames.activate();
            let mut sightings = sightings.activate();
            let mut states = states.activate();
            while let Some(next) = waiting.first_entry()
                && !frontiers[0].less_equal(next.key())
            {
                let (tick, held) = next.remove_entry();
                let changes: Arc<[StateChange]> = match held.step {
                    Step::Frame(detected) => {
                        let frame = assign(tracker.as_mut(), detected, start_micros);
                        let found = frame.detections.as_deref().unwrap_or_default();
                        sightings.session(&held.sightings).give_iterator(
                            found.iter().zip(frame.tracks.iter()).filter_map(|(found, track)| {
                                let sighting =
                                    Sighting::new(frame.frame.frame_number, frame.ts_micros, found);
                                track.map(|track| ((track, sighting), tick, 1))
                            }),
                        );
                        let changes = Arc::clone(&frame.changes);
                        frames.session(&held.frames).give(frame);
                        changes
                    }
                    Step::End => tracker.finish().changes.into(),
                };
                states
                    .session(&held.states)
                    .give_iterator(changes.iter().flat_map(|change| diffs(change, tick)));
                metrics.gave(held.since.elapsed());
            }
        }
    });
    TrackOutputs { frames: frames_stream, sightings: sightings_stream, states: states_stream }
}

fn assign(tracker: &mut dyn Tracker, detected: DetectedFrame, start_micros: i64) -> TrackedFrame {
    let DetectedFrame { frame, detections } = detected;
    let ts_micros = start_micros.saturating_add(frame.pts_millis.saturating_mul(1000));
    // A frame that nobody could look at is no evidence that an object is gone.
    let assignment = detections
        .as_deref()
        .map(|detections| {
            tracker.update(&FrameInput {
                frame_number: frame.frame_number,
                ts_micros,
                width: frame.picture.image.width(),
                height: frame.picture.image.height(),
                detections,
                features: &[],
                motion: None,
            })
        })
        .unwrap_or_default();
    TrackedFrame {
        ts_micros,
        processing: frame.left_decoder.elapsed(),
        frame,
        detections,
        tracks: assignment.tracks.into(),
        changes: assignment.changes.into(),
    }
}

fn diffs(
    change: &StateChange,
    tick: Tick,
) -> impl Iterator<Item = ((TrackId, TrackState), Tick, isize)> {
    let track = change.track;
    let gone = change.from.map(|from| ((track, from), tick, -1));
    let come = change.to.map(|to| ((track, to), tick, 1));
    gone.into_iter().chain(come)
}
