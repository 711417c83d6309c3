//! The operator `track`: detected frames go in, in any order; frames whose detections know their
//! track come out in order, and beside them what `tracks` is kept from and what is to be corrected
//! in earlier frames.
//!
//! A frame is given to the tracker when the frontier says that no earlier one is missing. A tracker
//! may ask to know more of it first ([`Needs`](super::Needs)): then it waits here until the
//! [`Looker`] answers, and the frames after it too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, InputCapability};
use vigil_models::Detection;

use super::kept::{Keeper, KeptAppearance};
use super::look::{Look, Looker};
use super::memory::Memory;
use super::{
    Assignment, Correction, FrameInput, Needs, Sighting, StateChange, TrackId, TrackState, Tracker,
};
use crate::dataflow::clock::Tick;
use crate::dataflow::gate::Admitted;
use crate::dataflow::metrics::DataflowMetrics;
use crate::dataflow::offload::Mailbox;
use crate::detect::{DetectedFrame, Step};
use crate::fault::Fault;

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
    /// What tracks looked like, in this frame and in earlier ones.
    pub appearances: Arc<[KeptAppearance]>,
    /// From leaving the decoder to here.
    pub processing: Duration,
}

/// A differential collection as the stream of its updates.
pub type Updates<'scope, D> = Stream<'scope, Tick, Vec<(D, Tick, isize)>>;

/// The outputs of the operator.
pub struct TrackOutputs<'scope> {
    /// The frames, in order.
    pub frames: Stream<'scope, Tick, Vec<TrackedFrame>>,
    /// Each detection that belongs to a track, under the number that it was given then, as
    /// differential updates.
    pub sightings: Updates<'scope, (TrackId, Sighting)>,
    /// The state of each track, as differential updates.
    pub states: Updates<'scope, (TrackId, TrackState)>,
    /// Which track a number stands for, as differential updates.
    pub identities: Updates<'scope, (TrackId, TrackId)>,
    /// What is to be corrected in the rows of earlier frames.
    pub corrections: Stream<'scope, Tick, Vec<Correction>>,
    /// What went wrong when a frame was looked at.
    pub faults: Stream<'scope, Tick, Vec<Fault>>,
}

struct Held {
    frames: Capability<Tick>,
    sightings: Capability<Tick>,
    states: Capability<Tick>,
    identities: Capability<Tick>,
    corrections: Capability<Tick>,
    faults: Capability<Tick>,
    step: Step<DetectedFrame>,
    since: Instant,
}

/// Builds the operator. Without a `looker` a tracker that asks gets no answer. `start_micros` is the
/// event time of the video's first frame, microseconds since the Unix epoch.
pub fn track<'scope>(
    detected: Stream<'scope, Tick, Vec<Step<DetectedFrame>>>,
    mut tracker: Box<dyn Tracker>,
    looker: Option<Looker>,
    start_micros: i64,
    metrics: &DataflowMetrics,
) -> TrackOutputs<'scope> {
    let metrics = metrics.operator("track");
    let scope = detected.scope();
    let mut builder = OperatorBuilder::new("track".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let mailbox = Mailbox::new(scope.worker().sync_activator_for(address), 1);
    let mut input = builder.new_input(detected, Pipeline);
    let (frames, frames_stream) = builder.new_output();
    let (sightings, sightings_stream) = builder.new_output();
    let (states, states_stream) = builder.new_output();
    let (identities, identities_stream) = builder.new_output();
    let (corrections, corrections_stream) = builder.new_output();
    let (faults, faults_stream) = builder.new_output();
    let mut frames = OutputBuilder::from(frames);
    let mut sightings = OutputBuilder::from(sightings);
    let mut states = OutputBuilder::from(states);
    let mut identities = OutputBuilder::from(identities);
    let mut corrections = OutputBuilder::from(corrections);
    let mut faults = OutputBuilder::from(faults);

    builder.build(move |initial| {
        drop(initial);
        let mut waiting: BTreeMap<Tick, Held> = BTreeMap::new();
        let mut memory = Memory::default();
        let mut keeper = Keeper::default();
        // The frame that is being looked at, and what is known of it.
        let mut asked: Option<Tick> = None;
        move |frontiers| {
            let _busy = metrics.busy();
            input.for_each(|capability, steps| {
                let counted = steps.iter().filter(|step| matches!(step, Step::Frame(_)));
                metrics.took(counted.count());
                for step in steps.drain(..) {
                    if let Some((tick, held)) = Held::new(&capability, step) {
                        waiting.insert(tick, held);
                    }
                }
            });
            let mut frames = frames.activate();
            let mut sightings = sightings.activate();
            let mut states = states.activate();
            let mut identities = identities.activate();
            let mut corrections = corrections.activate();
            let mut faults = faults.activate();
            while let Some(next) = waiting.first_entry()
                && !frontiers[0].less_equal(next.key())
            {
                let mut look = Look::default();
                if asked == Some(*next.key()) {
                    let Some((_, answer)) = mailbox.take() else { break };
                    asked = None;
                    look = answer.ok.unwrap_or_default();
                    if !look.links.is_empty() {
                        tracker.linked(&look.links);
                    }
                    if let Some(fault) = answer.fault {
                        faults.session(&next.get().faults).give(fault);
                    }
                } else if let Some(looker) = &looker
                    && let Step::Frame(detected) = &next.get().step
                    && let Some(needs) = needs(tracker.as_mut(), detected, start_micros)
                {
                    asked = Some(*next.key());
                    let found = detected.detections.as_deref().unwrap_or_default();
                    let boxes: Vec<_> = found.iter().map(|found| found.bbox).collect();
                    looker.ask(&detected.frame, &boxes, needs, mailbox.reply(0));
                    break;
                }
                let (tick, held) = next.remove_entry();
                let is_frame = matches!(held.step, Step::Frame(_));
                let assignment = match held.step {
                    Step::Frame(detected) => {
                        let ts_micros = ts_micros(&detected, start_micros);
                        let (assignment, appearances) =
                            assign(tracker.as_mut(), &mut keeper, &detected, &look, ts_micros);
                        let frame =
                            TrackedFrame::new(detected, ts_micros, &assignment, appearances);
                        if let Some(found) = &frame.detections {
                            memory.note(frame.frame.frame_number, ts_micros, Arc::clone(found));
                        }
                        sightings
                            .session(&held.sightings)
                            .give_iterator(frame.sightings().map(|sighting| (sighting, tick, 1)));
                        frames.session(&held.frames).give(frame);
                        assignment
                    }
                    Step::End => tracker.finish(),
                };
                let effects = memory.effects(&assignment);
                sightings
                    .session(&held.sightings)
                    .give_iterator(effects.adopted.into_iter().map(|seen| (seen, tick, 1)));
                states.session(&held.states).give_iterator(
                    assignment.changes.iter().flat_map(|change| diffs(change, tick)),
                );
                identities
                    .session(&held.identities)
                    .give_iterator(effects.identities.into_iter().map(|(d, r)| (d, tick, r)));
                corrections
                    .session(&held.corrections)
                    .give_iterator(effects.corrections.into_iter());
                if is_frame {
                    metrics.gave(held.since.elapsed());
                }
            }
        }
    });
    TrackOutputs {
        frames: frames_stream,
        sightings: sightings_stream,
        states: states_stream,
        identities: identities_stream,
        corrections: corrections_stream,
        faults: faults_stream,
    }
}

impl Held {
    fn new(capability: &InputCapability<Tick>, step: Step<DetectedFrame>) -> Option<(Tick, Self)> {
        let held = Self {
            frames: capability.retain_least(0)?,
            sightings: capability.retain_least(1)?,
            states: capability.retain_least(2)?,
            identities: capability.retain_least(3)?,
            corrections: capability.retain_least(4)?,
            faults: capability.retain_least(5)?,
            step,
            since: Instant::now(),
        };
        Some((*held.frames.time(), held))
    }
}

impl TrackedFrame {
    fn new(
        detected: DetectedFrame,
        ts_micros: i64,
        assignment: &Assignment,
        appearances: Vec<KeptAppearance>,
    ) -> Self {
        let DetectedFrame { frame, mut detections } = detected;
        if let Some(found) = detections.as_mut().filter(|f| f.len() == assignment.boxes.len()) {
            let moved = found.iter().zip(&assignment.boxes);
            *found = moved.map(|(found, bbox)| Detection { bbox: *bbox, ..*found }).collect();
        }
        Self {
            ts_micros,
            processing: frame.left_decoder.elapsed(),
            frame,
            detections,
            tracks: Arc::from(assignment.tracks.as_slice()),
            changes: Arc::from(assignment.changes.as_slice()),
            appearances: Arc::from(appearances),
        }
    }

    /// Its detections that belong to a track.
    fn sightings(&self) -> impl Iterator<Item = (TrackId, Sighting)> {
        let found = self.detections.as_deref().unwrap_or_default();
        found.iter().zip(self.tracks.iter()).filter_map(|(found, track)| {
            let sighting = Sighting::new(self.frame.frame_number, self.ts_micros, found);
            track.map(|track| (track, sighting))
        })
    }
}

fn ts_micros(detected: &DetectedFrame, start_micros: i64) -> i64 {
    start_micros.saturating_add(detected.frame.pts_millis.saturating_mul(1000))
}

fn input<'a>(
    detected: &'a DetectedFrame,
    look: &'a Look,
    ts_micros: i64,
) -> Option<FrameInput<'a>> {
    let frame = &detected.frame;
    Some(FrameInput {
        frame_number: frame.frame_number,
        ts_micros,
        width: frame.picture.image.width(),
        height: frame.picture.image.height(),
        // A frame that nobody could look at is no evidence that an object is gone.
        detections: detected.detections.as_deref()?,
        features: &look.features,
        motion: look.motion,
    })
}

/// What the tracker wants to know of a frame, if anything.
fn needs(tracker: &mut dyn Tracker, detected: &DetectedFrame, start_micros: i64) -> Option<Needs> {
    let nothing = Look::default();
    let needs = tracker.needs(&input(detected, &nothing, ts_micros(detected, start_micros))?);
    (needs != Needs::default()).then_some(needs)
}

fn assign(
    tracker: &mut dyn Tracker,
    keeper: &mut Keeper,
    detected: &DetectedFrame,
    look: &Look,
    ts_micros: i64,
) -> (Assignment, Vec<KeptAppearance>) {
    let Some(frame) = input(detected, look, ts_micros) else { return Default::default() };
    let assignment = tracker.update(&frame);
    let appearances = keeper.keep(&frame, &assignment);
    (assignment, appearances)
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
