//! The operator `publish`: the end of a source's dataflow. Rows come in from all stages; they are
//! committed to the tables when the frontiers say that nothing earlier is missing, so that a
//! reader never sees a detection without its frame or a caption without its detections.
//!
//! Frames, detections and tracks become visible together; captions later, when they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::error::ArrowError;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use super::clock::Tick;
use crate::caption::ObjectNames;
use crate::embed::EmbeddedFrame;
use crate::engine::RunningSource;
use crate::fault::Fault;
use crate::keyframe::SelectedFrame;
use crate::tables::{CaptionCommit, CaptionRow, DetectionRow, FrameCommit, FrameRow, Tables};
use crate::track::{Correction, KeptAppearance, TrackFact};

/// What is committed.
pub struct Published<'scope> {
    /// Frames with their detections.
    pub frames: Stream<'scope, Tick, Vec<SelectedFrame>>,
    /// Differences of `tracks`, from any worker.
    pub tracks: Stream<'scope, Tick, Vec<(TrackFact, Tick, isize)>>,
    /// What is to be corrected in earlier frames' detections.
    pub corrections: Stream<'scope, Tick, Vec<Correction>>,
    /// Captions with their vectors.
    pub captions: Stream<'scope, Tick, Vec<EmbeddedFrame>>,
    /// What went wrong on the way.
    pub faults: Stream<'scope, Tick, Vec<Fault>>,
}

#[derive(Default)]
struct Pending {
    frames: BTreeMap<Tick, PendingFrame>,
    tracks: BTreeMap<Tick, BTreeMap<TrackFact, isize>>,
    corrections: BTreeMap<Tick, Vec<Correction>>,
    captions: BTreeMap<Tick, CaptionRow>,
}

struct PendingFrame {
    row: FrameRow,
    detections: Vec<DetectionRow>,
    appearances: Arc<[KeptAppearance]>,
    left_decoder: Instant,
}

/// The least tick that can still come; `None` when nothing can.
type Frontier = Option<Tick>;

fn frontier(input: &MutableAntichain<Tick>) -> Frontier {
    input.frontier().first().copied()
}

/// The lesser of two frontiers: what is complete on both sides.
fn both(a: Frontier, b: Frontier) -> Frontier {
    a.into_iter().chain(b).min()
}

/// Takes everything below a frontier out of a map.
fn complete<V>(map: &mut BTreeMap<Tick, V>, frontier: Frontier) -> BTreeMap<Tick, V> {
    let later = frontier.map(|frontier| map.split_off(&frontier)).unwrap_or_default();
    std::mem::replace(map, later)
}

/// Builds the operator on worker `owner`, which gets all differences of `tracks`.
pub fn publish(
    published: Published<'_>,
    source: Arc<RunningSource>,
    tables: Arc<Tables>,
    owner: usize,
    is_owner: bool,
) {
    let metrics = source.metrics.operator("publish");
    let names = source.names.clone();
    let mut builder = OperatorBuilder::new("publish".to_owned(), published.frames.scope());
    let mut frames = builder.new_input(published.frames, Pipeline);
    let to_owner = Exchange::new(move |_: &(TrackFact, Tick, isize)| owner as u64);
    let mut tracks = builder.new_input(published.tracks, to_owner);
    let mut corrections = builder.new_input(published.corrections, Pipeline);
    let mut captions = builder.new_input(published.captions, Pipeline);
    let mut faults = builder.new_input(published.faults, Pipeline);
    builder.build(move |_no_outputs| {
        let mut pending = Pending::default();
        let mut frames_until: Frontier = Some(0);
        let mut captions_until: Frontier = Some(0);
        let mut is_done = !is_owner;
        move |frontiers| {
            let _busy = metrics.busy();
            frames.for_each(|capability, selected| {
                metrics.took(selected.len());
                let Some(tick) = capability.least().copied() else { return };
                for selected in selected.drain(..) {
                    pending.frames.insert(tick, frame_rows(selected, &names));
                }
            });
            tracks.for_each(|_capability, differences| {
                for (fact, tick, difference) in differences.drain(..) {
                    *pending.tracks.entry(tick).or_default().entry(fact).or_default() += difference;
                }
            });
            corrections.for_each(|capability, corrections| {
                let Some(tick) = capability.least().copied() else { return };
                pending.corrections.entry(tick).or_default().append(corrections);
            });
            captions.for_each(|capability, embedded| {
                let Some(tick) = capability.least().copied() else { return };
                for embedded in embedded.drain(..) {
                    pending.captions.insert(tick, caption_row(embedded));
                }
            });
            faults.for_each(|_capability, faults| {
                for fault in faults.drain(..) {
                    source.fault(fault);
                }
            });
            if is_done {
                return;
            }

            let [frames, tracks, corrections, captions, faults] =
                std::array::from_fn(|input| frontier(&frontiers[input]));
            let frames_now = both(both(frames, tracks), corrections);
            let captions_now = both(frames_now, captions);
            let mut result = Ok(());
            if frames_now != frames_until {
                frames_until = frames_now;
                result = commit_frames(&mut pending, frames_now, &source, &tables, |latency| {
                    metrics.gave(latency);
                });
            }
            if captions_now != captions_until {
                captions_until = captions_now;
                result = result.and(commit_captions(&mut pending, captions_now, &source, &tables));
            }
            if let Err(error) = result {
                source.fail("XX000", &format!("rows could not be kept: {error}"));
                source.gate.close();
                is_done = true;
            } else if captions_now.is_none() && faults.is_none() {
                source.end();
                is_done = true;
            }
        }
    });
}

fn commit_frames(
    pending: &mut Pending,
    until: Frontier,
    source: &RunningSource,
    tables: &Tables,
    mut gave: impl FnMut(std::time::Duration),
) -> Result<(), ArrowError> {
    let frames = complete(&mut pending.frames, until);
    let mut differences: BTreeMap<TrackFact, isize> = BTreeMap::new();
    for (fact, difference) in complete(&mut pending.tracks, until).into_values().flatten() {
        *differences.entry(fact).or_default() += difference;
    }
    differences.retain(|_, difference| *difference != 0);
    let begun = differences.iter().filter(|(_, difference)| **difference > 0);
    let ended = differences.iter().filter(|(_, difference)| **difference < 0);
    let tracks = begun.map(|(fact, _)| fact.track).collect::<BTreeSet<_>>();
    let known = ended.map(|(fact, _)| fact.track).collect::<BTreeSet<_>>();
    // A track that turned out to be noise, or a part of another one, is gone.
    let more_tracks = count(tracks.difference(&known)) - count(known.difference(&tracks));

    let left: Vec<Instant> = frames.values().map(|frame| frame.left_decoder).collect();
    let mut commit = FrameCommit {
        tracks: differences.into_iter().collect(),
        corrections: complete(&mut pending.corrections, until).into_values().flatten().collect(),
        tick: until,
        ..Default::default()
    };
    for frame in frames.into_values() {
        commit.frames.push(frame.row);
        commit.detections.extend(frame.detections);
        commit.appearances.extend_from_slice(&frame.appearances);
    }
    source.count_commit(commit.frames.len(), commit.detections.len(), more_tracks);
    tables.commit_frames(source.id, commit)?;
    for left in left {
        let latency = left.elapsed();
        source.latencies.record(latency);
        gave(latency);
    }
    Ok(())
}

fn count(tracks: impl Iterator) -> i64 {
    i64::try_from(tracks.count()).unwrap_or(i64::MAX)
}

fn commit_captions(
    pending: &mut Pending,
    until: Frontier,
    source: &RunningSource,
    tables: &Tables,
) -> Result<(), ArrowError> {
    let captions: Vec<_> = complete(&mut pending.captions, until).into_values().collect();
    source.count_captions(captions.len());
    tables.commit_captions(source.id, &CaptionCommit { captions, tick: until })
}

#[expect(clippy::cast_precision_loss, reason = "a mean over the objects of a frame")]
fn frame_rows(selected: SelectedFrame, names: &ObjectNames) -> PendingFrame {
    let SelectedFrame { frame: tracked, is_keyframe, uri } = selected;
    let found = tracked.detections.as_deref().unwrap_or_default();
    let counted: Vec<_> =
        found.iter().filter(|found| found.confidence >= names.confidence_threshold).collect();
    let classes: BTreeSet<u32> = counted.iter().map(|found| found.class_id).collect();
    let sum: f32 = counted.iter().map(|found| found.confidence).sum();
    let row = FrameRow {
        frame_number: tracked.frame.frame_number,
        ts_micros: tracked.ts_micros,
        pts_millis: tracked.frame.pts_millis,
        width: tracked.frame.picture.image.width(),
        height: tracked.frame.picture.image.height(),
        is_keyframe,
        is_detected: tracked.detections.is_some(),
        total_objects: u32::try_from(counted.len()).unwrap_or(u32::MAX),
        unique_classes: u32::try_from(classes.len()).unwrap_or(u32::MAX),
        avg_confidence: (!counted.is_empty()).then(|| sum / counted.len() as f32),
        processing_ms: tracked.processing.as_secs_f64() * 1000.0,
        frame_uri: uri,
    };
    let detections = found
        .iter()
        .zip(tracked.tracks.iter())
        .map(|(detection, track)| DetectionRow {
            frame_number: row.frame_number,
            ts_micros: row.ts_micros,
            track: *track,
            detection: *detection,
            is_interpolated: false,
        })
        .collect();
    let left_decoder = tracked.frame.left_decoder;
    PendingFrame { row, detections, appearances: tracked.appearances, left_decoder }
}

fn caption_row(embedded: EmbeddedFrame) -> CaptionRow {
    let captioned = embedded.captioned;
    CaptionRow {
        frame_number: captioned.frame_number,
        ts_micros: captioned.ts_micros,
        caption: captioned.caption,
        scene: captioned.scene,
        objects: captioned.objects,
        embedding: embedded.embedding,
    }
}
