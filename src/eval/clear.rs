//! The CLEAR MOT metrics (Bernardin and Stiefelhagen, 2008), as TrackEval computes them: false
//! alarms, misses and switches of identity at IoU 0.5.

use super::sequence::{Best, Sequence};

/// IoU from which a box is a hit.
const LEAST_IOU: f64 = 0.5;

/// Counts of one or more sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClearCounts {
    /// Boxes of objects that were found.
    pub hits: usize,
    /// Boxes of objects that were not found.
    pub misses: usize,
    /// Boxes of tracks where no object is.
    pub false_alarms: usize,
    /// Times that an object is found under another track than the last time.
    pub switches: usize,
}

impl ClearCounts {
    /// The counts of a sequence.
    pub(super) fn of(sequence: &Sequence) -> Self {
        let mut counts = Self::default();
        let objects = sequence.object_boxes.len();
        // The track an object was last found under, and that of the frame before.
        let mut last: Vec<Option<usize>> = vec![None; objects];
        let mut before: Vec<Option<usize>> = vec![None; objects];
        let mut best = Best::default();
        for frame in &sequence.frames {
            let matched = best.of(frame.objects.len(), frame.tracks.len(), |object, track| {
                let iou = frame.iou(object, track);
                let goes_on = before[frame.objects[object]] == Some(frame.tracks[track]);
                let bonus = if goes_on { 1000.0 } else { 0.0 };
                if iou >= LEAST_IOU - f64::EPSILON { bonus + iou } else { 0.0 }
            });
            // As TrackEval: a frame without objects or tracks does not break what goes on.
            if !frame.objects.is_empty() && !frame.tracks.is_empty() {
                before.fill(None);
            }
            for (object, track) in &matched {
                let (object, track) = (frame.objects[*object], frame.tracks[*track]);
                if last[object].is_some_and(|last| last != track) {
                    counts.switches += 1;
                }
                last[object] = Some(track);
                before[object] = Some(track);
            }
            counts.hits += matched.len();
            counts.misses += frame.objects.len() - matched.len();
            counts.false_alarms += frame.tracks.len() - matched.len();
        }
        counts
    }

    /// Adds those of another sequence.
    pub fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.false_alarms += other.false_alarms;
        self.switches += other.switches;
    }

    /// MOTA, at most 1.
    #[expect(clippy::cast_precision_loss, reason = "numbers of boxes")]
    pub fn mota(&self) -> f64 {
        let wrong = (self.false_alarms + self.switches) as f64;
        (self.hits as f64 - wrong) / ((self.hits + self.misses) as f64).max(1.0)
    }
}
