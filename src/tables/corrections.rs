//! Corrections of rows of `detections` that are there already: a detection gets its track, or
//! another one, or loses it; a filled box takes the place of an earlier one. A row of `embeddings`
//! that tells of a track gets the other one, or loses it, too.
//!
//! Only chunks that hold a frame in question are looked at, and of those only the column
//! `track_id` is made anew, unless a row goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, Schema};
use arrow::error::ArrowError;
use vigil_models::Detection;

use super::rows::DetectionRow;
use crate::track::{Correction, TrackId};

/// The corrections of one commit, put together.
#[derive(Clone, Debug, Default)]
pub(super) struct DetectionCorrections {
    /// The track of a detection, by its frame and its index in that frame.
    adopted: BTreeMap<i64, BTreeMap<usize, TrackId>>,
    /// What became of a track: another one, or none.
    renamed: BTreeMap<TrackId, Option<TrackId>>,
    /// Filled boxes by frame and track.
    filled: BTreeMap<(i64, TrackId), DetectionRow>,
    /// The frames in which renamed tracks were seen, first and last.
    ranges: Vec<(i64, i64)>,
}

impl DetectionCorrections {
    /// Puts corrections together, in the order in which they are to be done.
    pub(super) fn new(corrections: &[Correction]) -> Self {
        let mut this = Self::default();
        for correction in corrections {
            match *correction {
                Correction::Adopt { frame_number, detection, track } => {
                    let of_frame = this.adopted.entry(frame_number).or_default();
                    of_frame.insert(detection as usize, track);
                }
                Correction::Discard { track, first_frame, last_frame } => {
                    this.rename(track, None, (first_frame, last_frame));
                }
                Correction::Merge { from, into, first_frame, last_frame } => {
                    this.rename(from, Some(into), (first_frame, last_frame));
                }
                Correction::Fill { frame_number, ts_micros, track, class_id, bbox, confidence } => {
                    let detection = Detection { class_id, confidence, bbox };
                    let row = DetectionRow {
                        frame_number,
                        ts_micros,
                        track: Some(track),
                        detection,
                        is_interpolated: true,
                    };
                    this.filled.insert((frame_number, track), row);
                }
            }
        }
        this
    }

    fn rename(&mut self, from: TrackId, to: Option<TrackId>, range: (i64, i64)) {
        for earlier in self.renamed.values_mut().filter(|earlier| **earlier == Some(from)) {
            *earlier = to;
        }
        self.renamed.insert(from, to);
        self.ranges.push(range);
        let filled = std::mem::take(&mut self.filled);
        self.filled.extend(filled.into_iter().filter_map(|((frame, track), mut row)| {
            row.track = if track == from { to } else { Some(track) };
            row.track.map(|track| ((frame, track), row))
        }));
    }

    /// Whether a row of these frames may change.
    pub(super) fn touch(&self, (first, last): (i64, i64)) -> bool {
        self.adopted.range(first..=last).next().is_some()
            || self.ranges.iter().any(|(from, to)| *from <= last && *to >= first)
            || self
                .filled
                .range((first, TrackId(i64::MIN))..=(last, TrackId(i64::MAX)))
                .next()
                .is_some()
    }

    /// The rows to be added.
    pub(super) fn filled(&self) -> Vec<DetectionRow> {
        self.filled.values().cloned().collect()
    }

    /// A batch of `detections`, put right; `None` when it is right.
    ///
    /// # Errors
    /// When a column is not there.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        let schema = batch.schema();
        let frames = column(batch, &schema, "frame_number")?.as_primitive::<Int64Type>();
        let track_at = schema.index_of("track_id")?;
        let tracks = batch.column(track_at).as_primitive::<Int64Type>();
        let interpolated = column(batch, &schema, "interpolated")?.as_boolean();

        let adopted = self.adopted_rows(frames, interpolated);
        let mut changes = false;
        let mut dropped = BTreeSet::new();
        let mut corrected = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let before = tracks.is_valid(row).then(|| TrackId(tracks.value(row)));
            let given = adopted.get(&row).copied().or(before);
            let after = match given.and_then(|track| self.renamed.get(&track)) {
                Some(renamed) => *renamed,
                None => given,
            };
            changes |= before != after;
            corrected.push(after.map(|track| track.0));
            let is_replaced = interpolated.value(row)
                && match after {
                    Some(track) => self.filled.contains_key(&(frames.value(row), track)),
                    // A filled box of a track that never was.
                    None => true,
                };
            if is_replaced {
                dropped.insert(row);
            }
        }
        if !changes && dropped.is_empty() {
            return Ok(None);
        }
        let mut columns = batch.columns().to_vec();
        columns[track_at] = Arc::new(Int64Array::from(corrected));
        let batch = RecordBatch::try_new(schema, columns)?;
        if dropped.is_empty() {
            return Ok(Some(batch));
        }
        let keep: BooleanArray =
            (0..batch.num_rows()).map(|row| Some(!dropped.contains(&row))).collect();
        Ok(Some(filter_record_batch(&batch, &keep)?))
    }

    /// A batch of `embeddings` with the tracks that its rows belong to now; `None` when it is right.
    ///
    /// # Errors
    /// When a column is not there.
    pub(super) fn with_tracks(
        &self,
        batch: &RecordBatch,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let schema = batch.schema();
        let track_at = schema.index_of("track_id")?;
        let tracks = batch.column(track_at).as_primitive::<Int64Type>();
        let renamed = |track: i64| match self.renamed.get(&TrackId(track)) {
            Some(renamed) => renamed.map(|track| track.0),
            None => Some(track),
        };
        let corrected: Int64Array = tracks.iter().map(|track| track.and_then(renamed)).collect();
        if corrected == *tracks {
            return Ok(None);
        }
        let mut columns = batch.columns().to_vec();
        columns[track_at] = Arc::new(corrected);
        RecordBatch::try_new(schema, columns).map(Some)
    }

    /// The rows of adopted detections: the detections of a frame lie in their order in one batch,
    /// and filled boxes are none of them.
    fn adopted_rows(
        &self,
        frames: &Int64Array,
        interpolated: &BooleanArray,
    ) -> BTreeMap<usize, TrackId> {
        let mut rows = BTreeMap::new();
        let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
        for row in (0..frames.len()).filter(|row| !interpolated.value(*row)) {
            let frame = frames.value(row);
            let Some(adopted) = self.adopted.get(&frame) else { continue };
            let index = seen.entry(frame).or_default();
            if let Some(track) = adopted.get(index) {
                rows.insert(row, *track);
            }
            *index += 1;
        }
        rows
    }
}

fn column<'a>(
    batch: &'a RecordBatch,
    schema: &Schema,
    name: &str,
) -> Result<&'a dyn Array, ArrowError> {
    Ok(batch.column(schema.index_of(name)?).as_ref())
}
