//! IDF1 (Ristani et al., "Performance measures and a data set for multi-target, multi-camera
//! tracking", 2016): each object is matched to one track over the whole sequence, at IoU 0.5.

use super::sequence::{Best, Sequence};

/// IoU from which a box is a hit.
const LEAST_IOU: f64 = 0.5;

/// Counts of one or more sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityCounts {
    /// Boxes of objects that are found under their track.
    pub hits: usize,
    /// Boxes of objects.
    pub truth: usize,
    /// Boxes of tracks.
    pub found: usize,
}

impl IdentityCounts {
    /// The counts of a sequence.
    pub(super) fn of(sequence: &Sequence) -> Self {
        let (rows, columns) = (sequence.object_boxes.len(), sequence.track_boxes.len());
        let mut together = vec![0_u32; rows * columns];
        for frame in &sequence.frames {
            for (object, row) in frame.objects.iter().enumerate() {
                for (track, column) in frame.tracks.iter().enumerate() {
                    if frame.iou(object, track) >= LEAST_IOU {
                        together[row * columns + column] += 1;
                    }
                }
            }
        }
        let score = |row: usize, column: usize| together[row * columns + column];
        let matched = Best::default().of(rows, columns, |row, column| score(row, column).into());
        Self {
            hits: matched.iter().map(|(row, column)| score(*row, *column) as usize).sum(),
            truth: sequence.object_boxes.iter().sum(),
            found: sequence.track_boxes.iter().sum(),
        }
    }

    /// Adds those of another sequence.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.truth += other.truth;
        self.found += other.found;
    }

    /// IDF1, 0..=1.
    #[expect(clippy::cast_precision_loss, reason = "numbers of boxes")]
    pub fn idf1(&self) -> f64 {
        let mean = (self.truth + self.found) as f64 / 2.0;
        self.hits as f64 / mean.max(1.0)
    }
}
