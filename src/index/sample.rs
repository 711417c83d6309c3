//! Recall as it is observed: some queries are answered exactly as well, in the background.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::error::Result;

use super::registry::{Indexes, SAMPLE_EVERY, Sample};
use super::scan::{Outcome, SLACK, Scan, between};

impl Scan<'_> {
    /// Hands one in so many queries over to be answered exactly.
    pub(super) fn perhaps_sample(&self, outcome: &Outcome, indexes: &Indexes) {
        let Some(index) = &self.request.target.index else { return };
        if index.queries.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE_EVERY) {
            indexes.sample(|| Sample {
                index: Arc::clone(index),
                request: self.request.clone(),
                query: self.query.to_vec(),
                found: outcome.positions.clone(),
            });
        }
    }
}

/// How many rows a sample compares.
const RECALL_AT: usize = 10;

/// Answers a sample exactly and counts how many of the true ten nearest rows were found.
///
/// # Errors
/// What the query's condition says.
pub(super) fn check_sample(sample: &Sample) -> Result<()> {
    let definition = &sample.index.definition;
    let rows = sample.request.snapshot.rows(definition.table);
    let matching = sample.request.matching(&rows)?;
    let distance = |at: usize| {
        let vector = rows.vector(definition.column, at)?;
        (vector.len() == sample.query.len()).then_some(())?;
        between(definition.metric, &sample.query, vector)
    };
    let passing = (0..rows.rows()).filter(|at| matching.as_ref().is_none_or(|all| all.has(*at)));
    let mut exact: Vec<f32> = passing.filter_map(distance).collect();
    let wanted = RECALL_AT.min(sample.found.len());
    if wanted == 0 || exact.len() < wanted {
        return Ok(());
    }
    let (_, last, _) = exact.select_nth_unstable_by(wanted - 1, f32::total_cmp);
    // By distance, not by row: rows with the same vector are as good as each other.
    let limit = *last + SLACK * last.abs().max(f32::MIN_POSITIVE);
    let found = sample.found.iter().filter_map(|at| distance(*at));
    let matched = found.filter(|distance| *distance <= limit).count().min(wanted);
    sample.index.count_sample(wanted, matched);
    Ok(())
}
