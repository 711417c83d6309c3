//! The dataflow of one source, put together: decode → detect → track → keyframe → caption → embed
//! → publish, with `tracks` beside it. Every worker builds the same; the source's owner does the
//! work.

use std::sync::Arc;

use differential_dataflow::AsCollection;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concatenate;

use super::admit;
use super::clock::{Clock, Tick};
use super::publish::{Published, publish};
use crate::caption::caption;
use crate::detect::detect;
use crate::embed::embed;
use crate::engine::RunningSource;
use crate::keyframe::{FrameStore, KeyframePolicy, keep, select};
use crate::tables::Tables;
use crate::track::{TrackOutputs, track, tracks};

/// What the dataflows of all sources share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The engine's clock.
    pub clock: Clock,
    /// Where rows go.
    pub tables: Arc<Tables>,
    /// Where pictures of key frames go.
    pub frames: Arc<FrameStore>,
}

/// Builds the dataflow of `source` in `scope`.
pub fn build(scope: Scope<'_, Tick>, source: &Arc<RunningSource>, shared: &Shared) {
    let owner = source.owner(scope.peers());
    let is_owner = scope.index() == owner;
    let metrics = &source.metrics;
    let gate = Arc::clone(&source.gate);

    let (frames, decode_faults) =
        admit::decode(scope, Arc::clone(&gate), shared.clock, is_owner, metrics);
    let (detected, detect_faults) =
        detect(frames, source.detector.clone(), gate, source.credits, metrics);
    let TrackOutputs { frames, sightings, states, identities, corrections, faults: track_faults } =
        track(detected, source.tracker(), source.looker.clone(), source.start_micros, metrics);
    let tracks = tracks(
        sightings.as_collection(),
        identities.as_collection(),
        states.as_collection(),
        source.spec.options.max_history,
    );

    let selection = select(frames, KeyframePolicy::new(source.keyframes), metrics);
    let quality = source.spec.options.jpeg_quality;
    let store = Arc::clone(&shared.frames);
    let (kept, keep_faults) = keep(
        selection.keyframes,
        &source.spec.name,
        quality,
        store,
        Arc::clone(&source.gate),
        metrics,
    );
    let options = &source.spec.options;
    let (captions, caption_faults) = caption(
        kept.clone(),
        source.captioner.clone(),
        options.caption_batch_size,
        source.names.clone(),
        metrics,
    );
    let embedder = source.embedder.clone().map(|embedder| (embedder, options.embed_options()));
    let (captions, embed_faults) = embed(captions, embedder, metrics);

    let faults = scope.concatenate([
        decode_faults,
        detect_faults,
        track_faults,
        keep_faults,
        caption_faults,
        embed_faults,
    ]);
    let frames = scope.concatenate([selection.others, kept]);
    publish(
        Published { frames, tracks: tracks.inner, corrections, captions, faults },
        Arc::clone(source),
        Arc::clone(&shared.tables),
        owner,
        is_owner,
    );
}
