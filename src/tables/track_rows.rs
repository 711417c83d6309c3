//! The rows of `tracks`: kept up to date by the differences that come out of the dataflow.
//!
//! Living tracks change with every frame and are few; ended ones are many and hardly change.
//! Living ones lie in a map, ended ones in Arrow batches, from which a correction takes them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float32Builder, Int64Array, Int64Builder, ListBuilder,
    RecordBatch, StructBuilder,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use vigil_sql::catalog::{StandardTable, position_fields};

use super::rows::{self, RowContext};
use crate::track::{TrackFact, TrackId, TrackState};

/// So many ended tracks are put into one batch.
const BATCH: usize = 1024;

/// The tracks of one source.
#[derive(Clone, Debug, Default)]
pub struct TrackRows {
    /// Tracks that live or ended lately.
    recent: BTreeMap<TrackId, Arc<TrackFact>>,
    recently_ended: usize,
    /// Ended tracks.
    settled: Arc<Vec<RecordBatch>>,
    /// In which batch an ended track is.
    settled_in: Arc<BTreeMap<TrackId, usize>>,
}

impl TrackRows {
    /// Takes the differences of one commit: a `-1` takes a row away, a `+1` adds one.
    ///
    /// # Errors
    /// When a batch cannot be built.
    pub fn apply(
        &mut self,
        context: &RowContext,
        differences: Vec<(TrackFact, isize)>,
    ) -> Result<(), ArrowError> {
        let (gone, come): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(|(_, difference)| *difference < 0);
        for (fact, _) in gone {
            self.remove(fact.track)?;
        }
        for (fact, difference) in come {
            if difference > 0 {
                self.recently_ended += usize::from(fact.state == TrackState::Ended);
                self.recent.insert(fact.track, Arc::new(fact));
            }
        }
        if self.recently_ended >= BATCH {
            self.settle(context)?;
        }
        Ok(())
    }

    fn remove(&mut self, track: TrackId) -> Result<(), ArrowError> {
        if let Some(fact) = self.recent.remove(&track) {
            self.recently_ended -= usize::from(fact.state == TrackState::Ended);
        } else if let Some(index) = Arc::make_mut(&mut self.settled_in).remove(&track) {
            let batch = &self.settled[index];
            let ids = batch.column(1).as_primitive::<Int64Type>();
            let keep = BooleanArray::from_unary(ids, |id| id != track.0);
            let kept = filter_record_batch(batch, &keep)?;
            Arc::make_mut(&mut self.settled)[index] = kept;
        }
        Ok(())
    }

    fn settle(&mut self, context: &RowContext) -> Result<(), ArrowError> {
        let ended: Vec<_> = self
            .recent
            .values()
            .filter(|fact| fact.state == TrackState::Ended)
            .map(Arc::clone)
            .collect();
        let batch = batch(context, &ended)?;
        let index = self.settled.len();
        Arc::make_mut(&mut self.settled).push(batch);
        let settled_in = Arc::make_mut(&mut self.settled_in);
        for fact in ended {
            self.recent.remove(&fact.track);
            settled_in.insert(fact.track, index);
        }
        self.recently_ended = 0;
        Ok(())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.recent.len() + self.settled_in.len()
    }

    /// All rows.
    ///
    /// # Errors
    /// When a batch cannot be built.
    pub fn batches(&self, context: &RowContext) -> Result<Vec<RecordBatch>, ArrowError> {
        let recent: Vec<_> = self.recent.values().map(Arc::clone).collect();
        let mut batches = Vec::clone(&self.settled);
        batches.push(batch(context, &recent)?);
        batches.retain(|batch| batch.num_rows() > 0);
        Ok(batches)
    }
}

fn batch(context: &RowContext, facts: &[Arc<TrackFact>]) -> Result<RecordBatch, ArrowError> {
    let mut positions = ListBuilder::new(StructBuilder::new(
        position_fields(),
        vec![
            Box::new(Int64Builder::new()),
            Box::new(Float32Builder::new()),
            Box::new(Float32Builder::new()),
        ],
    ));
    let mismatch = || ArrowError::SchemaError("a position has other fields".to_owned());
    for fact in facts {
        let items = positions.values();
        for position in &fact.summary.positions {
            let (x, y) = position.in_frame();
            items
                .field_builder::<Int64Builder>(0)
                .ok_or_else(mismatch)?
                .append_value(position.frame_number);
            items.field_builder::<Float32Builder>(1).ok_or_else(mismatch)?.append_value(x);
            items.field_builder::<Float32Builder>(2).ok_or_else(mismatch)?.append_value(y);
            items.append(true);
        }
        positions.append(true);
    }
    let summaries = || facts.iter().map(|fact| &fact.summary);
    let columns: Vec<ArrayRef> = vec![
        rows::texts(facts.iter().map(|_| context.source.as_str())),
        Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| fact.track.0))),
        rows::texts(summaries().map(|summary| context.class_name(summary.class_id()))),
        rows::texts(facts.iter().map(|fact| fact.state.name())),
        rows::bigints(summaries().map(|summary| summary.first_frame)),
        rows::bigints(summaries().map(|summary| summary.last_frame)),
        rows::timestamps(summaries().map(|summary| summary.first_ts_micros)),
        rows::timestamps(summaries().map(|summary| summary.last_ts_micros)),
        rows::bigints(summaries().map(|summary| summary.detections)),
        rows::reals(summaries().map(|summary| summary.avg_confidence())),
        rows::reals(summaries().map(|summary| summary.max_confidence())),
        rows::reals(summaries().map(|summary| summary.last_box().x1)),
        rows::reals(summaries().map(|summary| summary.last_box().y1)),
        rows::reals(summaries().map(|summary| summary.last_box().x2)),
        rows::reals(summaries().map(|summary| summary.last_box().y2)),
        Arc::new(positions.finish()),
        rows::texts(facts.iter().map(|_| context.tracker.as_str())),
    ];
    RecordBatch::try_new(StandardTable::Tracks.schema(), columns)
}
