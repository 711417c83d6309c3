//! One sequence ready for scoring: identities numbered from 0, likeness of boxes in each frame.

use std::collections::BTreeMap;

use super::mot::{Frames, Labelled};
use crate::track::{Assigner, Pair};

/// A frame: who is there, who was found, and the IoU of each pair.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// Objects of the ground truth.
    pub objects: Vec<usize>,
    /// Tracks.
    pub tracks: Vec<usize>,
    /// IoU of each object (row) and track (column), row by row.
    pub ious: Vec<f64>,
}

impl Frame {
    /// IoU of an object and a track, by their places in the frame.
    pub fn iou(&self, object: usize, track: usize) -> f64 {
        self.ious[object * self.tracks.len() + track]
    }
}

/// Ground truth and results of one sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    /// Frames in order.
    pub frames: Vec<Frame>,
    /// Boxes of each object.
    pub object_boxes: Vec<usize>,
    /// Boxes of each track.
    pub track_boxes: Vec<usize>,
}

impl Sequence {
    /// From the ground truth, of which boxes with confidence 0 do not count, and results.
    pub fn new(truth: &Frames, results: &Frames) -> Self {
        let mut sequence = Self::default();
        let (mut objects, mut tracks) = (BTreeMap::new(), BTreeMap::new());
        let (mut none, mut nothing) = (Vec::new(), Vec::new());
        let numbers: std::collections::BTreeSet<i64> =
            truth.keys().chain(results.keys()).copied().collect();
        for number in numbers {
            none.clear();
            nothing.clear();
            let there = truth.get(&number).map_or(&[][..], Vec::as_slice);
            none.extend(there.iter().filter(|labelled| labelled.confidence != 0.0));
            nothing.extend(results.get(&number).into_iter().flatten());
            let frame = Frame {
                objects: numbered(&none, &mut objects, &mut sequence.object_boxes),
                tracks: numbered(&nothing, &mut tracks, &mut sequence.track_boxes),
                ious: none
                    .iter()
                    .flat_map(|object| nothing.iter().map(|track| iou(&object.ltwh, &track.ltwh)))
                    .collect(),
            };
            sequence.frames.push(frame);
        }
        sequence
    }
}

fn numbered(
    labelled: &[&Labelled],
    numbers: &mut BTreeMap<i64, usize>,
    boxes: &mut Vec<usize>,
) -> Vec<usize> {
    let mut number = |labelled: &&Labelled| {
        let next = numbers.len();
        let number = *numbers.entry(labelled.id).or_insert(next);
        if number == boxes.len() {
            boxes.push(0);
        }
        boxes[number] += 1;
        number
    };
    labelled.iter().map(&mut number).collect()
}

/// IoU of two boxes, in the order of operations of TrackEval: by corners.
fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let corners = |[left, top, width, height]: &[f64; 4]| [*left, *top, left + width, top + height];
    let (a, b) = (corners(a), corners(b));
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    let both = width.max(0.0) * height.max(0.0);
    let either = area(&a) + area(&b) - both;
    if area(&a) > f64::EPSILON && area(&b) > f64::EPSILON && either > f64::EPSILON {
        both / either
    } else {
        0.0
    }
}

/// The matching of rows and columns with the highest total score; pairs without a score above 0
/// are not matched.
#[derive(Clone, Debug, Default)]
pub(super) struct Best {
    assigner: Assigner,
    pairs: Vec<Pair>,
}

impl Best {
    /// The pairs (row, column) of the matching, by row.
    pub fn of(
        &mut self,
        rows: usize,
        columns: usize,
        score: impl Fn(usize, usize) -> f64,
    ) -> Vec<(usize, usize)> {
        let mut highest = 0.0_f64;
        for row in 0..rows {
            for column in 0..columns {
                highest = highest.max(score(row, column));
            }
        }
        self.pairs.clear();
        for (row, row_number) in (0..rows).zip(0_u32..) {
            for (column, column_number) in (0..columns).zip(0_u32..) {
                let score = score(row, column);
                if score > 0.0 {
                    let cost = highest - score;
                    self.pairs.push(Pair { row: row_number, column: column_number, cost });
                }
            }
        }
        self.assigner.solve(rows, columns, &mut self.pairs, highest);
        (0..rows).filter_map(|row| Some((row, self.assigner.column(row)?))).collect()
    }
}
