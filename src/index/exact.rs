//! All rows, or those that are known to match, looked at one after the other by every core.

use std::ops::Range;

use datafusion::error::Result;

use super::codes::walks_by_steps;
use super::kernel::{Metric, prefetch_whole, product_and_square};
use super::matching::Matching;
use super::scan::{Nulls, Outcome, Scan, Target, WANTED_SHARE, Way, between, everything, limit};
use super::search::SearchStatistics;
use super::sketch::{Sketch, SketchQuery};
use super::vector_index::norm;
use crate::tables::Vectors;

/// So many rows are scanned by one thread.
const FOR_ONE_THREAD: usize = 16_384;

/// Some rows' distances.
#[derive(Debug)]
struct Part {
    /// Those that may be among the nearest.
    nearest: Vec<(f32, usize)>,
    /// What is farther is not kept.
    limit: f32,
    /// When there are so many, those that are too far are let go.
    full: usize,
    /// Rows with a distance.
    measured: usize,
    matched: usize,
    has_other_length: bool,
    /// The greatest square of a vector's length, for the inner product.
    greatest_square: f32,
    /// Rows of which bounds are known: the upper one, the lower one and the position.
    bounded: Vec<(f32, f32, usize)>,
    /// What is surely farther is not kept.
    reach: f32,
    /// When so many are kept, those that are surely too far are let go.
    full_of_bounded: usize,
}

/// How many rows ahead memory is asked for in a scan.
const SCANNED_AHEAD: usize = 4;

/// Rows that a part keeps before it looks for those that are too far.
const KEPT: usize = 1_024;

impl Part {
    fn new(k: usize) -> Self {
        Self {
            nearest: Vec::new(),
            limit: f32::INFINITY,
            full: k.saturating_mul(2).max(KEPT),
            measured: 0,
            matched: 0,
            has_other_length: false,
            greatest_square: 0.0,
            bounded: Vec::new(),
            reach: f32::INFINITY,
            full_of_bounded: k.saturating_mul(2).max(KEPT),
        }
    }

    /// Takes in a row whose distance lies between two bounds.
    #[inline]
    fn offer_bounds(&mut self, (lower, upper): (f32, f32), position: usize, k: usize) {
        self.measured += 1;
        if lower > self.reach {
            return;
        }
        self.bounded.push((upper, lower, position));
        if self.bounded.len() >= self.full_of_bounded {
            self.tighten(k);
            self.full_of_bounded = self.full_of_bounded.max(2 * self.bounded.len());
        }
    }

    /// Lets rows go that at least `k` others are surely nearer than.
    fn tighten(&mut self, k: usize) {
        if k == 0 || self.bounded.len() < k {
            return;
        }
        let (_, last, _) =
            self.bounded.select_nth_unstable_by(k - 1, |left, right| left.0.total_cmp(&right.0));
        self.reach = self.reach.min(limit(last.0, 1.0));
        self.bounded.retain(|(_, lower, _)| *lower <= self.reach);
    }

    /// Takes a row in; `scale` is how large the terms of its distance may be, where that is known.
    #[inline]
    fn offer(&mut self, distance: f32, position: usize, k: usize, scale: Option<f32>) {
        self.measured += 1;
        if distance > self.limit {
            return;
        }
        self.nearest.push((distance, position));
        if self.nearest.len() >= self.full
            && k > 0
            && let Some(scale) = scale
        {
            let by_distance =
                |left: &(f32, usize), right: &(f32, usize)| left.0.total_cmp(&right.0);
            let (_, last, _) = self.nearest.select_nth_unstable_by(k - 1, by_distance);
            self.limit = limit(last.0, scale);
            self.nearest.retain(|(distance, _)| *distance <= self.limit);
            // All may be as near as the last one.
            self.full = self.full.max(2 * self.nearest.len());
        }
    }
}

impl Scan<'_> {
    /// All rows that match, by as many threads as there are cores.
    pub(super) fn exactly(&self, matching: Option<&Matching>) -> Result<Outcome> {
        let rows = self.rows.rows();
        let threads = match matching.map_or(rows, Matching::count) {
            0..=FOR_ONE_THREAD => 1,
            _ => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let share = rows.div_ceil(threads).max(1);
        let part = |number: usize| number * share..((number + 1) * share).min(rows);
        let mut parts: Vec<Part> = Vec::with_capacity(threads);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|number| {
                    let name = format!("scan-{number}");
                    let work = move || self.part(part(number), matching);
                    (number, std::thread::Builder::new().name(name).spawn_scoped(scope, work))
                })
                .collect();
            parts.push(self.part(part(0), matching));
            for (number, other) in others {
                let done = other.ok().and_then(|other| other.join().ok());
                // Where no thread could be had, this one does its part.
                parts.push(done.unwrap_or_else(|| self.part(part(number), matching)));
            }
        });
        let has_other_length = parts.iter().any(|part| part.has_other_length);
        let matched: usize = parts.iter().map(|part| part.matched).sum();
        let measured: usize = parts.iter().map(|part| part.measured).sum();
        let greatest = parts.iter().map(|part| part.greatest_square).fold(0.0, f32::max);
        let mut nearest = std::mem::take(&mut parts[0].nearest);
        for part in &parts[1..] {
            nearest.extend_from_slice(&part.nearest);
        }
        let is_short = match self.request.target.nulls {
            Nulls::First => measured < matched,
            Nulls::Last => measured < self.k.min(matched),
        };
        if has_other_length || is_short {
            // Of another length: the distance says so when it is computed. Rows without a
            // distance come last, or first, but they come.
            return everything(self.request, self.rows);
        }
        let scanned = measured;
        // The error of an inner product grows with the vectors' lengths.
        let scale = match self.request.target.metric {
            Metric::InnerProduct => norm(self.query) * greatest.sqrt(),
            Metric::Cosine | Metric::L2 | Metric::L1 => 1.0,
        };
        let (positions, distances) = (self.cut(nearest, scale), Vec::new());
        let statistics =
            SearchStatistics { filtered: rows - matched, ..SearchStatistics::default() };
        Ok(Outcome { positions, distances, way: Way::Exact, statistics, scanned })
    }

    /// The distances of the rows at some positions, as far as they match.
    fn part(&self, positions: Range<usize>, matching: Option<&Matching>) -> Part {
        let Target { metric, .. } = self.request.target;
        let mut part = Part::new(self.k);
        let ranges: Vec<Range<usize>> = match matching {
            Some(matching) => matching.within(positions).collect(),
            None => vec![positions],
        };
        let rows: usize = ranges.iter().map(Range::len).sum();
        // Rounding whole batches is not worth it for some of their rows.
        let is_whole = matching.is_none_or(Matching::is_whole);
        let query = (is_whole && walks_by_steps(metric, self.query.len()))
            .then(|| SketchQuery::new(self.query))
            .filter(|_| metric == Metric::Cosine && self.k < rows / WANTED_SHARE);
        for range in ranges {
            self.range(range, matching, query.as_ref(), &mut part);
            if part.has_other_length {
                return part;
            }
        }
        part.tighten(self.k);
        for (_, _, position) in std::mem::take(&mut part.bounded) {
            if let Some(distance) = self.distance(position) {
                part.nearest.push((distance, position));
            }
        }
        part
    }

    /// Takes in the rows of a range, up to one whose vector has another length.
    fn range(
        &self,
        positions: Range<usize>,
        matching: Option<&Matching>,
        query: Option<&SketchQuery>,
        part: &mut Part,
    ) {
        let Target { column, metric, .. } = self.request.target;
        let is_whole = matching.is_none_or(Matching::is_whole);
        let mut at = positions.start;
        while at < positions.end {
            let (number, first) = self.rows.locate(at);
            let vectors = Vectors::of(self.rows.batch(number), column);
            let of_batch = self.rows.batch(number).num_rows();
            let last = of_batch.min(first + positions.end - at);
            let sketch = query.zip(vectors.as_ref()).and_then(|(query, vectors)| {
                let make = || Sketch::new(vectors, of_batch, self.query.len());
                Some((query, self.rows.derived(number).the_second_time(make)?))
            });
            for row in first..last {
                let position = at + row - first;
                if !is_whole && !matching.is_none_or(|matching| matching.has(position)) {
                    continue;
                }
                part.matched += 1;
                if let Some((query, sketch)) = &sketch
                    && let Some(bounds) = sketch.bounds(query, row)
                {
                    part.offer_bounds(bounds, position, self.k);
                    continue;
                }
                if let Some(ahead) = vectors.as_ref().and_then(|all| all.get(row + SCANNED_AHEAD)) {
                    prefetch_whole(ahead);
                }
                let Some(vector) = vectors.as_ref().and_then(|vectors| vectors.get(row)) else {
                    continue;
                };
                if vector.len() != self.query.len() {
                    part.has_other_length = true;
                    return;
                }
                if metric == Metric::InnerProduct {
                    let (product, square) = product_and_square(self.query, vector);
                    part.greatest_square = part.greatest_square.max(square);
                    part.offer(-product, position, self.k, None);
                } else if let Some(distance) = between(metric, self.query, vector) {
                    part.offer(distance, position, self.k, Some(1.0));
                }
            }
            at += last - first;
        }
    }
}
