//! The collection behind the table `tracks`, kept by differential dataflow from the sightings and
//! the states that the tracker gives: whatever is retracted or added there, the rows follow.
//!
//! A track is added up in three steps (64 frames, 4,096 frames, all), so that a new detection
//! costs the reading of one bucket of each step rather than of the whole track.

use differential_dataflow::VecCollection;
use serde::{Deserialize, Serialize};

use super::summary::{Sighting, TrackSummary};
use super::{TrackId, TrackState};
use crate::dataflow::clock::Tick;

/// Frames in a bucket of the first step, and buckets of a step in one of the next.
const BUCKET: i64 = 64;

/// A row of `tracks`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackFact {
    /// The track.
    pub track: TrackId,
    /// Its state.
    pub state: TrackState,
    /// What its detections add up to.
    pub summary: TrackSummary,
}

/// The rows of `tracks` from the sightings under the numbers that they were first given, the track
/// that each such number stands for now (itself, until it is merged), and the state of each track.
pub fn tracks<'scope>(
    sightings: VecCollection<'scope, Tick, (TrackId, Sighting), isize>,
    identities: VecCollection<'scope, Tick, (TrackId, TrackId), isize>,
    states: VecCollection<'scope, Tick, (TrackId, TrackState), isize>,
    max_history: usize,
) -> VecCollection<'scope, Tick, TrackFact, isize> {
    let max_history = max_history.max(1);
    let by_bucket = sightings
        .map(|(track, sighting)| ((track, sighting.frame_number.div_euclid(BUCKET)), sighting))
        .reduce_named("tracks: add up 64 frames", move |_key, sightings, output| {
            // The values come in their order, which begins with the frame number.
            let parts: Vec<_> = sightings
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(sighting, _)| TrackSummary::of(sighting))
                .collect();
            output.extend(TrackSummary::sum(&parts, max_history).map(|sum| (sum, 1)));
        });
    let by_block = by_bucket
        .map(|((track, bucket), part)| ((track, bucket.div_euclid(BUCKET)), part))
        .reduce_named("tracks: add up 4096 frames", move |_key, parts, output| {
            let parts = parts.iter().map(|(part, _)| *part);
            output.extend(TrackSummary::sum(parts, max_history).map(|sum| (sum, 1)));
        });
    let by_number = by_block
        .map(|((number, _block), part)| (number, part))
        .arrange_by_key_named("tracks: parts by number");
    let identities = identities.arrange_by_key_named("tracks: identities");
    let whole = by_number
        .join_core(identities, |_number, part, track| Some((*track, part.clone())))
        .reduce_named("tracks: add up all", move |_key, parts, output| {
            let parts = parts.iter().map(|(part, _)| *part);
            output.extend(TrackSummary::sum(parts, max_history).map(|sum| (sum, 1)));
        });
    let summaries = whole.arrange_by_key_named("tracks: summaries");
    let states = states.arrange_by_key_named("tracks: states");
    summaries.join_core(states, |track, summary, state| {
        Some(TrackFact { track: *track, state: *state, summary: summary.clone() })
    })
}
