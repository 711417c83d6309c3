//! Key frames: tracked frames go in; those worth keeping and describing are kept as JPEG and
//! come out with the address of their picture, the others come out as they are.
//!
//! [`policy`] says which frames are key frames, [`store`] keeps their pictures.

mod policy;
mod store;

use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

pub use self::policy::{KeyframeOptions, KeyframePolicy};
pub use self::store::{FrameStore, StoreError, encode_jpeg};
use crate::dataflow::clock::Tick;
use crate::dataflow::gate::Gate;
use crate::dataflow::metrics::DataflowMetrics;
use crate::dataflow::offload::{Answer, OksAndErrs, offload};
use crate::fault::{Fault, Stage};
use crate::track::TrackedFrame;

/// At most so many pictures of a source are being kept at a time.
const STORES_AT_ONCE: usize = 4;

/// A tracked frame, and whether it is a key frame.
#[derive(Clone, Debug)]
pub struct SelectedFrame {
    /// The frame.
    pub frame: TrackedFrame,
    /// Whether it is a key frame.
    pub is_keyframe: bool,
    /// Where its picture is; `None` for frames that are no key frames or could not be kept.
    pub uri: Option<String>,
}

/// The two outputs of the selection.
pub struct Selection<'scope> {
    /// Frames that are no key frames.
    pub others: Stream<'scope, Tick, Vec<SelectedFrame>>,
    /// Key frames, not kept yet.
    pub keyframes: Stream<'scope, Tick, Vec<SelectedFrame>>,
}

/// Builds the operator `keyframe`, which tells key frames from the others. The frames must come in
/// order, as the tracker gives them.
pub fn select<'scope>(
    frames: Stream<'scope, Tick, Vec<TrackedFrame>>,
    mut policy: KeyframePolicy,
    metrics: &DataflowMetrics,
) -> Selection<'scope> {
    let metrics = metrics.operator("keyframe");
    let mut builder = OperatorBuilder::new("keyframe".to_owned(), frames.scope());
    let mut input = builder.new_input(frames, Pipeline);
    let (others, others_stream) = builder.new_output();
    let (keyframes, keyframes_stream) = builder.new_output();
    let mut others = OutputBuilder::from(others);
    let mut keyframes = OutputBuilder::from(keyframes);
    builder.build(move |initial| {
        drop(initial);
        move |_frontiers| {
            let _busy = metrics.busy();
            let mut others = others.activate();
            let mut keyframes = keyframes.activate();
            input.for_each(|capability, frames| {
                metrics.took(frames.len());
                let since = Instant::now();
                for frame in frames.drain(..) {
                    let is_keyframe = policy.observe(&frame);
                    let selected = SelectedFrame { frame, is_keyframe, uri: None };
                    if is_keyframe {
                        keyframes.session(&capability).give(selected);
                    } else {
                        others.session(&capability).give(selected);
                    }
                    metrics.gave(since.elapsed());
                }
            });
        }
    });
    Selection { others: others_stream, keyframes: keyframes_stream }
}

/// Builds the operator `keep`, which keeps the pictures of key frames.
pub fn keep<'scope>(
    keyframes: Stream<'scope, Tick, Vec<SelectedFrame>>,
    source: &str,
    jpeg_quality: u8,
    store: Arc<FrameStore>,
    gate: Arc<Gate>,
    metrics: &DataflowMetrics,
) -> OksAndErrs<'scope, SelectedFrame> {
    let metrics = metrics.operator("keep");
    let source = source.to_owned();
    offload(
        keyframes,
        "keep",
        STORES_AT_ONCE,
        metrics,
        |_| true,
        move |mut selected: SelectedFrame, reply| {
            let image = Arc::clone(&selected.frame.frame.picture.image);
            let frame_number = selected.frame.frame.frame_number;
            let gate = Arc::clone(&gate);
            let is_wanted = move || !gate.is_closed();
            store.put(&source, frame_number, image, jpeg_quality, is_wanted, move |result| {
                let fault = match result {
                    Ok(uri) => {
                        selected.uri = Some(uri);
                        None
                    }
                    Err(error) => Some(Fault {
                        stage: Stage::Keyframe,
                        frame_number: Some(frame_number),
                        sqlstate: error.sqlstate().to_owned(),
                        message: error.to_string(),
                    }),
                };
                reply.send(Answer { ok: Some(selected), fault });
            });
        },
    )
}
